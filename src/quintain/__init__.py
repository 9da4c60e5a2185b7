"""Quintain: a benchmark of the same few architectures on images, video, speech, text and series.

`quintain.run`, `sweep`, `leaderboard`, `compare`, `load` and `Store` are the Python API, which
`quintain.api` describes. They are imported when first used, so `import quintain` is quick.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from quintain._version import __version__

if TYPE_CHECKING:
    from inspect import Signature

    from quintain.api import compare, leaderboard, load, run, sweep
    from quintain.records.schema import Record
    from quintain.records.store import Store

__all__ = ["Store", "__version__", "compare", "leaderboard", "load", "run", "sweep"]


def __getattr__(name: str) -> Any:
    """Import a name of the API at its first use (PEP 562)."""
    from importlib import import_module

    if name == "run":
        return import_module("quintain.run")
    if name in __all__:
        module = import_module("quintain.records.store" if name == "Store" else "quintain.api")
        return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class _RunPackage(ModuleType):
    @property
    def __doc__(self) -> str:  # type: ignore[override]
        """The package `quintain.run`, which can be called like the function of the API."""
        from quintain.api import run

        return str(run.__doc__)

    @property
    def __signature__(self) -> Signature:
        from inspect import signature

        from quintain.api import run

        return signature(run)

    def __call__(self, *args: Any, **settings: Any) -> Record:
        """Run one cell and return its record; see `quintain.api.run`."""
        from quintain.api import run

        return run(*args, **settings)


class _Package(ModuleType):
    """The package `quintain`; `import quintain.run` sets its attribute `run` to a module."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "run" and isinstance(value, ModuleType):
            value.__class__ = _RunPackage
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
