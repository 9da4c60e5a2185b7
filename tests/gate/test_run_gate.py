"""The gate over two sets of records: decisions, exit codes, reports, wrong input."""

from __future__ import annotations

import json
import random
import shlex
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from helpers.record_factory import cost_values, data_values, make_record, quality_values

from quintain.cli.main import main
from quintain.gate.cell_decisions import Decision
from quintain.gate.gate_result import compare_records
from quintain.gate.output import format_junit, format_markdown, format_sweep_commands
from quintain.gate.quality import default_margin
from quintain.records.schema import SCHEMA, Record
from quintain.records.store import Store

CHANGED = {"changed": {}}
TIMED_ALONE: dict[str, Any] = {
    "changed": {"measure": "speed"},
    "cell": {"measure": {"times": "alone"}},
}
MODELS = ("cnn", "gru", "lstm", "mlp")


def quality_with_noise(noise: float) -> dict[str, Any]:
    """Return quality with a curve that no other run has."""
    values = quality_values(score=round(0.9 + noise, 6))
    values["curve"][0]["train_loss"] += noise
    return values


def runs(
    shift: float = 0.0, *, seed: int = 0, spread: float = 0.002, **changes: Any
) -> list[Record]:
    """Return records of four models with five seeds, random scores and 1000 test samples."""
    draw = random.Random(seed)
    changes = {
        "data": data_values() | {"sizes": {"train": 800, "val": 100, "test": 1000}}
    } | changes
    return [
        make_record(
            model=model,
            seed=s,
            quality=quality_with_noise(draw.gauss(shift, spread)),
            **(CHANGED | changes),
        )
        for model in MODELS
        for s in range(1, 6)
    ]


def outcomes(before: list[Record], after: list[Record], **options: Any) -> dict[str, str]:
    result = compare_records(before, after, **options)
    return {f"{d.differences.kind} {d.differences.label}": d.outcome for d in result.decisions}


def test_equal_results_pass() -> None:
    result = compare_records(runs(), runs())
    assert result.exit_code == 0
    assert result.summary == "gate: passed: no worse in quality of 4 cells and speed of 4 cells"


def test_other_seeds_pass_and_a_point_lost_in_every_cell_is_a_regression() -> None:
    assert compare_records(runs(seed=1), runs(seed=2)).exit_code == 0
    worse = compare_records(runs(seed=1), runs(-0.01, seed=2))
    assert worse.exit_code == 1
    (regression,) = worse.with_outcome("regression")
    assert regression.differences.label == "4 cells together"  # no cell lost two points
    assert "4 cells together" in worse.summary


def test_a_cell_with_a_large_loss_is_named() -> None:
    after = [r for r in runs(seed=2) if r.names.model != "gru"]
    after += [r for r in runs(-0.06, seed=3) if r.names.model == "gru"]
    result = compare_records(runs(seed=1), after)
    assert "worse: digits/gru/cpu (quality)" in result.summary
    lines = format_sweep_commands(result).splitlines()
    assert [shlex.split(line)[:4] for line in lines] == [
        ["quintain", "sweep", "dataset=digits", "model=gru"]
    ]
    assert "seed=1,2,3,4,5" in lines[0]


def test_too_much_noise_is_inconclusive_and_the_summary_says_what_would_decide() -> None:
    result = compare_records(runs(seed=1, spread=0.05), runs(seed=2, spread=0.05))
    assert result.exit_code == 3
    additional = [d.additional for d in result.with_outcome("inconclusive") if d.additional]
    assert f"about {max(additional)} more seeds would decide" in result.summary


def test_scores_repeated_by_measure_speed_count_once() -> None:
    before, after = runs(seed=1), runs(-0.005, seed=2)
    repeated_before = [*before, *runs(seed=1, **TIMED_ALONE)]
    repeated_after = [*after, *runs(-0.005, seed=2, **TIMED_ALONE)]
    once = decisions_about("quality", before, after)
    assert decisions_about("quality", repeated_before, repeated_after) == once
    assert len(decisions_about("speed", repeated_before, repeated_after)) == 9
    partly = [
        [*records[:2], *repeated[len(records) :]]
        for records, repeated in ((before, repeated_before), (after, repeated_after))
    ]
    differences = [d.differences for d in decisions_about("quality", *partly)]
    seeds = {cell.label: cell.seeds for cell in differences}
    assert seeds["digits/cnn/cpu"] == (1, 2)
    assert seeds["digits/cnn/cpu measure=speed"] == (3, 4, 5)


def test_a_failed_measure_speed_run_is_a_regression_although_the_other_run_finished() -> None:
    before = [*runs(), *runs(**TIMED_ALONE)]
    failed = make_record(model="cnn", seed=2, status="failed", **TIMED_ALONE)
    after = [record for record in before if record.key != failed.key] + [failed]
    assert compare_records(before, after).exit_code == 1


def decisions_about(kind: str, before: list[Record], after: list[Record]) -> list[Decision]:
    decisions = compare_records(before, after).decisions
    return [decision for decision in decisions if decision.differences.kind == kind]


def test_a_loss_beyond_its_margin_without_an_alarm_has_a_note() -> None:
    before = [
        make_record(seed=s, quality=quality_with_noise(0.001 * s), **CHANGED) for s in range(1, 6)
    ]
    losses = (-0.030, -0.041, -0.033, -0.045, -0.037)
    after = [make_record(seed=s, quality=quality_with_noise(0.001 * s + loss), **CHANGED)
             for s, loss in enumerate(losses, 1)]  # fmt: skip
    result = compare_records(before, after, max_slowdown=None)
    assert result.exit_code == 3
    (note,) = [note for note in result.notes if "exceeds its margin" in note]
    assert "an alarm needs p ≤ 0.005 and p is 0.0" in note


def test_an_improvement_is_in_the_summary() -> None:
    result = compare_records(runs(seed=1), runs(0.05, seed=2))
    assert result.exit_code == 0 and "better: digits/cnn/cpu (quality)" in result.summary


def test_a_cell_that_fails_only_now_is_a_regression() -> None:
    after = runs()
    after[0] = make_record(model="cnn", seed=1, status="failed", **CHANGED)
    result = compare_records(runs(), after)
    assert result.exit_code == 1
    assert "quality of digits/cnn/cpu: seed 1 failed: oom: out of memory" in result.notes
    assert "model=cnn" in format_sweep_commands(result)


def test_a_missing_cell_is_inconclusive() -> None:
    result = compare_records(runs(), [r for r in runs() if r.names.model != "mlp"])
    assert result.exit_code == 3
    assert "1 of the baseline's cells were not run by the candidate" in result.summary


def test_missing_seeds_are_inconclusive_unless_fewer_were_requested() -> None:
    fewer = [r for r in runs() if (r.names.model, r.seed) != ("mlp", 4)]
    result = compare_records(runs(), fewer)
    assert result.exit_code == 3 and result.missing == ["digits/mlp/cpu (seed 4)"]
    assert "digits/mlp/cpu: the candidate did not run seed 4" in result.notes
    assert compare_records(runs(), fewer, every_seed=False).exit_code == 0
    failed = [*fewer, make_record(model="mlp", seed=4, status="failed", **CHANGED)]
    assert (
        compare_records(failed, fewer).exit_code == 0
    )  # the baseline has no result of this seed either


@pytest.mark.parametrize("status", ["failed", "skipped"])
def test_a_cell_without_a_result_on_both_sides_passes(status: str) -> None:
    none = [make_record(model="rnn", seed=s, status=status, **CHANGED) for s in (1, 2)]
    result = compare_records([*runs(), *none], [*runs(), *none])
    assert result.exit_code == 0
    assert "quality of digits/rnn/cpu: the baseline has no score" in result.notes
    assert 'errors="0"' in format_junit(result) and 'errors="1"' not in format_junit(result)
    now = [make_record(model="rnn", seed=s, **CHANGED) for s in (1, 2)]
    assert compare_records([*runs(), *none], [*runs(), *now]).exit_code == 3


def test_equal_losses_of_one_test_sample_are_inconclusive() -> None:
    """Each of four runs has lost one of 100 test samples, which may be chance."""
    before = [make_record(model=m, seed=s, **CHANGED) for m in ("cnn", "gru") for s in (1, 2)]
    lost = quality_values(score=0.89)
    after = [make_record(model=m, seed=s, quality=lost, **CHANGED)
             for m in ("cnn", "gru") for s in (1, 2)]  # fmt: skip
    assert compare_records(before, after, max_slowdown=None).exit_code == 3


def test_changed_defaults_are_compared_and_noted() -> None:
    optimizer = {"_target_": "optimizer.adam", "lr": 0.1}
    result = compare_records(runs(), runs(cell={"optimizer": optimizer}))
    assert result.exit_code == 0
    assert "digits/cnn/cpu: defaults have changed: optimizer.lr 0.01 → 0.1" in result.notes


def test_settings_changed_by_a_user_make_another_cell() -> None:
    other = runs(changed={"optimizer.lr": 0.1}, cell={"optimizer": {"_target_": "a", "lr": 0.1}})
    result = compare_records(runs(), [*runs(), *other])
    assert result.exit_code == 0
    assert "new, without a baseline: digits/cnn/cpu optimizer.lr=0.1" in "".join(result.notes)


def runs_at_speed(
    factor: float, *, peak: float = 1.0, flops: float = 1e6, seed: int = 0, **changes: Any
) -> list[Record]:
    """Return runs with `factor` times the usual speed.

    Args:
        factor: of the speed.
        peak: relative speed of the machine's calibration kernel.
        flops: operations that the model needs for a sample.
        seed: of the noise.
        changes: other fields of the records.
    """
    draw, records = random.Random(seed), []
    for s in range(1, 6):
        speed = 1000 * factor * peak * draw.uniform(0.98, 1.02)
        costs = cost_values() | {"samples_per_second": speed, "flops_per_sample": flops}
        costs["mfu"] = 3 * flops * speed / peak / 1e11
        records.append(make_record(seed=s, cost=costs, **(CHANGED | changes)))
    return records


def test_speed_is_relative_to_the_calibration_kernel() -> None:
    half = outcomes(runs_at_speed(1), runs_at_speed(1, peak=0.5, seed=1))
    assert half["speed digits/lstm/cpu"] == "passed"  # the whole machine was slower
    slow = outcomes(runs_at_speed(1), runs_at_speed(0.6, seed=1))
    assert slow["speed digits/lstm/cpu"] == "regression"
    assert "speed digits/lstm/cpu" not in outcomes(
        runs_at_speed(1), runs_at_speed(0.6), max_slowdown=None
    )


def test_a_model_with_more_operations_is_slower_at_the_same_utilisation() -> None:
    by_cell = outcomes(runs_at_speed(1), runs_at_speed(0.5, flops=2e6, seed=1))
    assert by_cell["speed digits/lstm/cpu"] == "regression"
    less = outcomes(runs_at_speed(1), runs_at_speed(1, flops=0.5e6, seed=1))
    assert less["speed digits/lstm/cpu"] == "passed"


def test_an_undecided_speed_is_not_called_not_judged() -> None:
    result = compare_records(runs_at_speed(1)[:2], runs_at_speed(0.9, seed=1)[:2])
    assert result.exit_code == 3 and "speed undecided" in result.summary
    assert "speed not judged" not in result.summary


def test_results_of_another_machine_are_judged_by_quality_only() -> None:
    result = compare_records(runs_at_speed(1), runs_at_speed(0.5, machine={"cpu": "other"}))
    assert result.exit_code == 0
    assert result.summary == "gate: passed (speed not judged): no worse in quality of 1 cell"
    assert any("the machines differ, 2 cores against other" in note for note in result.notes)
    other = runs_at_speed(1, model="gru")
    partly = compare_records(
        [*runs_at_speed(1), *other], [*runs_at_speed(1, machine={"cpu": "other"}), *other]
    )
    assert partly.summary.startswith("gate: passed (speed of 1 of 2 cells not judged): no worse")
    assert format_markdown(partly).startswith("### gate: passed \\(speed of 1 of 2 cells not")
    assert compare_records(other, other, max_slowdown=None).summary.startswith("gate: passed: ")


def test_speed_of_disturbed_runs_is_not_judged() -> None:
    busy = {"other_process": {"ok": False, "note": "half a core"}}
    by_cell = outcomes(runs_at_speed(1), runs_at_speed(0.5, trust=busy))
    assert by_cell["speed digits/lstm/cpu"] == "not judged"
    half_busy = [*runs_at_speed(1, trust=busy)[:2], *runs_at_speed(1)[2:]]
    other_half = [*runs_at_speed(1)[:2], *runs_at_speed(1, trust=busy)[2:]]
    result = compare_records(half_busy, other_half)
    expected = "in the run of the baseline, of the candidate or in both, for every seed"
    assert any(note.endswith(expected) for note in result.notes)


def test_seeds_without_a_speed_count_in_no_mean() -> None:
    """Seed 2 of the candidate has no speed; its step takes a hundred times as long."""
    after = runs_at_speed(1, seed=1)
    cost = cost_values() | {"samples_per_second": None, "steps": 20}
    cost["seconds"] = cost["seconds"] | {"training": 1250.0}
    after[1] = make_record(seed=2, cost=cost, **CHANGED)
    (speed,) = decisions_about("speed", runs_at_speed(1), after)
    assert speed.differences.seeds == (1, 3, 4, 5) and len(speed.differences.gains) == 4
    assert speed.differences.candidate_mean == pytest.approx(625.0)


def test_an_inconclusive_gate_says_what_it_lacks() -> None:
    none = [make_record(seed=s, status="failed", **CHANGED) for s in (1, 2)]
    result = compare_records(none, none)
    assert result.exit_code == 3
    expected = "gate: inconclusive (speed not judged): no cell could be judged: the baseline has no"
    assert result.summary.startswith(expected)


def test_huge_scores_are_judged_like_others() -> None:
    before = [make_record(model=m, seed=s, score=x, **CHANGED) for m, x in
              (("a", 0.9), ("b", 1e308)) for s in (1, 2, 3)]  # fmt: skip
    after = [make_record(model=m, seed=s, score=x * 0.9, **CHANGED) for m, x in
             (("a", 0.9), ("b", 1e308)) for s in (1, 2, 3)]  # fmt: skip
    result = compare_records(before, after)
    assert result.exit_code == 1 and "worse: digits/b/cpu (quality)" in result.summary
    opposite = compare_records(before, [make_record(model="b", seed=s, score=-1.7e308, **CHANGED)
                                        for s in (1, 2, 3)])  # fmt: skip
    assert any("difference of their scores is not a finite" in note for note in opposite.notes)
    assert max(map(len, format_markdown(result).splitlines())) < 200


def quality_with_score(**changes: str) -> dict[str, Any]:
    """Return quality whose accuracy has another unit or direction."""
    values = quality_values()
    values["scores"]["accuracy"] |= changes
    return values


@pytest.mark.parametrize(
    ("after", "reason"),
    [
        ({"data": data_values() | {"fingerprint": "sha256:22"}}, "the data have changed"),
        ({"quality": quality_values("forecast")}, "the main score was accuracy and is mae"),
        (
            {"quality": quality_with_score(unit="0 to 100")},
            "accuracy was in 'fraction' (max is better) and is",
        ),
        ({"quality": quality_with_score(direction="min")}, "and is in 'fraction' (min is better)"),
    ],
)
def test_results_that_cannot_be_compared_are_inconclusive(
    after: dict[str, Any], reason: str
) -> None:
    result = compare_records(
        [make_record(**CHANGED)], [make_record(**CHANGED, **after)], max_slowdown=None
    )
    assert result.exit_code == 3 and any(reason in note for note in result.notes)


def test_default_margins_by_unit() -> None:
    assert default_margin("fraction", 0.9) == 0.02
    assert default_margin("0 to 100", 30) == 2
    assert default_margin("nats/token", 2.0) == pytest.approx(0.08)


def test_all_formats_agree() -> None:
    after = runs(-0.06, seed=2)
    result = compare_records(runs(seed=1), after)
    top = ElementTree.fromstring(format_junit(result))
    failures = top.findall(".//failure")
    assert len(failures) == len(result.with_outcome("regression")) == 5
    assert [s.get("failures") for s in top.findall("testsuite")] == ["5", "0"]
    text = format_markdown(result)
    assert text.startswith("### gate: REGRESSION: worse: digits/cnn/cpu ")
    assert text.count("| regression |") == 5


def test_names_are_escaped_in_every_format() -> None:
    hostile = "<script>|`[x](y)\x1b\x00"
    result = compare_records(runs(dataset=hostile), runs(-0.06, dataset=hostile))
    text = format_markdown(result)
    assert "<script>" not in text and "\\|\\`" in text and "\x1b" not in text
    assert "<script>|`[x](y)��" in {
        case.get("name", "").split("/")[0]
        for case in ElementTree.fromstring(format_junit(result)).iter()
    }


def write_store(folder: Path, records: list[Record]) -> str:
    store = Store(folder)
    for record in records:
        store.write(record)
    return str(folder)


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = (
        write_store(tmp_path / "a", runs()),
        write_store(tmp_path / "b", runs(-0.06, seed=2)),
    )
    files = [tmp_path / name for name in ("j.xml", "m.md", "r.txt")]
    options = [f"--{name}={file}" for name, file in
               zip(("junit", "markdown", "regressed"), files, strict=True)]  # fmt: skip
    assert main(["gate", "--baseline", good, "--candidate", good]) == 0
    assert main(["gate", "--baseline", good, "--candidate", bad, *options]) == 1
    assert all(file.stat().st_size for file in files)
    assert capsys.readouterr().out.splitlines()[-1].startswith("gate: REGRESSION")
    one_cell = tmp_path / "one.txt"
    one_cell.write_text(files[2].read_text().splitlines()[0] + "\n")
    assert main(["gate", "--baseline", good, "--candidate", bad, "--only", str(one_cell)]) == 1
    assert main(["gate", "--baseline", good, "--candidate", bad, "--margin=accuracy=0.5"]) == 0


def test_usage_errors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = write_store(tmp_path / "a", runs())
    other = write_store(tmp_path / "b", runs(dataset="pydoc"))
    baselines = write_store(tmp_path / "c", [make_record(baseline=True)])
    (tmp_path / "empty").mkdir()
    usage_errors = {
        "shares no cell": ["--candidate", other],
        "dataset=pydoc model=cnn": ["--candidate", other],
        "it contains no record": ["--candidate", str(tmp_path / "empty")],
        "1 records, all of baseline models": ["--candidate", baselines],
        "there is no store": ["--candidate", str(tmp_path / "none")],
        "there is no store at none_either": ["store=none_either"],
        "or give --suite ci to run cells now": ["store=none_either"],
        "expected SCORE=LOSS": ["--candidate", good, "--margin", "accuracy"],
        "--slower -1": ["--candidate", good, "--slower", "-1"],
        "leave out --suite": ["--candidate", good, "--suite", "ci"],
        "cannot be read": ["--candidate", good, "--only", str(tmp_path / "none")],
    }
    for message, options in usage_errors.items():
        assert main(["gate", "--baseline", good, *options]) == 2, message
        assert message in capsys.readouterr().err


def test_without_a_candidate_the_present_store_is_judged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    good = write_store(tmp_path / "good", runs())
    write_store(tmp_path / "results", runs(-0.06, seed=2))
    assert main(["gate", "--baseline", good]) == 1
    assert "the candidate is the store results as it is; no cell was run" in capsys.readouterr().out
    write_store(tmp_path / "other", runs()[:-1])
    assert main(["gate", "--baseline", good, "store=other"]) == 3
    assert "the candidate did not run seed 5" in capsys.readouterr().out


def test_records_of_a_newer_schema_are_left_out_with_a_note(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = write_store(tmp_path / "a", runs())
    file = Store(tmp_path / "a").files()[0]
    file.write_text(json.dumps(json.loads(file.read_text()) | {"schema": SCHEMA + 1}))
    main(["gate", "--baseline", good, "--candidate", good])
    assert f"has records of schema {SCHEMA + 1}" in capsys.readouterr().out
