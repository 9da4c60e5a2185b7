"""Hydra's own command line: multirun, `--cfg`, `--info`, other launchers."""

import pytest
from helpers.commands import SHORT_RUN, run_quintain, write_file

from quintain.records.store import Store

MULTIRUN = ("-m", "dataset=sunspots", "model=rnn,mlp", *SHORT_RUN, "store=store")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("hydra")


def test_multirun_runs_all_cells_once(folder):
    code, out, err = run_quintain("run", *MULTIRUN, cwd=folder)
    assert code == 0, err
    assert out.count("1 cell: 1 ran") == 2
    code, out, err = run_quintain("run", *MULTIRUN, cwd=folder)
    assert code == 0, err
    assert out.count("1 cell: 0 ran, 1 were in the store") == 2


def test_a_wrong_job_does_not_stop_the_others(folder):
    arguments = [text.replace("rnn,mlp", "mlp") for text in MULTIRUN]
    code, out, err = run_quintain("run", *arguments, "model.num_layers=two,3", cwd=folder)
    assert code == 2
    assert "quintain: model.num_layers: expected a whole number, got 'two'" in err
    assert out.count("1 cell: 1 ran") == 1


def test_cfg_prints_the_configuration_and_runs_nothing(tmp_path):
    code, out, err = run_quintain("run", "--cfg", "job", "model=lstm", "seed=3", cwd=tmp_path)
    assert code == 0, err
    assert "cell: lstm" in out
    assert "seed: 3" in out
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("model=lstm", "--cfg", "job", "seed=3"),
        ("-c", "job", "model=lstm", "seed=3"),
        ("model=lstm", "--cfg=job", "seed=3"),
        ("model=lstm", "-p", "model", "seed=3", "--cfg", "job"),
        ("--info", "config", "model=lstm", "seed=3"),
        ("model=lstm", "--info", "seed=3"),
    ],
)
def test_flags_may_stand_anywhere(arguments, tmp_path):
    code, out, err = run_quintain("run", *arguments, cwd=tmp_path)
    assert code == 0, err
    assert "cell: lstm" in out
    assert ("seed: 3" in out) == ("-p" not in arguments)


def test_info_prints_the_search_path(tmp_path):
    code, out, err = run_quintain("run", "--info", "searchpath", cwd=tmp_path)
    assert code == 0, err
    assert "pkg://quintain.conf" in out


def test_an_unknown_option_has_the_usual_message(tmp_path):
    code, _, err = run_quintain("run", "--cfg", "job", "model=lstn", cwd=tmp_path)
    assert code == 2
    assert "did you mean lstm?" in err


def test_results_are_where_the_command_was_started(tmp_path):
    """Whatever folder Hydra changes to; stores with other letters work too."""
    arguments = ("dataset=sunspots", "model=mlp", *SHORT_RUN, "store=h/äö")
    code, _, err = run_quintain("run", "-m", *arguments, "hydra.job.chdir=true", cwd=tmp_path)
    assert code == 0, err
    assert [record.status for record in Store(tmp_path / "h" / "äö").all()] == ["ok"]
    assert not list(tmp_path.rglob("h/äö/hydra/*/h"))


def test_a_folder_of_configurations_works_without_multirun(tmp_path):
    write_file(tmp_path / "mine" / "model" / "small.yaml", SMALL_MODEL)
    arguments = ("--config-dir", "mine", "dataset=sunspots", "model=small", *SHORT_RUN)
    code, out, err = run_quintain("run", *arguments, cwd=tmp_path)
    assert code == 0, err
    assert "1 cell: 1 ran" in out
    assert [record.names.model for record in Store(tmp_path / "results").all()] == ["small"]


SMALL_MODEL = "defaults: [mlp]\nnum_layers: 1\n"
LAUNCHERS = {
    "joblib": ("hydra.launcher.n_jobs=2",),
    "submitit_local": ("hydra.launcher.cpus_per_task=1", "hydra.launcher.timeout_min=10"),
}


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_other_hydra_launchers_run_each_cell_once(launcher, tmp_path):
    arguments = [*MULTIRUN, f"hydra/launcher={launcher}", *LAUNCHERS[launcher]]
    code, _, err = run_quintain("run", *arguments, cwd=tmp_path)
    assert code == 0, err
    store = Store(tmp_path / "store")
    assert {(r.names.model, r.status) for r in store.all()} == {("rnn", "ok"), ("mlp", "ok")}
    before = {file: file.stat().st_mtime_ns for file in store.files()}
    code, _, err = run_quintain("run", *arguments, cwd=tmp_path)
    assert code == 0, err
    assert {file: file.stat().st_mtime_ns for file in store.files()} == before  # no second run


def test_the_command_fails_if_a_job_of_a_launcher_fails(tmp_path):
    arguments = [
        "-m",
        "dataset=sunspots",
        "model=mlp",
        *SHORT_RUN,
        "store=store",
        "budget.seconds=-1",
    ]
    launcher = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    code, _, err = run_quintain("run", *arguments, "seed=1,2", *launcher, cwd=tmp_path)
    assert code == 2 and "seconds" in err


def test_a_limit_of_a_whole_sweep_is_refused_in_multirun(tmp_path):
    arguments = ["-m", "dataset=sunspots", "model=mlp", *SHORT_RUN, "store=store", "max_hours=1"]
    code, _, err = run_quintain("run", *arguments, cwd=tmp_path)
    assert code == 2 and "max_hours is a limit of a whole sweep" in err


def test_speed_is_not_measured_under_a_parallel_launcher(tmp_path):
    arguments = ["-m", "dataset=sunspots", "model=mlp", *SHORT_RUN, "store=store", "measure=speed"]
    launcher = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    code, _, err = run_quintain("run", *arguments, "seed=1,2", *launcher, cwd=tmp_path)
    assert code == 2 and "JoblibLauncher does not guarantee" in err
    assert not Store(tmp_path / "store").all()
