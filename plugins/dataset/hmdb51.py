"""HMDB51: films of 51 kinds of human action, most of them from the cinema."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from quintain.kit.media.actions import ActionFilms

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
    validation, settings: as in
    `quintain.kit.media.actions.ActionFilms`.
    """

    option = "hmdb51"
    classes = tuple(_CLASSES.split())
    layout = (
        "expected videos/<class>/*.avi and testTrainMulti_7030_splits/<class>_test_split1.txt … in "
        "this folder. Nothing is downloaded, for the films come as RAR archives: unpack "
        "hmdb51_org.rar and test_train_splits.rar from "
        "https://serre-lab.clps.brown.edu/resource/hmdb-a-large-human-motion-database/ there"
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
