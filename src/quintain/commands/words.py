"""The words of commands that compose nothing: which store, and what they refuse."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from quintain.records.store import Store

STORES = ("records", "plans")  # what sweeps leave in a store
TAKES_A_STORE = ("leaderboard", "records", "compare", "export", "publish")
"""Commands whose bare word is a store: `quintain leaderboard team.qb`."""


def with_store_named(arguments: argparse.Namespace) -> list[str]:
    """The settings, with `store=` before a bare word, and from `--store`, of commands that do."""
    words = [str(word) for word in arguments.settings]
    if arguments.command in TAKES_A_STORE:
        words = [word if "=" in word else f"store={word}" for word in words]
        _check_one_store(words)
    if arguments.command == "import" and arguments.store is not None:
        words.append(f"store={arguments.store}")
    return words


def _check_one_store(words: Sequence[str]) -> None:
    from quintain.compose.errors import UsageError

    stores = [word.partition("=")[2] for word in words if word.startswith("store=")]
    if len(stores) > 1:
        raise UsageError(
            f"one store at a time, came {', '.join(stores)}: `quintain compare A B` sets two"
            " against each other, `quintain export STORE --to FILE` and `import FILE` join them"
        )


def existing_store(arguments: argparse.Namespace) -> Store:
    """The store of a command's words; raises UsageError."""
    return store_at(named_store(arguments))


def named_store(arguments: argparse.Namespace) -> Path:
    """Where the store of a command's words lies, or its bundle; raises UsageError."""
    values = plain_settings(arguments, {"store": "results"}, lives_on=True)
    return Path(values["store"]).expanduser()


def store_at(path: Path) -> Store:
    """The store in a folder, or what a bundle holds, as a store.

    Raises:
        UsageError: there is none.
        StoreError: a bundle that is not taken.
    """
    from quintain.compose.errors import UsageError
    from quintain.records.bundle import is_bundle, open_bundle
    from quintain.records.store import Store, fetchers

    if path.exists() and is_bundle(path):
        return open_bundle(path)
    if not path.exists():
        raise UsageError(f"there is no store at {path}; run quintain sweep, or give store=FOLDER")
    here = path not in fetchers  # what stands for a remote store may be empty
    if here and any(path.iterdir()) and not any((path / name).exists() for name in STORES):
        raise UsageError(f"{path} is no store: it has neither {' nor '.join(STORES)} in it")
    return Store(path)


def plain_settings(
    arguments: argparse.Namespace, known: dict[str, str], *, lives_on: bool = False
) -> dict[str, str]:
    """key=value settings of a command that composes nothing; raises UsageError.

    With `lives_on` the words may be those of the sweep that made the store: what says only how
    cells run changes nothing and is taken; what chooses cells is refused, since it would seem to
    choose among the results.
    """
    from quintain.compose.errors import UsageError, nearest
    from quintain.compose.settings import PLACES, TABLES

    running = [*PLACES, *(f"{table}.{key}" for table, keys in TABLES.items() for key in keys)]
    values, problems = dict(known), []
    for setting in arguments.settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise UsageError(f"{setting!r} is no setting; expected key=value, as in store=results")
        if key in known:
            values[key] = value
        elif lives_on and _chooses_cells(key):
            problems.append(f"{setting}: {arguments.command} takes no choice of cells; "
                            "it shows all that store=FOLDER holds")  # fmt: skip
        elif key != "plugins_dir" and not (lives_on and key in running):
            options = list(dict.fromkeys([*known, *(running if lives_on else ())]))
            problems.append(f"{key}: no such setting here{nearest(key, options)}")
    if problems:
        raise UsageError(problems)
    return values


def _chooses_cells(key: str) -> bool:
    from quintain.compose.cells import PARTS

    return key.lstrip("+~").split(".")[0] in (*PARTS, "seed", "measure", "suite")
