"""Cached access to Hydra: composed configurations, and single YAML files of its search path."""

from __future__ import annotations

from functools import lru_cache

import yaml
from hydra import compose
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from hydra.plugins.config_source import ConfigResult
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

COMPOSE_ERRORS = (HydraException, OmegaConfBaseException, yaml.YAMLError, ValueError)
"""Raised if overrides, or the YAML files that they choose, do not compose."""


@lru_cache(maxsize=64)
def compose_unresolved(overrides: tuple[str, ...]) -> DictConfig:
    """Return the configuration with Hydra's `hydra` node, unresolved; it must not be changed."""
    return compose("config", list(overrides), return_hydra_config=True)


def load_yaml(path: str) -> ConfigResult | None:
    """Return the first YAML file with this path on Hydra's search path, or None.

    The file is not composed: its values include the `defaults` list.
    """
    for source in GlobalHydra.instance().config_loader().get_sources():
        if source.is_config(path):
            return source.load_config(path)
    return None
