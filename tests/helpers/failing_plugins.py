"""A plugin folder with models that fail in every way a run can fail, for tests of the launcher."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_CODE = '''
import ctypes, os, resource, signal, subprocess, sys, time
from pathlib import Path
import torch
from torch import nn
from quintain.contracts import Features, Unsupported

FOLDER = Path(__file__).parent


class Good(nn.Module):
    """A small model; logs each build with real weights: class, process and number of threads."""

    input_layout = "sequence"

    def __init__(self, inp, *, pause=0.0):
        super().__init__()
        self.read = nn.Linear(inp.dim, 4)
        self.out = Features(**{**vars(inp), "dim": 4})
        self.pause = pause
        if not self.read.weight.is_meta:
            with (FOLDER / "built.txt").open("a") as file:
                file.write(f"{type(self).__name__} {os.getpid()} {torch.get_num_threads()}\\n")

    def forward(self, x, mask):
        if not x.is_meta:
            if self.training:
                time.sleep(self.pause)
            while (FOLDER / "hold").exists():
                (FOLDER / "held").touch()
                time.sleep(0.02)
            self.fail()
        return self.read(x), mask

    def fail(self):
        pass


class Raises(Good):
    def fail(self):
        raise KeyError("a bug in the model, " + os.environ.get("BAD_API_KEY", ""))


class PrintsSecret(Good):
    def fail(self):
        print("my key is " + os.environ.get("BAD_API_KEY", ""))
        if not self.training:
            raise RuntimeError("enough")


class Exits(Good):
    def fail(self):
        os._exit(3)


class SysExits(Good):
    def fail(self):
        sys.exit(4)


class Killed(Good):
    def fail(self):
        os.kill(os.getpid(), signal.SIGKILL)


class Segfaults(Good):
    def fail(self):
        ctypes.string_at(0)


class Hangs(Good):
    def fail(self):
        child = subprocess.Popen(["sleep", "600"])
        (FOLDER / "hangs.txt").write_text(f"{os.getpid()} {child.pid}")
        while True:
            time.sleep(1)


class HangsInC(Good):
    """Never releases the GIL, so that no other thread of the run continues."""

    def fail(self):
        (FOLDER / "hangs_in_c.txt").write_text(f"{os.getpid()}")
        ctypes.PyDLL(None).sleep(600)


class HangsWhenBuilt(Good):
    """Hangs in preflight, where the model is built first."""

    def __init__(self, inp):
        (FOLDER / "hangs_when_built.txt").touch()
        time.sleep(600)


class LeavesChild(Good):
    """Exits at once and leaves a child process."""

    def fail(self):
        child = subprocess.Popen(["sleep", "600"])
        (FOLDER / "leaves_child.txt").write_text(f"{child.pid}")
        os._exit(0)


class LeavesSession(Good):
    """Starts a program with a session of its own, and then ends well, exits, or hangs.

    If it hangs in C, its other threads cannot continue.
    """

    def __init__(self, inp, *, how):
        super().__init__(inp)
        self.how = how

    def fail(self):
        file = FOLDER / f"leaves_session_{self.how}.txt"
        if not file.exists():
            child = subprocess.Popen(["sleep", "600"], start_new_session=True)
            file.write_text(f"{child.pid}")
        if self.how == "exits":
            os._exit(7)
        if self.how == "hangs":
            time.sleep(600)
        if self.how == "hangs_in_c":
            ctypes.PyDLL(None).sleep(600)


class StopsInTraining(Good):
    """Touches a file when training starts, and then takes an hour for the step."""

    def __init__(self, inp, *, note):
        super().__init__(inp)
        self.note = Path(note)

    def fail(self):
        if self.training:
            self.note.touch()
            time.sleep(3600)


class Leaks(Good):
    """Allocates 32 MiB every hundredth of a second, up to 3 GiB."""

    def fail(self):
        self.memory = []
        while len(self.memory) < 96:
            self.memory.append(torch.ones(2**23))
            time.sleep(0.01)
        time.sleep(600)


class ClockGoesBack(Good):
    """The wall clock goes back by a day in the middle of the run."""

    def fail(self):
        from datetime import datetime, timedelta
        from quintain.records import schema

        class Yesterday(datetime):
            @classmethod
            def now(cls, tz=None):
                return datetime.now(tz) - timedelta(days=1)

        real = time.time
        if schema.datetime is datetime:
            time.time = lambda: real() - 86400
            schema.datetime = Yesterday


class PrintsGigabyte(Good):
    """Prints a gigabyte and then finishes."""

    def fail(self):
        if not (FOLDER / "printed_on").exists():
            (FOLDER / "printed_on").touch()
            for _ in range(1024):
                os.write(1, b"x" * (2**20 - 1) + b"\\n")


class NanLoss(Good):
    def forward(self, x, mask):
        x, mask = super().forward(x, mask)
        return x * float("nan"), mask


class PrintsMegabytes(Good):
    def fail(self):
        if not (FOLDER / "printed").exists():
            (FOLDER / "printed").touch()
            for number in range(50 * 1024):
                print(str(number).rjust(1023, "x"))


class OutOfMemory(Good):
    def fail(self):
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + 2**28, -1))
        self.memory = [torch.empty(2**25) for _ in range(64)]


class DataProblem(Good):
    def fail(self):
        from quintain.errors import DataError
        raise DataError("the file is short")


class IsUnsupported(Good):
    """Raises Unsupported only on real data, so that preflight passes."""

    def fail(self):
        raise Unsupported("not on this data")


class NeverExits(Good):
    """Starts a thread that keeps the process alive after the record is written."""

    def fail(self):
        import threading
        if not getattr(self, "thread", None):
            self.thread = threading.Thread(target=time.sleep, args=(600,))
            self.thread.start()


class ClosesFiles(Good):
    """Closes all files, the pipe to the sweep included."""

    def fail(self):
        os.closerange(3, 200)
        time.sleep(0.6)
        os._exit(5)
'''


def write_models(folder: Path, **options: str) -> Path:
    """Write `plugins/model/bad.py` and a `conf/model/NAME.yaml` for each option; return the folder.

    The value of an option is the class with its settings: `slow="Good pause=0.1"`.
    """
    code = folder / "plugins" / "model" / "bad.py"
    code.parent.mkdir(parents=True)
    code.write_text(_CODE)
    conf = folder / "conf" / "model"
    conf.mkdir(parents=True)
    for name, text in options.items():
        class_name, *settings = text.split()
        lines = [f"_target_: quintain_local.model.bad.{class_name}"]
        lines += [setting.replace("=", ": ") for setting in settings]
        (conf / f"{name}.yaml").write_text("\n".join([*lines, "card: {needs: []}"]) + "\n")
    return folder


@contextmanager
def hold_runs(folder: Path) -> Iterator[Path]:
    """Hold all runs at their next step; yield the file that appears when a run waits there."""
    hold, waiting = (folder / "plugins" / "model" / name for name in ("hold", "held"))
    waiting.unlink(missing_ok=True)
    hold.touch()
    try:
        yield waiting
    finally:
        hold.unlink()


def built_models(folder: Path) -> list[list[str]]:
    """Return class, process id and number of threads of each model built with real weights."""
    file = folder / "plugins" / "model" / "built.txt"
    return [line.split() for line in file.read_text().splitlines()] if file.exists() else []
