"""What Hydra composes and what it raises, remembered: one composition takes 0.1 s."""

from __future__ import annotations

from functools import lru_cache

import yaml
from hydra import compose
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

COMPOSE_ERRORS = (HydraException, OmegaConfBaseException, yaml.YAMLError, ValueError)
"""Raised where words, or the YAML files that they name, do not compose."""


@lru_cache(maxsize=64)
def compose_raw(overrides: tuple[str, ...]) -> DictConfig:
    """The configuration with Hydra's own `hydra` node, nothing resolved; not to be changed."""
    return compose("config", list(overrides), return_hydra_config=True)
