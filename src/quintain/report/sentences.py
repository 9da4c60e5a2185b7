"""A table in words: who is tied, what is cheaper, who trails by how much, how many seeds tell."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence

from quintain.report.rows import Row
from quintain.report.standing import LEVEL, Standing
from quintain.report.text import p_value
from quintain.stats.paired import Paired, pair_differences
from quintain.stats.seeds import more_seeds

SAID = 50  # more seeds than that are no plan
CHEAPER = 1.2  # ratio of training times below which nothing is said: neighbours make as much


def sentences(found: Standing) -> list[str]:
    """What the tests of one table say; nothing where there was none, as with one seed."""
    order = [i for i in found.family.order if found.models[i].tie_group is not None]
    if len(order) < 2 or not found.family.whole:
        return []
    first = [i for i in order if found.models[i].tie_group == 1]
    others = [i for i in order if found.models[i].tie_group != 1]
    parts = (_lead(found, first), _trail(found, first[0], others), _more(found, first))
    return [part for part in (*parts, _dropped(found)) if part]


def names(models: Sequence[Row]) -> list[str]:
    """What each model is called where it must not be taken for another one of the table."""
    plain = Counter(row.model for row in models)
    placed = Counter((row.model, row.hardware) for row in models)
    return [
        row.model
        + (f" on {row.hardware}" if plain[row.model] > placed[row.model, row.hardware] else "")
        + (f" ({row.variant})" if placed[row.model, row.hardware] > 1 and row.variant else "")
        for row in models
    ]


def amount(value: float, half: float | None, unit: str) -> str:
    """A difference of scores and half of its interval: 2.3 ± 0.8 of a fraction's points."""
    scale = 100 if unit == "fraction" else 1
    finest = abs(value if half is None else half) * scale
    places = min(max(-math.floor(math.log10(finest)), 1), 9) if 0 < finest < math.inf else 1
    shown = f"{value * scale:.{places}f}"
    return shown if half is None else f"{shown} ± {half * scale:.{places}f}"


def unit_name(unit: str) -> str:
    """ " points" for fractions and percentages; the unit itself, if it has a name, for others."""
    return (
        " points" if unit in ("fraction", "0 to 100") else "" if unit in ("", "1") else f" {unit}"
    )


def p_told(p: float, relation: str = "=") -> str:
    """p = 0.41, p < 0.001."""
    return f"p {p_value(p)}" if p < 0.001 else f"p {relation} {p_value(p)}"


def _lead(found: Standing, first: Sequence[int]) -> str:
    called, models = names(found.models), found.models
    place = f"On `{models[0].dataset}`, "
    if len(first) == 1:
        return f"{place}{called[first[0]]} is ahead of all others."
    known = [p for i in first[1:] if (p := models[i].p_best) is not None]
    told = "no test: too few seeds in common, or equal scores"
    if any(pair[0] == first[0] for pair in found.family.reversed):
        told = "their common seeds say the contrary of their means"
    if known:
        told = p_told(min(known), "=" if len(first) == 2 else "≥")
    cheap = _cheaper([models[i] for i in first], [called[i] for i in first])
    return f"{place}{_and([called[i] for i in first])} are tied ({told}){cheap}."


def _cheaper(rows: Sequence[Row], called: Sequence[str]) -> str:
    """The row of least training time against the best one, or the second if it is the best."""
    hosts = {row.host for row in rows}
    timed = [i for i, row in enumerate(rows) if row.train_seconds]
    if len(hosts) > 1 or len(timed) < len(rows):
        return ""
    least = min(timed, key=lambda i: rows[i].train_seconds or 0.0)
    other = 1 if least == 0 else 0
    ratio = (rows[other].train_seconds or 0.0) / (rows[least].train_seconds or 1.0)
    if ratio < CHEAPER:
        return ""
    than = f" than {called[other]}" if len(rows) > 2 else ""
    return f"; {called[least]} is {ratio:.1f}× cheaper{than} (seconds of training)"


def _trail(found: Standing, leader: int, others: Sequence[int]) -> str:
    if not others:
        return ""
    called, nearest = names(found.models), others[0]
    verdict = found.family.verdict(leader, nearest)
    test = verdict.test if verdict else None
    if test is None or test.difference is None:
        return ""
    more = f", {_and([called[i] for i in others[1:]])} by more" if others[1:] else ""
    return f"{called[nearest]} trails by {_by(test, found.models[leader].unit)}{more}."


def _by(test: Paired, unit: str) -> str:
    assert test.difference is not None
    half = None
    if test.low is not None and test.high is not None:
        half = test.high / 2 - test.low / 2
    return f"{amount(abs(test.difference), half, unit)}{unit_name(unit)}"


def _more(found: Standing, first: Sequence[int]) -> str:
    """Of the models tied with the leader, the one that the fewest more seeds would part from it."""
    if len(first) < 2:
        return ""
    level = LEVEL / max(found.family.num_tests, 1)
    leader, scores = first[0], found.family.models
    needed = [
        (max(more, 1), i)
        for i in first[1:]
        if (leader, i) not in found.family.reversed
        and (more := more_seeds(pair_differences(scores[leader], scores[i]), level=level))
        is not None
    ]
    count, i = min(needed, default=(SAID + 1, 0))
    if count > SAID:
        return ""
    called = names(found.models)
    seeds = "1 more seed" if count == 1 else f"{count} more seeds"
    return f"{seeds} would probably separate {called[leader]} from {called[i]}."


def _dropped(found: Standing) -> str:
    tests: Iterable[Paired] = (verdict.test for verdict in found.family.verdicts.values())
    if not any(test.dropped for test in tests):
        return ""
    called = names(found.models)
    told = [f"of these {called[j]} is ahead of {called[i]}" for i, j in found.family.reversed]
    return f"{'; '.join(['The tests are over the seeds that both models of a pair have', *told])}."


def _and(words: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))
