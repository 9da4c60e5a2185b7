"""A plugin folder of models that fail in every way a run can fail, for tests of the launcher."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_CODE = '''
import ctypes, os, resource, signal, subprocess, sys, time
from pathlib import Path
import torch
from torch import nn
from quintain.contracts import Features, Skip

HERE = Path(__file__).parent


class Good(nn.Module):
    """A small core; notes each time it is really built, and where."""

    reads = "sequence"

    def __init__(self, inp, *, pause=0.0):
        super().__init__()
        self.read = nn.Linear(inp.dim, 4)
        self.out = Features(**{**vars(inp), "dim": 4})
        self.pause = pause
        if not self.read.weight.is_meta:
            with (HERE / "built.txt").open("a") as file:
                file.write(f"{type(self).__name__} {os.getpid()} {torch.get_num_threads()}\\n")

    def forward(self, x, mask):
        if not x.is_meta:
            if self.training:
                time.sleep(self.pause)
            while (HERE / "hold").exists():
                (HERE / "held").touch()
                time.sleep(0.02)
            self.misbehave()
        return self.read(x), mask

    def misbehave(self):
        pass


class Raises(Good):
    def misbehave(self):
        raise KeyError("a bug of mine, " + os.environ.get("BAD_API_KEY", ""))


class Speaks(Good):
    def misbehave(self):
        print("my key is " + os.environ.get("BAD_API_KEY", ""))
        if not self.training:
            raise RuntimeError("enough")


class Exits(Good):
    def misbehave(self):
        os._exit(3)


class SysExits(Good):
    def misbehave(self):
        sys.exit(4)


class Killed(Good):
    def misbehave(self):
        os.kill(os.getpid(), signal.SIGKILL)


class Segfaults(Good):
    def misbehave(self):
        ctypes.string_at(0)


class Hangs(Good):
    def misbehave(self):
        child = subprocess.Popen(["sleep", "600"])
        (HERE / "hangs.txt").write_text(f"{os.getpid()} {child.pid}")
        while True:
            time.sleep(1)


class HangsInC(Good):
    """Never gives Python's lock back: no thread of the run can do anything."""

    def misbehave(self):
        (HERE / "hangs_in_c.txt").write_text(f"{os.getpid()}")
        ctypes.PyDLL(None).sleep(600)


class SleepsWhenBuilt(Good):
    """In preflight, then."""

    def __init__(self, inp):
        (HERE / "sleeps.txt").touch()
        time.sleep(600)


class Leaves(Good):
    """Ends at once, its child goes on."""

    def misbehave(self):
        child = subprocess.Popen(["sleep", "600"])
        (HERE / "leaves.txt").write_text(f"{child.pid}")
        os._exit(0)


class Stalls(Good):
    """Notes that it trains, and takes an hour for the step."""

    def __init__(self, inp, *, note):
        super().__init__(inp)
        self.note = Path(note)

    def misbehave(self):
        if self.training:
            self.note.touch()
            time.sleep(3600)


class Leaks(Good):
    """Takes 32 MiB more each hundredth of a second, up to 3 GiB."""

    def misbehave(self):
        self.hoard = []
        while len(self.hoard) < 96:
            self.hoard.append(torch.ones(2**23))
            time.sleep(0.01)
        time.sleep(600)


class Backwards(Good):
    """Its clock on the wall goes back by a day in the middle."""

    def misbehave(self):
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


class PrintsOn(Good):
    """A gigabyte, and then ends well."""

    def misbehave(self):
        if not (HERE / "printed_on").exists():
            (HERE / "printed_on").touch()
            for _ in range(1024):
                os.write(1, b"x" * (2**20 - 1) + b"\\n")


class Spoils(Good):
    def forward(self, x, mask):
        x, mask = super().forward(x, mask)
        return x * float("nan"), mask


class Prints(Good):
    def misbehave(self):
        if not (HERE / "printed").exists():
            (HERE / "printed").touch()
            for number in range(50 * 1024):
                print(str(number).rjust(1023, "x"))


class Fills(Good):
    def misbehave(self):
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + 2**28, -1))
        self.hoard = [torch.empty(2**25) for _ in range(64)]


class Data(Good):
    def misbehave(self):
        from quintain.kit.files.download import DataError
        raise DataError("the file is short")


class Refuses(Good):
    """Only the real thing refuses, so that preflight lets it through."""

    def misbehave(self):
        raise Skip("not on this data")


class Lingers(Good):
    """Its record is written, and then a thread keeps the process alive."""

    def misbehave(self):
        import threading
        if not getattr(self, "begun", None):
            self.begun = threading.Thread(target=time.sleep, args=(600,))
            self.begun.start()


class Deaf(Good):
    """Closes every file there is, the pipe to the sweep too."""

    def misbehave(self):
        os.closerange(3, 200)
        time.sleep(0.6)
        os._exit(5)
'''


def write(folder: Path, **options: str) -> Path:
    """The folder with `plugins/model/bad.py`, and a `conf/model/NAME.yaml` for each option.

    An option's value is the class, with settings: `slow="Good pause=0.1"`.
    """
    code = folder / "plugins" / "model" / "bad.py"
    code.parent.mkdir(parents=True)
    code.write_text(_CODE)
    conf = folder / "conf" / "model"
    conf.mkdir(parents=True)
    for name, words in options.items():
        kind, *settings = words.split()
        lines = [f"_target_: quintain_local.model.bad.{kind}"]
        lines += [setting.replace("=", ": ") for setting in settings]
        (conf / f"{name}.yaml").write_text("\n".join([*lines, "card: {needs: []}"]) + "\n")
    return folder


@contextmanager
def held(folder: Path) -> Iterator[Path]:
    """No run gets beyond its next step meanwhile; the file that comes when one waits there."""
    hold, waits = (folder / "plugins" / "model" / name for name in ("hold", "held"))
    waits.unlink(missing_ok=True)
    hold.touch()
    try:
        yield waits
    finally:
        hold.unlink()


def built(folder: Path) -> list[list[str]]:
    """Class, process and threads of each model that was really built."""
    file = folder / "plugins" / "model" / "built.txt"
    return [line.split() for line in file.read_text().splitlines()] if file.exists() else []
