"""HMDB51: films of 51 kinds of human action, most of them from the cinema."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from quintain.kit.actions import ActionFilms
from quintain.kit.download import data_folder

_CLASSES = """
brush_hair cartwheel catch chew clap climb climb_stairs dive draw_sword dribble drink eat
fall_floor fencing flic_flac golf handstand hit hug jump kick kick_ball kiss laugh pick pour
pullup punch push pushup ride_bike ride_horse run shake_hands shoot_ball shoot_bow shoot_gun sit
situp smile smoke somersault stand swing_baseball sword sword_exercise talk throw turn walk wave
"""
_TRAIN, _TEST = "1", "2"  # in the lists; films marked 0 are in neither


class Hmdb51(ActionFilms):
    """6,766 films, 70 a class for training and 30 for the test; x (frames, 3, side, side) in bytes.

    Files `<recording>_<class>_….avi`; in validation films of one recording stay together. Frames,
    validation: as in `quintain.kit.actions.ActionFilms`.

    Args:
        data_dir: where `hmdb51/videos` and `hmdb51/testTrainMulti_7030_splits` lie. None as in
            `data_folder`.
        fold: which of the three official splits.
        frames, side: size of a sample.
        memory, workers: as in `quintain.kit.ondisk.OnDisk`.
    """

    layout = (
        "expected videos/<class>/*.avi and testTrainMulti_7030_splits/<class>_test_split1.txt … in "
        "this folder. Nothing is downloaded, for the films come as RAR archives: unpack "
        "hmdb51_org.rar and test_train_splits.rar from "
        "https://serre-lab.clps.brown.edu/resource/hmdb-a-large-human-motion-database/ there"
    )

    def __init__(
        self,
        data_dir: str | None = None,
        *,
        fold: int = 1,
        frames: int = 16,
        side: int = 32,
        memory: float = 1024,
        workers: int = 2,
    ) -> None:
        super().__init__(
            "hmdb51",
            tuple(_CLASSES.split()),
            data_folder(data_dir) / "hmdb51",
            fold=fold,
            frames=frames,
            side=side,
            memory=memory,
            workers=workers,
        )

    def listed(self) -> Iterator[tuple[Path, str, bool]]:
        """From lines such as `April_09_brush_hair_u_nm_np1_ba_goo_0.avi 1`."""
        for label in self.spec.classes:
            name = f"{label}_test_split{self.fold}.txt"
            for words in self.lines(self.folder / "testTrainMulti_7030_splits" / name):
                file, mark = " ".join(words[:-1]), words[-1]
                if mark in (_TRAIN, _TEST):
                    yield self.film(self.folder / "videos", label, file), label, mark == _TEST

    def source(self, path: Path) -> str:
        """What stands before the class."""
        return path.name.partition(f"_{path.parent.name}_")[0]
