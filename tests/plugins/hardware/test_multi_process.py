"""Placement of processes, devices of this machine, and meters of an absent GPU."""

from __future__ import annotations

import pytest

from quintain.meters.cuda import OtherProcesses, cuda_meters
from quintain.meters.cuda_driver import list_cuda_devices, missing_gpus
from quintain.multi_process import first_slurm_node, read_rank_placement
from quintain.plugins.hardware.cpu_ddp import CpuDdp
from quintain.plugins.hardware.cuda_ddp import CudaDdp
from quintain.plugins.hardware.cuda_fsdp import CudaFsdp
from quintain.plugins.hardware.multi_node import MultiNode
from quintain.run.measure.readings import merge_rank_readings
from quintain.run.measure.trust_checks import check_throttling

TORCHRUN = {"RANK": "3", "LOCAL_RANK": "1", "WORLD_SIZE": "4", "MASTER_ADDR": "n0"}
SLURM = {
    "SLURM_PROCID": "2",
    "SLURM_LOCALID": "0",
    "SLURM_NTASKS": "4",
    "SLURM_JOB_ID": "20123",
    "SLURM_NODELIST": "gpu[03-04],login",
}


def test_the_placement_that_torchrun_and_slurm_describe():
    placement = read_rank_placement(TORCHRUN | {"MASTER_PORT": "1234"})
    assert (placement.rank, placement.local_rank, placement.world_size) == (3, 1, 4)
    assert (placement.address, placement.port) == ("n0", 1234)
    placement = read_rank_placement(SLURM)
    assert (placement.rank, placement.local_rank, placement.world_size, placement.address) == (
        2,
        0,
        4,
        "gpu03",
    )
    assert placement.port == 15_000 + 20123 % 20_000
    assert read_rank_placement({}) is None
    with pytest.raises(ValueError, match="RANK must be a whole number, got 'x'"):
        read_rank_placement(TORCHRUN | {"RANK": "x"})


@pytest.mark.parametrize(
    ("nodes", "first"),
    [("a", "a"), ("a,b", "a"), ("gpu[03-05,9]", "gpu03"), ("n[7],m", "n7"), ("x,gpu[1-2]", "x")],
)
def test_the_first_of_a_list_of_nodes(nodes, first):
    assert first_slurm_node(nodes) == first


def test_missing_gpus_names_those_that_are_there():
    assert missing_gpus(2, ["A", "B"]) is None
    message = "needs 4 NVIDIA GPUs; this machine has 1: cuda:0 Tesla X"
    assert missing_gpus(4, ["Tesla X"]) == message
    assert missing_gpus(1, "no driver") == "needs an NVIDIA GPU; no driver"
    assert "no NVIDIA driver" in list_cuda_devices("libthere-is-none.so")


def test_several_nodes_need_the_right_number_of_processes():
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
def test_all_wrong_settings_are_in_one_message(kind):
    with pytest.raises(ValueError, match=r"devices must be .* 0; threads .* 0; timeout .* 0"):
        kind(devices=0, threads=0, timeout=0)
    strategy = "fsdp" if kind is CudaFsdp else "ddp"
    assert kind().trainer_arguments()["strategy"] == strategy
    assert kind(precision="bf16-mixed", threads=3).threads() == 3


def test_one_device_needs_no_strategy():
    for kind in (CpuDdp, CudaDdp, CudaFsdp):
        assert "strategy" not in kind(devices=1).trainer_arguments()


def test_all_gpus_of_a_hardware_are_needed():
    if not isinstance(list_cuda_devices(), str):
        pytest.skip("this machine has a GPU")
    for kind in (CudaDdp, CudaFsdp):
        assert kind(devices=4).missing() == f"needs 4 NVIDIA GPUs; {list_cuda_devices()}"


def test_meters_of_an_absent_gpu_have_reasons():
    if not isinstance(list_cuda_devices(), str):
        pytest.skip("this machine has a GPU")
    names = {meter.name for meter in cuda_meters()}
    assert {"gpu_utilisation", "gpu_clock_mhz", "throttled_share", "other_processes"} < names
    shared = [m for m in cuda_meters() if m.name not in ("device_peak_mb", "host_peak_mb")]
    for meter in shared:
        meter.start()
    for meter in shared:
        meter.stop()
        assert isinstance(meter.read(), str), meter.name
    assert isinstance(OtherProcesses().read(), float)


def test_readings_of_two_ranks_are_merged_and_a_throttled_device_is_recorded():
    def readings(share: float) -> dict[str, float]:
        return {"throttled_share": share, "energy_kwh": 1.0, "device_peak_mb": 5 + share}

    merged = merge_rank_readings([readings(0.0), readings(0.5)], whole_machine=[])
    assert merged == {"throttled_share": 0.25, "energy_kwh": 2.0, "device_peak_mb": 5.5}
    check = check_throttling(merged)
    assert check["ok"] is False and "throttled the device in 25% of the readings" in check["note"]
    assert check_throttling({"throttled_share": "no NVML"})["ok"] is None


def test_a_throttled_cpu_is_recorded_once_for_the_whole_machine():
    def check(events: float) -> dict[str, object]:
        rank = {"throttled_events": events}
        return check_throttling(merge_rank_readings([rank, rank], ["throttled_events"]))

    assert check(0.0)["ok"] is True
    assert check(3.0) == {"ok": False, "note": "heat throttled the CPU 3 times during the run"}
