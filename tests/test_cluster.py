"""Where a process stands, which devices are there, and what a meter of an absent GPU says."""

from __future__ import annotations

import pytest

from quintain.kit.cluster import first_node, place_of
from quintain.kit.devices import cuda_devices, missing_gpus
from quintain.kit.nvml import OtherProcesses, cuda_meters
from quintain.plugins.hardware.cpu_ddp import CpuDdp
from quintain.plugins.hardware.cuda_ddp import CudaDdp
from quintain.plugins.hardware.cuda_fsdp import CudaFsdp
from quintain.plugins.hardware.multi_node import MultiNode

TORCHRUN = {"RANK": "3", "LOCAL_RANK": "1", "WORLD_SIZE": "4", "MASTER_ADDR": "n0"}
SLURM = {
    "SLURM_PROCID": "2",
    "SLURM_LOCALID": "0",
    "SLURM_NTASKS": "4",
    "SLURM_JOB_ID": "20123",
    "SLURM_NODELIST": "gpu[03-04],login",
}


def test_the_place_that_torchrun_and_slurm_tell():
    place = place_of(TORCHRUN | {"MASTER_PORT": "1234"})
    assert (place.rank, place.local_rank, place.world) == (3, 1, 4)
    assert (place.address, place.port) == ("n0", 1234)
    place = place_of(SLURM)
    assert (place.rank, place.local_rank, place.world, place.address) == (2, 0, 4, "gpu03")
    assert place.port == 15_000 + 20123 % 20_000
    assert place_of({}) is None
    with pytest.raises(ValueError, match="RANK must be a whole number, came 'x'"):
        place_of(TORCHRUN | {"RANK": "x"})


@pytest.mark.parametrize(
    ("nodes", "first"),
    [("a", "a"), ("a,b", "a"), ("gpu[03-05,9]", "gpu03"), ("n[7],m", "n7"), ("x,gpu[1-2]", "x")],
)
def test_the_first_of_a_list_of_nodes(nodes, first):
    assert first_node(nodes) == first


def test_what_is_missing_names_what_is_there():
    assert missing_gpus(2, ["A", "B"]) is None
    said = "needs 4 NVIDIA GPUs; this machine shows 1: cuda:0 Tesla X"
    assert missing_gpus(4, ["Tesla X"]) == said
    assert missing_gpus(1, "no driver") == "needs an NVIDIA GPU; no driver"
    assert "no NVIDIA driver" in cuda_devices("libthere-is-none.so")


def test_several_nodes_need_as_many_processes_as_they_ask_for():
    hardware = MultiNode(nodes=2, devices=2, accelerator="cpu")
    assert "needs 4 processes started by srun or torchrun" in hardware.missing({})
    assert hardware.missing(SLURM) is None and hardware.place(SLURM).rank == 2
    few = SLURM | {"SLURM_NTASKS": "3"}
    assert "2 nodes × 2 ranks = 4 processes; 3 were started" in hardware.missing(few)
    with pytest.raises(ValueError, match="hardware=multi_node needs 2 nodes"):
        hardware.place(few)
    arguments = hardware.trainer_arguments()
    assert (arguments["devices"], arguments["num_nodes"]) == (2, 2)


@pytest.mark.parametrize("kind", [CpuDdp, CudaDdp, CudaFsdp, MultiNode])
def test_wrong_settings_come_in_one_message(kind):
    with pytest.raises(ValueError, match=r"devices must be .* 0; threads .* 0; timeout .* 0"):
        kind(devices=0, threads=0, timeout=0)
    strategy = "fsdp" if kind is CudaFsdp else "ddp"
    assert kind().trainer_arguments()["strategy"] == strategy
    assert kind(precision="bf16-mixed", threads=3).threads() == 3


def test_one_device_needs_no_strategy():
    for kind in (CpuDdp, CudaDdp, CudaFsdp):
        assert "strategy" not in kind(devices=1).trainer_arguments()


def test_a_plan_asks_for_all_gpus_of_a_hardware():
    if not isinstance(cuda_devices(), str):
        pytest.skip("a GPU is here")
    for kind in (CudaDdp, CudaFsdp):
        assert kind(devices=4).missing() == f"needs 4 NVIDIA GPUs; {cuda_devices()}"


def test_meters_of_a_gpu_that_cannot_be_read_say_why():
    if not isinstance(cuda_devices(), str):
        pytest.skip("a GPU is here")
    names = {meter.name for meter in cuda_meters()}
    assert {"gpu_utilisation", "gpu_clock_mhz", "throttled_share", "other_processes"} < names
    shared = [m for m in cuda_meters() if m.name not in ("device_peak_mb", "host_peak_mb")]
    for meter in shared:
        meter.start()
    for meter in shared:
        meter.stop()
        assert isinstance(meter.read(), str), meter.name
    assert isinstance(OtherProcesses().read(), float)


def test_a_device_that_was_held_back_is_said():
    from quintain.kit.meters import Absent
    from quintain.run.assemble import _throttled
    from quintain.run.together import Report, merged

    def report(share: float) -> Report:
        plain = {"step_ms": [1.0], "shared_ms": [], "input_seconds": 0.0, "whole_machine": []}
        meters = {"throttled_share": share, "energy_kwh": 1.0, "device_peak_mb": 5 + share}
        return Report(**plain, meters=meters)

    both = merged([report(0.0), report(0.5)])
    assert {m.name: m.read() for m in both} == {
        "throttled_share": 0.25,
        "energy_kwh": 2.0,
        "device_peak_mb": 5.5,
    }
    label = _throttled(both)["throttled"]
    assert label["ok"] is False and "25% of the looks" in label["note"]
    assert _throttled([Absent("throttled_share", "no NVML")])["throttled"]["ok"] is None


def test_a_cpu_that_was_held_back_is_said():
    from quintain.run.assemble import _throttled
    from quintain.run.together import Report, merged

    def label(events: float) -> dict[str, object]:
        plain = {"step_ms": [1.0], "shared_ms": [], "input_seconds": 0.0}
        report = Report(
            **plain, whole_machine=["throttled_events"], meters={"throttled_events": events}
        )
        return _throttled(merged([report, report]))["throttled"]

    assert label(0.0)["ok"] is True
    assert label(3.0) == {"ok": False, "note": "heat held the CPU back 3 times during the run"}
