"""Speed side by side: what the rounds decide, how often they err, and real versions of a plugin."""

from __future__ import annotations

import itertools
import math
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from words import QUIET, quintain, write

from quintain.compose.errors import UsageError
from quintain.launch.rivals import Round
from quintain.launch.versions import version
from quintain.report.gate.rounds import decide, look, own_noise


def rounds(slower: float, noise: float, seed: int, again: float = 1.0) -> Iterator[Round]:
    """Lognormal noise around steps of a millisecond."""
    draw = random.Random(seed)
    while True:
        a, b, c = (1e-3 * math.exp(draw.gauss(0, noise)) for _ in range(3))
        yield Round(a, b * again, c * slower)


def ends(slower: float, noise: float, gates: int, **how: float) -> dict[str, int]:
    found = [
        decide("cell", (), rounds(slower, noise, seed, **how), cells=4).outcome
        for seed in range(gates)
    ]
    return {outcome: found.count(outcome) for outcome in set(found)}


def test_equal_versions_raise_no_alarm_and_a_tenth_is_found() -> None:
    assert ends(1.0, 0.03, 40) == {"passed": 40}
    assert ends(1.1, 0.03, 40)["regression"] >= 38


def test_noise_ends_inconclusive_not_in_alarm() -> None:
    found = ends(1.0, 0.9, 20)
    assert "regression" not in found and found["inconclusive"] > 10


def test_exactly_the_slowdown_that_matters_alarms_as_rarely_as_promised() -> None:
    """The hardest case for the error control: three looks at a mean on the margin."""
    assert ends(1.05, 0.03, 40).get("regression", 0) <= 1


def test_what_the_machine_calls_equal_is_no_regression() -> None:
    """Two processes of one version that differ by 15 %, and a candidate that does by 10."""
    found = ends(1.1, 0.01, 20, again=1.15)
    assert "regression" not in found and "passed" in found  # 10 % against the mean of both is 2.6
    assert own_noise([Round(1.0, 1.15, 1.0)] * 8) == pytest.approx(math.log(1.15))


def test_more_rounds_are_taken_only_where_they_are_needed() -> None:
    assert decide("cell", (), rounds(1.0, 0.005, 1), cells=1).n == 48
    open_ = decide("cell", (), rounds(1.03, 0.1, 3), cells=1)
    assert open_.outcome == "inconclusive" and open_.n == 192 and open_.more


def test_slow_steps_are_taken_for_so_many_seconds(monkeypatch) -> None:
    moment = [0.0]

    def slow(each: Iterator[Round]) -> Iterator[Round]:
        for one in each:
            moment[0] += 1.0
            yield one

    monkeypatch.setattr("quintain.report.gate.rounds.time.monotonic", lambda: moment[0])
    found = decide("cell", (), slow(rounds(1.03, 0.3, 3)), cells=1)
    assert found.outcome == "inconclusive" and found.n == 55


def test_a_few_wild_rounds_decide_nothing() -> None:
    """One round in eight meets other work that takes twice the time."""

    def wild(each: Iterator[Round]) -> Iterator[Round]:
        for number, one in enumerate(each):
            yield one._replace(candidate=one.candidate * 2) if number % 8 == 7 else one

    found = [decide("cell", (), wild(rounds(1.0, 0.03, s)), cells=1).outcome for s in range(20)]
    assert found.count("passed") >= 19 and "regression" not in found


@pytest.mark.parametrize(("share", "times"), [(0.2, 2.0), (0.25, 1.5), (0.25, 1 / 1.5)])
def test_other_work_that_meets_all_alike_favours_nobody(share: float, times: float) -> None:
    """A fifth or a quarter of all bursts take longer, or less, whoever's turn it is."""

    def moods(slower: float, seed: int) -> Iterator[Round]:
        draw = random.Random(seed)
        while True:
            spent = [math.exp(draw.gauss(0, 0.02)) for _ in range(3)]
            spent = [s * times if draw.random() < share else s for s in spent]
            yield Round(spent[0], spent[1], spent[2] * slower)

    same = trimmed_gain(moods(1.0, 1), 6_000)
    assert same == pytest.approx(0, abs=0.007)
    found = [decide("cell", (), moods(1.05, s), cells=1).outcome for s in range(30)]
    assert found.count("regression") <= 1 and found.count("passed") <= 4  # 5 %, on the margin
    found = [decide("cell", (), moods(1.1, s), cells=1).outcome for s in range(20)]
    assert "passed" not in found


def test_who_is_first_in_a_round_favours_nobody() -> None:
    """Whoever has the first turn is slower by a third, the second by a tenth."""

    def turns() -> Iterator[Round]:
        draw = random.Random(5)
        for turn in itertools.count():
            places = [1.33, 1.1, 1.0]
            spent = {(turn + k) % 3: places[k] * math.exp(draw.gauss(0, 0.01)) for k in range(3)}
            yield Round(*(spent[who] for who in range(3)))

    assert trimmed_gain(turns(), 3000) == pytest.approx(0, abs=0.002)


def trimmed_gain(rounds: Iterator[Round], n: int) -> float:
    found = look("cell", (), [*itertools.islice(rounds, n)], cells=1, slower=0.05)
    assert found.gain is not None
    return found.gain


def test_the_gain_and_the_two_times_say_the_same() -> None:
    found = look("cell", (), [*itertools.islice(rounds(1.1, 0.2, 4), 100)], cells=1, slower=0.05)
    assert math.log(found.series.before / found.series.after) == pytest.approx(found.gain)


def test_warming_up_is_not_taken_for_the_rounds(monkeypatch) -> None:
    """The first round comes after 20 s of it, each other after half a second."""
    assert taken_in(monkeypatch, 20.0, itertools.repeat(0.5)) == 8 + 63  # of 35 s
    assert taken_in(monkeypatch, 500.0, itertools.repeat(0.5)) == 8


def test_a_machine_that_becomes_slower_takes_no_longer(monkeypatch) -> None:
    later = itertools.chain(itertools.repeat(0.5, 20), itertools.repeat(2.0))
    assert taken_in(monkeypatch, 0.0, later) == 21 + 23  # at 10 s, and until 56 s


def test_rounds_that_end_early_are_all_there_is() -> None:
    few = itertools.islice(rounds(1.05, 0.3, 3), 20)
    assert decide("cell", (), few, cells=1).n == 20


def taken_in(monkeypatch, warm: float, seconds: Iterator[float]) -> int:
    """How many rounds are taken of a hard case whose rounds take so long."""
    moment = [0.0]

    def slow(each: Iterator[Round]) -> Iterator[Round]:
        moment[0] += warm
        for one, took in zip(each, seconds, strict=False):
            yield one
            moment[0] += took

    monkeypatch.setattr("quintain.report.gate.rounds.time.monotonic", lambda: moment[0])
    return decide("cell", (), slow(rounds(1.05, 0.3, 3)), cells=1).n


MODEL = """
import time
from torch import nn
from quintain.contracts import Features

class Plain(nn.Module):
    reads = "sequence"

    def __init__(self, inp: Features, *, width: float = 4.0):
        super().__init__()
        self.out = Features(**{**vars(inp), "dim": 32})
        self.net = nn.Linear(inp.dim, 32)

    def forward(self, x, mask):
        return self.net(x), mask
"""
SLEEP = MODEL.replace("        return self", "        time.sleep(0.02)\n        return self")
CARD = "_target_: quintain_local.model.plain.Plain\nwidth: 4\ncard: {about: plain}\n"
CELL = ("model=plain", "dataset=digits", "plugins_dir=own", "hardware=cpu", "budget.params=null")


def commit(folder: Path, model: str, message: str) -> str:
    """A repository's next commit, with this model; its hash."""
    write(folder / "own" / "plugins" / "model" / "plain.py", model)
    write(folder / "own" / "conf" / "model" / "plain.yaml", CARD)
    name = ["-c", "user.name=x", "-c", "user.email=x@y"]
    for words in (["init", "-q"], ["add", "own"], [*name, "commit", "-qm", message]):
        subprocess.run(["git", *words], cwd=folder, check=True)
    done = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def test_a_plugin_that_sleeps_is_found_beside_the_commit_before(tmp_path: Path) -> None:
    """Steps of a millisecond become steps of twenty: no load of a machine does that."""
    good = commit(tmp_path, MODEL, "good")
    commit(tmp_path, SLEEP, "bad")
    beside = ["gate", "--baseline-code", good, "--rounds=8", "--slower=1", *CELL]
    code, out, err = quintain(*beside, "--regressed", "r.txt", cwd=tmp_path)
    assert code == 1, out + err
    assert "REGRESSION: worse: digits/plain/cpu (speed)" in out
    assert "model=plain" in (tmp_path / "r.txt").read_text()
    left = subprocess.run(
        ["git", "worktree", "list"], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert len(left.stdout.splitlines()) == 1


def test_what_is_no_version_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="nowhere is not a folder"), version("nowhere"):
        pass
    commit(tmp_path, MODEL, "good")
    with pytest.raises(UsageError, match="neither a folder nor a commit"), version("nowhere"):
        pass


def test_a_folder_of_results_that_is_called_as_a_branch(tmp_path: Path, monkeypatch) -> None:
    """Taken for code it would be timed with the present one, and pass whatever has changed."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "main" / "records").mkdir(parents=True)
    with pytest.raises(UsageError, match="main is not a folder with code"), version("main"):
        pass
    good = commit(tmp_path, MODEL, "good")
    with pytest.raises(UsageError, match="neither a folder with code nor a c"), version("main"):
        pass
    subprocess.run(["git", "branch", "-f", "main", good], cwd=tmp_path, check=True)
    with version("main") as found:
        assert found.folder != tmp_path / "main" and (found.folder / "own").is_dir()


def test_a_version_that_cannot_train_in_bursts_is_said(tmp_path: Path) -> None:
    (tmp_path / "src" / "quintain").mkdir(parents=True)
    (tmp_path / "src" / "quintain" / "__init__.py").write_text('__version__ = "0"\n')
    words = ["gate", "--baseline-code", str(tmp_path), "model=mlp", *QUIET[:1]]
    code, _, err = quintain(*words, cwd=tmp_path)
    assert code == 2 and "cannot train in bursts" in err and "quintain.launch" in err
