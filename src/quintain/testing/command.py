"""`quintain check model=… dataset=…`: the contract tests on plugins, one line a finding."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from rich.console import Console
from rich.text import Text

from quintain.compose.build import build_dataset, build_model
from quintain.compose.config import compose_one, composer
from quintain.compose.errors import UsageError
from quintain.compose.expand import expand
from quintain.compose.preflight import misfits
from quintain.contracts import Dataset, DataSpec, Skip
from quintain.testing.dataset_checks import DATASET_CHECKS, Case
from quintain.testing.model_checks import MODEL_CHECKS
from quintain.testing.specs import EXAMPLE_SPECS

WIDTH = 16.0
CHECKED = ("model", "dataset")


@dataclass(frozen=True)
class Finding:
    """One check on one plugin: passed (True), failed (False), or not applicable (None)."""

    ok: bool | None
    where: str
    words: str


def check(settings: Sequence[str], console: Console) -> int:
    """Check the models and datasets that the settings name; 1 if one failed or none applied.

    Raises:
        UsageError: nothing to check is named, or a plugin cannot be composed.
    """
    named = {setting.partition("=")[0] for setting in settings}
    if not named & set(CHECKED):
        raise UsageError("say what to check: model=NAME, dataset=NAME, or several: model=a,b")
    torch.set_num_threads(1)
    failed, bare = 0, list[str]()
    with composer():
        for job in expand(["hardware=cpu", *settings]):
            for part in (_models(job, named), _datasets(job, named)):
                findings = []
                for finding in part:
                    _print(finding, console)
                    findings.append(finding)
                failed += sum(finding.ok is False for finding in findings)
                if findings and all(finding.ok is None for finding in findings):
                    bare.append(findings[0].where.partition(" on ")[0])
    for name in bare:
        console.print(f"{name}: nothing was checked, for every example was skipped", markup=False)
    if failed or not bare:
        console.print(f"{failed} checks failed" if failed else "all checks passed")
    return 1 if failed or bare else 0


def _models(job: Sequence[str], named: set[str]) -> Iterator[Finding]:
    if "model" not in named:
        return
    for spec in EXAMPLE_SPECS:
        stem_and_head = [f"stem={spec.modality}", f"head={spec.task}"]
        composed = compose_one([*stem_and_head, *_without(job, "dataset")])
        _bind(composed)
        where = f"model={composed.choices['model']} on {spec.name}"
        yield from _run(where, MODEL_CHECKS, _model_arguments(composed.config, spec))


def _model_arguments(config: dict[str, Any], spec: DataSpec) -> Callable[[], tuple[Any, ...]]:
    width = WIDTH if "width" in config["model"] else None

    def arguments() -> tuple[Any, ...]:
        build_model(config, spec, width)  # a Skip shows here, before any check
        return (lambda: build_model(config, spec, width)), spec

    return arguments


def _datasets(job: Sequence[str], named: set[str]) -> Iterator[Finding]:
    if "dataset" not in named:
        return
    composed = compose_one(list(job))
    _bind(composed)
    config, name = composed.config, composed.choices["dataset"]

    def make(**other: Any) -> Dataset:
        return build_dataset(config | {"dataset": config["dataset"] | other})

    def arguments() -> tuple[Any, ...]:
        card = config["dataset"].get("card") or {}
        return (Case.load(make, card),)

    yield from _run(f"dataset={name}", DATASET_CHECKS, arguments)


def _bind(composed: Any) -> None:
    """Settings that do not fit are usage errors, as in a run."""
    if problems := misfits(composed.config):
        raise UsageError(problems)


def _run(
    where: str, checks: Sequence[tuple[str, Any]], arguments: Callable[[], tuple[Any, ...]]
) -> Iterator[Finding]:
    try:
        given = arguments()
    except Skip as reason:
        yield Finding(None, where, f"skipped: {reason}")
        return
    except Exception as error:
        yield Finding(False, where, f"cannot be built: {type(error).__name__}: {error}")
        return
    for name, function in checks:
        try:
            function(*given)
        except Exception as error:
            kind = "" if isinstance(error, AssertionError) else f"{type(error).__name__}: "
            yield Finding(False, where, f"{name}: {kind}{error}")
        else:
            yield Finding(True, where, name)


def _without(job: Sequence[str], key: str) -> list[str]:
    return [setting for setting in job if setting.partition("=")[0] != key]


def _print(finding: Finding, console: Console) -> None:
    mark, style = {True: ("✓", "green"), False: ("✗", "red"), None: ("–", "dim")}[finding.ok]
    words = Text(f"{mark} {finding.where}: {finding.words}", style=style)
    console.print(words, soft_wrap=True)
