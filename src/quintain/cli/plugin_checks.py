"""Run the contract tests on the plugins that overrides name, and print a line for each check."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from rich.console import Console

from quintain.cli.output import print_finding
from quintain.compose.config import Composition, compose_job, hydra_session
from quintain.compose.overrides import expand_overrides
from quintain.contracts import Dataset, DataSpec, Unsupported
from quintain.errors import UsageError, describe_error
from quintain.model import build_dataset, build_model
from quintain.plan.preflight import find_signature_problems
from quintain.testing.dataset_checks import DATASET_CHECKS, Case
from quintain.testing.model_checks import MODEL_CHECKS
from quintain.testing.specs import EXAMPLE_SPECS

WIDTH = 16.0


@dataclass(frozen=True)
class Finding:
    """The result of a check on a plugin: passed (True), failed (False) or skipped (None).

    Findings with the same `problem` have one cause.
    """

    passed: bool | None
    subject: str
    message: str
    problem: str = ""


def check_plugins(overrides: Sequence[str], console: Console) -> int:
    """Check the models and datasets that overrides name; return 1 if any failed or was unchecked.

    Raises:
        UsageError: the overrides name no model or dataset, or do not compose.
    """
    groups = {override.partition("=")[0] for override in overrides}
    if not groups & {"model", "dataset"}:
        raise UsageError(
            "nothing to check: give model=NAME, dataset=NAME, or several as in model=a,b"
        )
    if not __debug__:
        raise UsageError("python -O and PYTHONOPTIMIZE remove the checks: run it without them")
    torch.set_num_threads(1)
    failures, unchecked = 0, list[str]()
    with hydra_session():
        for job in expand_overrides(["hardware=cpu", *overrides]):
            for check in (_check_model, _check_dataset):
                findings = _print_findings(check(job, groups), console)
                failures += sum(finding.passed is False for finding in findings)
                if findings and all(finding.passed is None for finding in findings):
                    unchecked.append(findings[0].subject.partition(" on ")[0])
    for name in unchecked:
        console.print(f"{name}: nothing was checked, every example was skipped", markup=False)
    if failures or not unchecked:
        console.print(f"{failures} checks failed" if failures else "all checks passed")
    return 1 if failures or unchecked else 0


def _print_findings(findings: Iterable[Finding], console: Console) -> list[Finding]:
    """Print each finding, but a problem only once with the number of its repetitions."""
    printed: list[Finding] = []
    by_problem: dict[str, list[Finding]] = {}
    for finding in findings:
        printed.append(finding)
        same = by_problem.setdefault(finding.problem, [])
        same.append(finding)
        if not finding.problem or len(same) == 1:
            print_finding(console, finding.passed, f"{finding.subject}: {finding.message}")
    for problem, same in by_problem.items():
        if problem and len(same) > 1:
            subjects = len({finding.subject for finding in same})
            examples = "1 example" if subjects == 1 else f"{subjects} examples"
            line = f"{len(same)} checks on {examples} fail for one reason: {problem}"
            print_finding(console, False, line)
    return printed


def _check_model(job: Sequence[str], groups: set[str]) -> Iterator[Finding]:
    """Check a model on an example of every kind of data."""
    if "model" not in groups:
        return
    without_dataset = [override for override in job if not override.startswith("dataset=")]
    for spec in EXAMPLE_SPECS:
        composition = _compose([f"stem={spec.modality}", f"head={spec.task}", *without_dataset])
        subject = f"model={composition.choices['model']} on {spec.name}"
        prepare = partial(_prepare_model_checks, composition.config, spec)
        yield from _run_checks(subject, MODEL_CHECKS, prepare)


def _prepare_model_checks(config: dict[str, Any], spec: DataSpec) -> tuple[Any, ...]:
    """Return (build, spec), where `build()` builds the model; may raise Unsupported."""
    build = partial(build_model, config, spec, WIDTH if "width" in config["model"] else None)
    build()
    return build, spec


def _check_dataset(job: Sequence[str], groups: set[str]) -> Iterator[Finding]:
    if "dataset" not in groups:
        return
    composition = _compose(job)
    config = composition.config

    def build(**settings: Any) -> Dataset:
        return build_dataset(config | {"dataset": config["dataset"] | settings})

    subject = f"dataset={composition.choices['dataset']}"
    card = config["dataset"].get("card") or {}
    yield from _run_checks(subject, DATASET_CHECKS, lambda: (Case.load(build, card),))


def _compose(overrides: Sequence[str]) -> Composition:
    """Compose a configuration; raise UsageError if a plugin does not accept a setting."""
    composition = compose_job(list(overrides))
    if problems := find_signature_problems(composition.config):
        raise UsageError(problems)
    return composition


def _run_checks(
    subject: str, checks: Sequence[tuple[str, Any]], prepare: Callable[[], tuple[Any, ...]]
) -> Iterator[Finding]:
    """Run checks on the arguments that `prepare` returns; if it fails, that is the only finding."""
    try:
        arguments = prepare()
    except Unsupported as reason:
        yield Finding(None, subject, f"skipped: {reason}")
        return
    except Exception as error:
        problem = f"cannot be built: {describe_error(error)}"
        yield Finding(False, subject, problem, problem)
        return
    for name, check in checks:
        try:
            check(*arguments)
        except Exception as error:
            if isinstance(error, AssertionError):
                problem = re.sub(r"\d[\d.e+-]*", "…", f"{name}: {error}")  # numbers differ
                yield Finding(False, subject, f"{name}: {error}", problem)
                continue
            text = describe_error(error)
            yield Finding(False, subject, f"{name}: {text}", text)
        else:
            yield Finding(True, subject, name)
