"""The gate over two sets of records: verdicts, exit codes, reports, bad input."""

from __future__ import annotations

import json
import random
import shlex
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from records_factory import cost, data, make, quality

from quintain.cli import main
from quintain.records.schema import Record
from quintain.records.store import Store
from quintain.report.gate.files import junit, markdown, regressed
from quintain.report.gate.judge import Judged
from quintain.report.gate.quality import usual_margin
from quintain.report.gate.verdict import compare

CHANGED = {"changed": {}}
MODELS = ("cnn", "gru", "lstm", "mlp")


def curve(noise: float) -> dict[str, Any]:
    """Quality whose curve is of this run alone."""
    found = quality(score=round(0.9 + noise, 6))
    found["curve"][0]["train_loss"] += noise
    return found


def runs(
    shift: float = 0.0, *, seed: int = 0, spread: float = 0.002, **changes: Any
) -> list[Record]:
    """Four models by five seeds, each score a draw of its own; a thousand test samples."""
    draw = random.Random(seed)
    changes = {"data": data() | {"sizes": {"train": 800, "val": 100, "test": 1000}}} | changes
    return [
        make(model=model, seed=s, quality=curve(draw.gauss(shift, spread)), **(CHANGED | changes))
        for model in MODELS
        for s in range(1, 6)
    ]


def outcomes(before: list[Record], after: list[Record], **how: Any) -> dict[str, str]:
    found = compare(before, after, **how)
    return {f"{one.series.kind} {one.series.label}": one.outcome for one in found.every}


def test_the_same_numbers_pass() -> None:
    verdict = compare(runs(), runs())
    assert verdict.exit_code == 0
    assert verdict.sentence == "gate: passed: no worse in quality of 4 cells and speed of 4 cells"


def test_other_draws_of_the_same_pass_and_a_point_lost_everywhere_is_found() -> None:
    assert compare(runs(seed=1), runs(seed=2)).exit_code == 0
    worse = compare(runs(seed=1), runs(-0.01, seed=2))
    assert worse.exit_code == 1
    (found,) = worse.having("regression")
    assert found.series.label == "4 cells together"  # no cell lost its two points
    assert "4 cells together" in worse.sentence


def test_a_cell_that_lost_much_is_named() -> None:
    after = [r for r in runs(seed=2) if r.names.model != "gru"]
    after += [r for r in runs(-0.06, seed=3) if r.names.model == "gru"]
    verdict = compare(runs(seed=1), after)
    assert "worse: digits/gru/cpu (quality)" in verdict.sentence
    lines = regressed(verdict).splitlines()
    assert [shlex.split(line)[:4] for line in lines] == [
        ["quintain", "sweep", "dataset=digits", "model=gru"]
    ]
    assert "seed=1,2,3,4,5" in lines[0]


def test_too_much_noise_is_inconclusive_and_says_what_would_decide() -> None:
    verdict = compare(runs(seed=1, spread=0.05), runs(seed=2, spread=0.05))
    assert verdict.exit_code == 3
    more = [one.more for one in verdict.having("inconclusive")]
    assert f"about {max(m for m in more if m)} more seeds would decide" in verdict.sentence


def test_scores_that_measure_speed_repeats_count_once() -> None:
    alone: dict[str, Any] = {"changed": {"measure": "speed"},
                             "cell": {"measure": {"times": "alone"}}}  # fmt: skip
    before, after = (runs(seed=1), runs(-0.005, seed=2))
    again = [[*side, *runs(*loss, seed=seed, **alone)]
             for side, loss, seed in ((before, (), 1), (after, (-0.005,), 2))]  # fmt: skip
    one, two = (judge_of("quality", *sides) for sides in ((before, after), again))
    assert one == two
    assert len(judge_of("speed", *again)) == 9
    lone = [[*before[:2], *again[0][len(before) :]], [*after[:2], *again[1][len(after) :]]]
    seeds = {one.series.label: one.series.seeds for one in judge_of("quality", *lone)}
    assert seeds["digits/cnn/cpu"] == (1, 2)
    assert seeds["digits/cnn/cpu measure=speed"] == (3, 4, 5)


def test_a_run_alone_that_fails_is_a_regression_though_its_twin_is_well() -> None:
    alone: dict[str, Any] = {"changed": {"measure": "speed"},
                             "cell": {"measure": {"times": "alone"}}}  # fmt: skip
    before = [*runs(), *runs(**alone)]
    lost = make(model="cnn", seed=2, status="failed", **alone)
    after = [r for r in before if (r.key != lost.key)] + [lost]
    assert compare(before, after).exit_code == 1


def judge_of(kind: str, before: list[Record], after: list[Record]) -> list[Judged]:
    return [one for one in compare(before, after).every if one.series.kind == kind]


def test_a_loss_beyond_its_margin_that_is_no_alarm_yet_says_why() -> None:
    before = [make(seed=s, quality=curve(0.001 * s), **CHANGED) for s in range(1, 6)]
    lost = (-0.030, -0.041, -0.033, -0.045, -0.037)
    after = [make(seed=s, quality=curve(0.001 * s + one), **CHANGED)
             for s, one in enumerate(lost, 1)]  # fmt: skip
    verdict = compare(before, after, slower=None)
    assert verdict.exit_code == 3
    (note,) = [note for note in verdict.notes if "beyond its margin" in note]
    assert "is not yet the 0.005 from which on a gate alarms" in note


def test_a_gain_is_told() -> None:
    verdict = compare(runs(seed=1), runs(0.05, seed=2))
    assert verdict.exit_code == 0 and "better: digits/cnn/cpu (quality)" in verdict.sentence


def test_a_cell_that_fails_now_is_a_regression() -> None:
    after = runs()
    after[0] = make(model="cnn", seed=1, status="failed", **CHANGED)
    verdict = compare(runs(), after)
    assert verdict.exit_code == 1
    assert "quality of digits/cnn/cpu: seed 1 failed: oom: out of memory" in verdict.notes
    assert "model=cnn" in regressed(verdict)


def test_a_cell_that_was_not_run_is_no_pass() -> None:
    verdict = compare(runs(), [r for r in runs() if r.names.model != "mlp"])
    assert verdict.exit_code == 3
    assert "1 of the baseline's cells were not run by the candidate" in verdict.sentence


def test_seeds_that_were_not_run_are_no_pass_unless_fewer_were_asked_for() -> None:
    fewer = [r for r in runs() if (r.names.model, r.seed) != ("mlp", 4)]
    verdict = compare(runs(), fewer)
    assert verdict.exit_code == 3 and verdict.missing == ["digits/mlp/cpu (seed 4)"]
    assert "digits/mlp/cpu: the candidate did not run seed 4" in verdict.notes
    assert compare(runs(), fewer, every_seed=False).exit_code == 0
    failed = [*fewer, make(model="mlp", seed=4, status="failed", **CHANGED)]
    assert compare(failed, fewer).exit_code == 0  # of it the baseline has no result either


@pytest.mark.parametrize("status", ["failed", "skipped"])
def test_a_cell_that_never_had_a_result_leaves_nothing_open(status: str) -> None:
    none = [make(model="rnn", seed=s, status=status, **CHANGED) for s in (1, 2)]
    verdict = compare([*runs(), *none], [*runs(), *none])
    assert verdict.exit_code == 0
    assert "quality of digits/rnn/cpu: the baseline has no score" in verdict.notes
    assert 'errors="0"' in junit(verdict) and 'errors="1"' not in junit(verdict)
    now = [make(model="rnn", seed=s, **CHANGED) for s in (1, 2)]
    assert compare([*runs(), *none], [*runs(), *now]).exit_code == 3


def test_equal_steps_of_one_sample_are_no_proof_in_several_cells_either() -> None:
    """100 test samples: each of four runs has lost one of them, by chance alone."""
    before = [make(model=m, seed=s, **CHANGED) for m in ("cnn", "gru") for s in (1, 2)]
    lost = quality(score=0.89)
    after = [make(model=m, seed=s, quality=lost, **CHANGED)
             for m in ("cnn", "gru") for s in (1, 2)]  # fmt: skip
    assert compare(before, after, slower=None).exit_code == 3


def test_settings_that_the_code_changed_are_compared_and_said() -> None:
    optimizer = {"_target_": "optimizer.adam", "lr": 0.1}
    verdict = compare(runs(), runs(cell={"optimizer": optimizer}))
    assert verdict.exit_code == 0
    assert "digits/cnn/cpu: defaults have changed: optimizer.lr 0.01 → 0.1" in verdict.notes


def test_settings_that_a_person_changed_are_another_cell() -> None:
    other = runs(changed={"optimizer.lr": 0.1}, cell={"optimizer": {"_target_": "a", "lr": 0.1}})
    verdict = compare(runs(), [*runs(), *other])
    assert verdict.exit_code == 0
    assert "new, without a baseline: digits/cnn/cpu optimizer.lr=0.1" in "".join(verdict.notes)


def fast(
    factor: float, *, peak: float = 1.0, flops: float = 1e6, seed: int = 0, **changes: Any
) -> list[Record]:
    """Runs of so much speed on a machine whose calibration kernel ran at `peak`, of a model that
    takes so many operations a sample.
    """
    draw, found = random.Random(seed), []
    for s in range(1, 6):
        value = 1000 * factor * peak * draw.uniform(0.98, 1.02)
        spent = cost() | {"samples_per_second": value, "flops_per_sample": flops}
        spent["mfu"] = 3 * flops * value / peak / 1e11
        found.append(make(seed=s, cost=spent, **(CHANGED | changes)))
    return found


def test_speed_is_relative_to_the_calibration_kernel() -> None:
    half = outcomes(fast(1), fast(1, peak=0.5, seed=1))
    assert half["speed digits/lstm/cpu"] == "passed"  # all of the machine was slower
    slow = outcomes(fast(1), fast(0.6, seed=1))
    assert slow["speed digits/lstm/cpu"] == "regression"
    assert "speed digits/lstm/cpu" not in outcomes(fast(1), fast(0.6), slower=None)


def test_a_model_that_computes_more_is_slower_though_it_uses_the_machine_as_well() -> None:
    found = outcomes(fast(1), fast(0.5, flops=2e6, seed=1))
    assert found["speed digits/lstm/cpu"] == "regression"
    less = outcomes(fast(1), fast(1, flops=0.5e6, seed=1))
    assert less["speed digits/lstm/cpu"] == "passed"


def test_an_open_speed_is_not_called_unjudged() -> None:
    verdict = compare(fast(1)[:2], fast(0.9, seed=1)[:2])
    assert verdict.exit_code == 3 and "speed undecided" in verdict.sentence
    assert "speed not judged" not in verdict.sentence


def test_another_machine_is_judged_by_quality_alone() -> None:
    verdict = compare(fast(1), fast(0.5, machine={"cpu": "other"}))
    assert verdict.exit_code == 0 and verdict.sentence.endswith("speed not judged")
    assert any("other machines, so quality only" in note for note in verdict.notes)


def test_disturbed_runs_say_nothing_of_speed() -> None:
    busy = {"other_process": {"ok": False, "note": "half a core"}}
    found = outcomes(fast(1), fast(0.5, trust=busy))
    assert found["speed digits/lstm/cpu"] == "not judged"


def meant(**changes: str) -> dict[str, Any]:
    """The same score that means something else."""
    found = quality()
    found["scores"]["accuracy"] |= changes
    return found


@pytest.mark.parametrize(
    ("after", "why"),
    [
        ({"data": data() | {"fingerprint": "sha256:22"}}, "the data differ"),
        ({"quality": quality("forecast")}, "the main score was accuracy and is mae"),
        ({"quality": meant(unit="0 to 100")}, "accuracy was in 'fraction' (max is better) and is"),
        ({"quality": meant(direction="min")}, "and is in 'fraction' (min is better)"),
    ],
)
def test_what_cannot_be_compared_is_no_pass(after: dict[str, Any], why: str) -> None:
    verdict = compare([make(**CHANGED)], [make(**CHANGED, **after)], slower=None)
    assert verdict.exit_code == 3 and any(why in note for note in verdict.notes)


def test_margins_by_the_unit() -> None:
    assert usual_margin("fraction", 0.9) == 0.02
    assert usual_margin("0 to 100", 30) == 2
    assert usual_margin("nats/token", 2.0) == pytest.approx(0.08)


def test_reports_hold_the_same_verdict() -> None:
    after = runs(-0.06, seed=2)
    verdict = compare(runs(seed=1), after)
    top = ElementTree.fromstring(junit(verdict))
    failures = top.findall(".//failure")
    assert len(failures) == len(verdict.having("regression")) == 5
    assert [s.get("failures") for s in top.findall("testsuite")] == ["5", "0"]
    text = markdown(verdict)
    assert text.startswith("### gate: REGRESSION: worse: digits/cnn/cpu ")
    assert text.count("| regression |") == 5


def test_names_are_text_in_every_report() -> None:
    evil = "<script>|`[x](y)\x1b\x00"
    verdict = compare(runs(dataset=evil), runs(-0.06, dataset=evil))
    text = markdown(verdict)
    assert "<script>" not in text and "\\|\\`" in text and "\x1b" not in text
    assert "<script>|`[x](y)��" in {
        case.get("name", "").split("/")[0] for case in ElementTree.fromstring(junit(verdict)).iter()
    }


def stored(folder: Path, records: list[Record]) -> str:
    store = Store(folder)
    for record in records:
        store.write(record)
    return str(folder)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = stored(tmp_path / "a", runs()), stored(tmp_path / "b", runs(-0.06, seed=2))
    files = [tmp_path / name for name in ("j.xml", "m.md", "r.txt")]
    words = [f"--{name}={file}" for name, file in
             zip(("junit", "markdown", "regressed"), files, strict=True)]  # fmt: skip
    assert main(["gate", "--baseline", good, "--candidate", good]) == 0
    assert main(["gate", "--baseline", good, "--candidate", bad, *words]) == 1
    assert all(file.stat().st_size for file in files)
    assert capsys.readouterr().out.splitlines()[-1].startswith("gate: REGRESSION")
    one = tmp_path / "one.txt"
    one.write_text(files[2].read_text().splitlines()[0] + "\n")
    assert main(["gate", "--baseline", good, "--candidate", bad, "--only", str(one)]) == 1
    assert main(["gate", "--baseline", good, "--candidate", bad, "--margin=accuracy=0.5"]) == 0


def test_what_cannot_be_done_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = stored(tmp_path / "a", runs())
    other = stored(tmp_path / "b", runs(dataset="pydoc"))
    references = stored(tmp_path / "c", [make(reference=True)])
    (tmp_path / "empty").mkdir()
    tried = {
        "shares no cell": ["--candidate", other],
        "dataset=pydoc model=cnn": ["--candidate", other],
        "it holds no record": ["--candidate", str(tmp_path / "empty")],
        "1 records of reference rows": ["--candidate", references],
        "there is no store": ["--candidate", str(tmp_path / "none")],
        "what is to be judged": [],
        "expected SCORE=LOSS": ["--candidate", good, "--margin", "accuracy"],
        "--slower -1": ["--candidate", good, "--slower", "-1"],
        "leave out --suite": ["--candidate", good, "--suite", "ci"],
        "cannot be read": ["--candidate", good, "--only", str(tmp_path / "none")],
    }
    for sentence, words in tried.items():
        assert main(["gate", "--baseline", good, *words]) == 2, sentence
        assert sentence in capsys.readouterr().err


def test_records_of_a_newer_schema_are_left_out_and_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = stored(tmp_path / "a", runs())
    file = Store(tmp_path / "a").files()[0]
    file.write_text(json.dumps(json.loads(file.read_text()) | {"schema": 2}))
    main(["gate", "--baseline", good, "--candidate", good])
    assert "has records of schema 2" in capsys.readouterr().out
