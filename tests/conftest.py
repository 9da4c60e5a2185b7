"""For all tests: a search for examples takes the same ones each time, so that a CI tells the truth
about a change; `--hypothesis-profile=default` looks for others."""

from hypothesis import settings

settings.register_profile("same", derandomize=True)
settings.load_profile("same")
