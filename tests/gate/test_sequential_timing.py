"""Timing side by side: decisions, error rates, and real versions of a plugin."""

from __future__ import annotations

import itertools
import math
import random
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.commands import SHORT_RUN, run_quintain
from helpers.plugin_repository import CELL, MODEL, commit

from quintain.errors import UsageError
from quintain.gate.cell_decisions import Decision
from quintain.gate.code_versions import open_version
from quintain.gate.interleaved_timing import Round
from quintain.gate.sequential_timing import baseline_noise, evaluate_rounds, time_until_decided


def simulate_rounds(
    ratio: float, noise: float, seed: int, baseline_ratio: float = 1.0
) -> Iterator[Round]:
    """Yield rounds of one-millisecond steps with lognormal noise.

    Args:
        ratio: the candidate's time over the baseline's.
        noise: standard deviation of the logarithm.
        seed: of the noise.
        baseline_ratio: the second baseline process' time over the first one's.
    """
    draw = random.Random(seed)
    while True:
        a, b, c = (1e-3 * math.exp(draw.gauss(0, noise)) for _ in range(3))
        yield Round(a, b * baseline_ratio, c * ratio)


def decide(rounds: Iterator[Round], cells: int = 1) -> Decision:
    return time_until_decided("cell", (), rounds, cells=cells)


def count_outcomes(ratio: float, noise: float, gates: int, **options: float) -> Counter[str]:
    """Return how often each outcome occurs in simulated gates of four cells."""
    return Counter(
        decide(simulate_rounds(ratio, noise, seed, **options), cells=4).outcome
        for seed in range(gates)
    )


def test_equal_versions_pass_and_a_slowdown_of_a_tenth_is_a_regression() -> None:
    assert count_outcomes(1.0, 0.03, 40) == {"passed": 40}
    assert count_outcomes(1.1, 0.03, 40)["regression"] >= 38


def test_noise_is_inconclusive_and_no_regression() -> None:
    outcomes = count_outcomes(1.0, 0.9, 20)
    assert "regression" not in outcomes and outcomes["inconclusive"] > 10


def test_false_alarms_at_the_margin_are_as_rare_as_promised() -> None:
    """The hardest case for the error control: three evaluations with the mean on the margin."""
    assert count_outcomes(1.05, 0.03, 40)["regression"] <= 1


def test_a_slowdown_within_the_noise_of_the_baseline_is_no_regression() -> None:
    """Two processes of one version differ by 15 %, and the candidate by 10 %."""
    outcomes = count_outcomes(1.1, 0.01, 20, baseline_ratio=1.15)
    assert "regression" not in outcomes
    assert "passed" in outcomes  # 10 % against the first process are 2.6 % against the mean of both
    assert baseline_noise([Round(1.0, 1.15, 1.0)] * 8) == pytest.approx(math.log(1.15))


def test_more_rounds_are_measured_only_where_needed() -> None:
    assert decide(simulate_rounds(1.0, 0.005, 1)).n == 48
    undecided = decide(simulate_rounds(1.03, 0.1, 3))
    assert undecided.outcome == "inconclusive" and undecided.n == 192 and undecided.additional


class Clock:
    """Replaces `time.monotonic`; it advances only with simulated rounds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr("quintain.gate.sequential_timing.time.monotonic", lambda: self.now)

    def delay(
        self, rounds: Iterator[Round], seconds: Iterator[float], warm_up: float = 0.0
    ) -> Iterator[Round]:
        """Yield the rounds; the first takes `warm_up` seconds, the next ones those given."""
        self.now += warm_up
        for result, duration in zip(rounds, seconds, strict=False):
            yield result
            self.now += duration


def test_slow_steps_are_measured_for_a_limited_time(monkeypatch) -> None:
    clock = Clock(monkeypatch)
    rounds = clock.delay(simulate_rounds(1.03, 0.3, 3), itertools.repeat(1.0), warm_up=1.0)
    decision = decide(rounds)
    assert decision.outcome == "inconclusive" and decision.n == 55


def test_a_few_disturbed_rounds_decide_nothing() -> None:
    """In one round of eight other work doubles the candidate's time."""

    def disturbed(rounds: Iterator[Round]) -> Iterator[Round]:
        for number, result in enumerate(rounds):
            is_disturbed = number % 8 == 7
            yield result._replace(candidate=result.candidate * 2) if is_disturbed else result

    outcomes = [decide(disturbed(simulate_rounds(1.0, 0.03, s))).outcome for s in range(20)]
    assert outcomes.count("passed") >= 19 and "regression" not in outcomes


@pytest.mark.parametrize(("share", "factor"), [(0.2, 2.0), (0.25, 1.5), (0.25, 1 / 1.5)])
def test_disturbances_of_all_processes_alike_do_not_bias_the_gain(
    share: float, factor: float
) -> None:
    """A fifth or a quarter of all bursts take longer, or less, in any of the processes."""

    def disturbed_rounds(ratio: float, seed: int) -> Iterator[Round]:
        draw = random.Random(seed)
        while True:
            seconds = [math.exp(draw.gauss(0, 0.02)) for _ in range(3)]
            seconds = [s * factor if draw.random() < share else s for s in seconds]
            yield Round(seconds[0], seconds[1], seconds[2] * ratio)

    assert estimate_gain(disturbed_rounds(1.0, 1), 6_000) == pytest.approx(0, abs=0.007)
    outcomes = [decide(disturbed_rounds(1.05, s)).outcome for s in range(30)]
    assert outcomes.count("regression") <= 1
    assert outcomes.count("passed") <= 4  # 5 % of the gates at the margin
    outcomes = [decide(disturbed_rounds(1.1, s)).outcome for s in range(20)]
    assert "passed" not in outcomes


def test_the_position_in_a_round_does_not_bias_the_gain() -> None:
    """The first process of a round is slower by a third, the second by a tenth."""

    def rounds() -> Iterator[Round]:
        draw = random.Random(5)
        slowdowns = [1.33, 1.1, 1.0]
        for number in itertools.count():
            seconds = {
                (number + position) % 3: slowdowns[position] * math.exp(draw.gauss(0, 0.01))
                for position in range(3)
            }
            yield Round(*(seconds[process] for process in range(3)))

    assert estimate_gain(rounds(), 3000) == pytest.approx(0, abs=0.002)


def test_the_level_of_an_alarm_is_that_of_its_corrected_p_value() -> None:
    """A regression has p ≤ `alarm_level`, which is half of 1 %, whatever the number of cells."""
    for cells in (1, 4):
        for seed in range(20):
            decision = decide(simulate_rounds(1.07, 0.05, seed), cells=cells)
            assert decision.alarm_level == 0.005 and decision.p is not None
            assert (decision.outcome == "regression") == (decision.p <= decision.alarm_level)


def evaluate(rounds: Iterator[Round], n: int) -> Decision:
    first = [*itertools.islice(rounds, n)]
    return evaluate_rounds("cell", (), first, cells=1, max_slowdown=0.05)


def estimate_gain(rounds: Iterator[Round], n: int) -> float:
    gain = evaluate(rounds, n).gain
    assert gain is not None
    return gain


def test_the_gain_agrees_with_the_two_times() -> None:
    decision = evaluate(simulate_rounds(1.1, 0.2, 4), 100)
    differences = decision.differences
    ratio = differences.baseline_mean / differences.candidate_mean
    assert math.log(ratio) == pytest.approx(decision.gain)


def test_warming_up_does_not_count_as_the_time_of_a_round(monkeypatch) -> None:
    """The first round follows after 20 s of warming up, each other one after half a second."""
    assert count_rounds(monkeypatch, 20.0, itertools.repeat(0.5)) == 8 + 63  # in 35 s
    assert count_rounds(monkeypatch, 500.0, itertools.repeat(0.5)) == 8


def test_the_time_limit_holds_when_the_machine_becomes_slower(monkeypatch) -> None:
    seconds = itertools.chain(itertools.repeat(0.5, 20), itertools.repeat(2.0))
    assert count_rounds(monkeypatch, 0.0, seconds) == 21 + 23  # until 10 s, and until 56 s


def test_fewer_rounds_than_allowed_are_enough() -> None:
    assert decide(itertools.islice(simulate_rounds(1.05, 0.3, 3), 20)).n == 20


def count_rounds(monkeypatch, warm_up: float, seconds: Iterator[float]) -> int:
    """Return how many rounds of a hard case are measured, if rounds take this time."""
    rounds = Clock(monkeypatch).delay(simulate_rounds(1.05, 0.3, 3), seconds, warm_up)
    return decide(rounds).n


SLEEP = MODEL.replace("        return self", "        time.sleep(0.02)\n        return self")


def test_a_plugin_that_sleeps_is_slower_than_the_commit_before(tmp_path: Path) -> None:
    """Steps of one millisecond take twenty: no other work on a machine does that."""
    good = commit(tmp_path, MODEL, "good")
    commit(tmp_path, SLEEP, "bad")
    command = ["gate", "--baseline-code", good, "--rounds=8", "--slower=1", *CELL]
    code, out, err = run_quintain(*command, "--regressed", "r.txt", cwd=tmp_path)
    assert code == 1, out + err
    assert "REGRESSION: worse: digits/plain/cpu (speed)" in out
    assert "model=plain" in (tmp_path / "r.txt").read_text()
    worktrees = subprocess.run(
        ["git", "worktree", "list"], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert len(worktrees.stdout.splitlines()) == 1


def test_an_unknown_version_is_a_usage_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="nowhere is not a folder"), open_version("nowhere"):
        pass
    commit(tmp_path, MODEL, "good")
    with pytest.raises(UsageError, match="neither a folder nor a commit"), open_version("nowhere"):
        pass


def test_a_store_that_is_named_like_a_branch_is_no_version(tmp_path: Path, monkeypatch) -> None:
    """Else it would be timed with the present code, and pass whatever has changed."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "main" / "records").mkdir(parents=True)
    with pytest.raises(UsageError, match="main is not a folder with code"), open_version("main"):
        pass
    good = commit(tmp_path, MODEL, "good")
    with (
        pytest.raises(UsageError, match="neither a folder with code nor a c"),
        open_version("main"),
    ):
        pass
    subprocess.run(["git", "branch", "-f", "main", good], cwd=tmp_path, check=True)
    with open_version("main") as version:
        assert version.folder != tmp_path / "main" and (version.folder / "own").is_dir()


def test_a_version_without_burst_training_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "src" / "quintain").mkdir(parents=True)
    (tmp_path / "src" / "quintain" / "__init__.py").write_text('__version__ = "0"\n')
    command = ["gate", "--baseline-code", str(tmp_path), "model=mlp", *SHORT_RUN[:1]]
    code, _, err = run_quintain(*command, cwd=tmp_path)
    assert code == 2 and "cannot train in bursts" in err and "quintain.launch" in err
