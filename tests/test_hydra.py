"""Hydra's own command line: multirun, `--cfg`, `--info`, other launchers."""

import importlib.util

import pytest
from words import QUIET, quintain

WORDS = ("-m", "dataset=sunspots", "model=rnn,mlp", *QUIET, "store=store")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("hydra")


def test_multirun_and_then_all_is_cached(folder):
    code, out, err = quintain("run", *WORDS, cwd=folder)
    assert code == 0, err
    assert out.count("1 cell: 1 ran") == 2
    code, out, err = quintain("run", *WORDS, cwd=folder)
    assert code == 0, err
    assert out.count("1 cell: 0 ran, 1 were in the store") == 2


def test_a_job_that_cannot_be_done_does_not_stop_the_others(folder):
    words = [word.replace("rnn,mlp", "mlp") for word in WORDS]
    code, out, err = quintain("run", *words, "model.num_layers=two,3", cwd=folder)
    assert code == 2
    assert "quintain: model.num_layers: Mlp expects int, came 'two'" in err
    assert out.count("1 cell: 1 ran") == 1


def test_cfg_shows_the_configuration_and_runs_nothing(tmp_path):
    code, out, err = quintain("run", "--cfg", "job", "model=lstm", "seed=3", cwd=tmp_path)
    assert code == 0, err
    assert "cell: lstm" in out
    assert "seed: 3" in out
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    "words",
    [
        ("model=lstm", "--cfg", "job", "seed=3"),
        ("-c", "job", "model=lstm", "seed=3"),
        ("model=lstm", "--cfg=job", "seed=3"),
        ("model=lstm", "-p", "model", "seed=3", "--cfg", "job"),
        ("--info", "config", "model=lstm", "seed=3"),
        ("model=lstm", "--info", "seed=3"),
    ],
)
def test_a_flag_stands_anywhere(words, tmp_path):
    code, out, err = quintain("run", *words, cwd=tmp_path)
    assert code == 0, err
    assert "cell: lstm" in out
    assert ("seed: 3" in out) == ("-p" not in words)


def test_info_shows_the_search_path(tmp_path):
    code, out, err = quintain("run", "--info", "searchpath", cwd=tmp_path)
    assert code == 0, err
    assert "pkg://quintain.conf" in out


def test_an_unknown_option_is_told_as_elsewhere(tmp_path):
    code, _, err = quintain("run", "--cfg", "job", "model=lstn", cwd=tmp_path)
    assert code == 2
    assert "did you mean lstm?" in err


@pytest.mark.skipif(
    importlib.util.find_spec("hydra_plugins") is None
    or importlib.util.find_spec("hydra_plugins.hydra_joblib_launcher") is None,
    reason="hydra-joblib-launcher is not installed",
)
def test_the_joblib_launcher(folder):
    words = [*WORDS, "seed=7", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
    code, _, err = quintain("run", *words, cwd=folder)
    assert code == 0, err
    assert len(list((folder / "store" / "records").rglob("*.json"))) >= 2
