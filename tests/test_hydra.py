"""Hydra's own command line: multirun, `--cfg`, `--info`, other launchers."""

import pytest
from words import QUIET, quintain

from quintain.records.store import Store

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


LAUNCHERS = {
    "joblib": ("hydra.launcher.n_jobs=2",),
    "submitit_local": ("hydra.launcher.cpus_per_task=1", "hydra.launcher.timeout_min=10"),
}


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_launchers_of_hydra(launcher, tmp_path):
    words = [*WORDS, f"hydra/launcher={launcher}", *LAUNCHERS[launcher]]
    code, _, err = quintain("run", *words, cwd=tmp_path)
    assert code == 0, err
    store = Store(tmp_path / "store")
    assert {(r.names.model, r.status) for r in store.all()} == {("rnn", "ok"), ("mlp", "ok")}
    before = {file: file.stat().st_mtime_ns for file in store.files()}
    code, _, err = quintain("run", *words, cwd=tmp_path)
    assert code == 0, err
    assert {file: file.stat().st_mtime_ns for file in store.files()} == before  # no second run


def test_a_failure_under_a_launcher_is_the_commands(tmp_path):
    words = ["-m", "dataset=sunspots", "model=mlp", *QUIET, "store=store", "budget.seconds=-1"]
    launcher = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    code, _, err = quintain("run", *words, "seed=1,2", *launcher, cwd=tmp_path)
    assert code == 2 and "seconds" in err


def test_a_limit_of_a_whole_sweep_is_refused(tmp_path):
    words = ["-m", "dataset=sunspots", "model=mlp", *QUIET, "store=store", "max_hours=1"]
    code, _, err = quintain("run", *words, cwd=tmp_path)
    assert code == 2 and "max_hours is of a whole sweep" in err


def test_a_launcher_that_runs_side_by_side_is_not_given_clean_times(tmp_path):
    words = ["-m", "dataset=sunspots", "model=mlp", *QUIET, "store=store", "measure=speed"]
    launcher = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    code, _, err = quintain("run", *words, "seed=1,2", *launcher, cwd=tmp_path)
    assert code == 2 and "JoblibLauncher does not promise" in err
    assert not Store(tmp_path / "store").all()
