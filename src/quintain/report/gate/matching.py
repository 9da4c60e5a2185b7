"""Which cells of two stores ask the same question, whatever code answered it."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from quintain.records.schema import Record
from quintain.report.comparisons import untimed
from quintain.report.gate.words import words_of
from quintain.report.variants import settings, spokesman


@dataclass(frozen=True, kw_only=True)
class Match:
    """One cell without its seed: the records of both sides by seed, of the newest code each.

    `words` are what `quintain sweep` is told to run it again, without seeds.
    """

    label: str
    words: tuple[str, ...]
    baseline: dict[int, Record]
    candidate: dict[int, Record]
    notes: tuple[str, ...] = ()

    @property
    def seeds(self) -> list[int]:
        """The seeds that both sides have."""
        return sorted(self.baseline.keys() & self.candidate.keys())


@dataclass(frozen=True, kw_only=True)
class Matches:
    """The cells of both sides, and the labels of those that only one has."""

    both: list[Match]
    missing: list[str]  # in the baseline only
    new: list[str]  # in the candidate only


def matched(baseline: Iterable[Record], candidate: Iterable[Record]) -> Matches:
    """Cells by names and settings off their defaults: what a person asked for.

    A default that the code changed is thus compared with the default before, and a note says so.
    Reference rows and the trials of a search are left out.
    """
    ours, theirs = _cells(baseline), _cells(candidate)
    every = [group for found in (ours, theirs) for group in found.values()]
    labels = _labels([spokesman(group) for group in every])
    names = dict(zip([*ours, *theirs], labels, strict=True))  # of equal questions equal labels
    return Matches(
        both=[_match(names[key], ours[key], theirs[key]) for key in ours if key in theirs],
        missing=[names[key] for key in ours if key not in theirs],
        new=[names[key] for key in theirs if key not in ours],
    )


def once(matches: Sequence[Match]) -> list[Match]:
    """Each score once: seeds that `measure=speed` timed again, with the same scores, left out."""
    trained = {match.words: _ok(match) for match in matches}
    found = []
    for match in matches:
        plain = untimed(match.words)
        twin = trained.get(plain, []) if plain != match.words else []
        known = [seed for seed in _ok(match) if seed in twin]
        if not known or set(match.seeds) - set(known):
            found.append(_but(match, known) if known else match)
    return found


def _ok(match: Match) -> list[int]:
    """The seeds that ran well on both sides: of a failure nothing is known twice."""
    sides = match.baseline, match.candidate
    return [seed for seed in match.seeds if all(side[seed].status == "ok" for side in sides)]


def _but(match: Match, seeds: Sequence[int]) -> Match:
    ours, theirs = (
        {seed: record for seed, record in side.items() if seed not in seeds}
        for side in (match.baseline, match.candidate)
    )
    return replace(match, baseline=ours, candidate=theirs)


def _match(label: str, ours: Sequence[Record], theirs: Sequence[Record]) -> Match:
    return Match(
        label=label,
        words=tuple(words_of(spokesman(theirs))),
        baseline={record.seed: record for record in ours},
        candidate={record.seed: record for record in theirs},
        notes=tuple(_differing(label, ours[0], theirs[0])),
    )


def _cells(records: Iterable[Record]) -> dict[str, list[Record]]:
    """The newest group of each question, in the order of the questions."""
    groups: dict[str, dict[str, list[Record]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        if not record.reference and record.trial is None:
            groups[_question(record)][record.group].append(record)
    return {
        key: max(found.values(), key=lambda group: max(r.finished_at() for r in group))
        for key, found in sorted(groups.items())
    }


def _question(record: Record) -> str:
    asked = settings(record) if record.changed is None else record.changed
    names = record.names
    chosen = names.dataset, names.model, names.budget, names.hardware
    return json.dumps([chosen, asked], sort_keys=True)


def _labels(records: Sequence[Record]) -> list[str]:
    """dataset/model/hardware, and what else was asked for."""
    alike = ["budget"] if len({record.names.budget for record in records}) == 1 else []
    found = []
    for record in records:
        names, told = record.names, ("dataset", "model", "hardware", *alike)
        more = [word for word in words_of(record) if word.split("=")[0] not in told]
        found.append(" ".join([f"{names.dataset}/{names.model}/{names.hardware}", *more]))
    return found


def _differing(label: str, ours: Record, theirs: Record) -> Iterable[str]:
    """Settings that the code changed under one question; the card's promises are no settings."""
    mine, other = settings(ours), settings(theirs)
    changed = [k for k in sorted(mine.keys() | other.keys()) if mine.get(k) != other.get(k)]
    told = [f"{k} {mine.get(k, 'unset')} → {other.get(k, 'unset')}"
            for k in changed if ".card" not in k and k != "dataset.fingerprint"]  # fmt: skip
    if told:
        yield f"{label}: defaults have changed: {', '.join(told)}"
