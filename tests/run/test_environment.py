"""The environment variables and the folder of a command change no result of a run."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from helpers.cell_factory import build_cell, restore_threads

from quintain.run.environment import (
    list_ignored_variables,
    make_run_environment,
    run_environment,
)
from quintain.run.session import run_cell

CHANGES_RESULTS = {
    "PL_TRAINER_FAST_DEV_RUN": "1",
    "NVIDIA_TF32_OVERRIDE": "1",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": "1",
    "TORCH_BLAS_PREFER_CUBLASLT": "1",
    "TORCHDYNAMO_DISABLE": "1",
    "TORCH_COMPILE_DISABLE": "1",
    "TORCHINDUCTOR_USE_FAST_MATH": "1",
    "ATEN_CPU_CAPABILITY": "default",
    "ONEDNN_DEFAULT_FPMATH_MODE": "BF16",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "MKL_CBWR": "COMPATIBLE",
    "OPENBLAS_CORETYPE": "Nehalem",
    "NPY_DISABLE_CPU_FEATURES": "AVX2",
    "OMP_NUM_THREADS": "3",
    "MKL_NUM_THREADS": "2",
}
STAYS = {
    "CUDA_VISIBLE_DEVICES": "0",
    "TORCH_HOME": "t",
    "TORCH_LOGS": "dynamo",
    "TORCH_NCCL_BLOCKING_WAIT": "1",
    "PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:True",
    "TORCHINDUCTOR_CACHE_DIR": "c",
    "OMP_PROC_BIND": "close",
    "KMP_INIT_AT_FORK": "FALSE",  # scikit-learn sets it
    "CUBLAS_WORKSPACE_CONFIG": ":16:8",  # a run sets it
    "QUINTAIN_DATA": "d",
    "PATH": "/bin",
    "MY_API_KEY": "secret",
}


def test_a_run_does_not_see_variables_that_change_results_but_sees_the_others():
    environment = CHANGES_RESULTS | STAYS
    assert list_ignored_variables(environment) == sorted(CHANGES_RESULTS)
    assert make_run_environment(environment) == STAYS | {
        "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1",
    }  # fmt: skip
    assert list_ignored_variables({"OMP_NUM_THREADS": "1"}) == []


def test_the_environment_is_restored(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setenv("PL_TRAINER_MAX_STEPS", "1")
    before = dict(os.environ)
    with run_environment({"NEW": "1"}):
        assert os.environ["OMP_NUM_THREADS"] == "1" and os.environ["NEW"] == "1"
        assert "PL_TRAINER_MAX_STEPS" not in os.environ
    assert dict(os.environ) == before


SHADOWS = ("random", "numpy", "soundfile", "statistics", "torchmetrics", "quintain_local_x")
SWEEP = ("dataset=digits", "model=mlp", "seed=1", "--no-baselines", "hardware=cpu")
SETTINGS = ("wandb.mode=disabled", "launch.workers=1", "budget.steps=20", "budget.validations=2")


def sweep_in(folder, **variables):
    """Run one cell from a folder; return its key, its scores and the output."""
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-P", "-m", "quintain", "sweep", *SWEEP, *SETTINGS, "store=s"]
    done = subprocess.run(
        command, cwd=folder, env=os.environ | variables, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (file,) = (folder / "s" / "records").rglob("*.json")
    record = json.loads(file.read_text())
    curve = [{k: v for k, v in p.items() if k != "seconds"} for p in record["quality"]["curve"]]
    return record["key"], record["quality"]["scores"], curve, done.stdout + done.stderr


def test_neither_variables_nor_files_of_the_folder_change_a_sweep(tmp_path):
    key, scores, curve, output = sweep_in(tmp_path / "plain")
    assert "environment:" not in output
    other = tmp_path / "other"
    other.mkdir()
    for name in SHADOWS:
        (other / f"{name}.py").write_text(
            f"open({str(other / 'imported')!r}, 'a').write({name!r}); raise RuntimeError"
        )
    result = sweep_in(other, **CHANGES_RESULTS)
    assert result[:3] == (key, scores, curve)
    assert f"runs do not see {', '.join(sorted(CHANGES_RESULTS))}" in result[3].replace("\n", " ")
    assert not (other / "imported").exists()


def test_a_run_by_module_does_not_see_the_variables(tmp_path):
    cell = build_cell("digits", "mlp")
    (tmp_path / "cell.json").write_text(cell.to_json())
    done = subprocess.run(
        [sys.executable, "-P", "-m", "quintain.run", "cell.json"],
        cwd=tmp_path,
        env=os.environ | CHANGES_RESULTS,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    with restore_threads():
        expected = run_cell(cell).dump()["quality"]["scores"]
    assert json.loads(done.stdout)["quality"]["scores"] == expected
