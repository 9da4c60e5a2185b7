"""HMDB51: videos of 51 human actions, most of them from films."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from quintain.data.video.action_datasets import ActionVideos

_CLASSES = """
brush_hair cartwheel catch chew clap climb climb_stairs dive draw_sword dribble drink eat
fall_floor fencing flic_flac golf handstand hit hug jump kick kick_ball kiss laugh pick pour
pullup punch push pushup ride_bike ride_horse run shake_hands shoot_ball shoot_bow shoot_gun sit
situp smile smoke somersault stand swing_baseball sword sword_exercise talk throw turn walk wave
"""
_TRAIN, _TEST = "1", "2"  # marks in the lists; videos marked 0 are in neither split


class Hmdb51(ActionVideos):
    """6,766 videos; each class has 70 for training and 30 for the test.

    Files are named `<recording>_<class>_….avi`. See `ActionVideos` for samples and settings.
    """

    option = "hmdb51"
    classes = tuple(_CLASSES.split())
    layout = (
        "expected videos/<class>/*.avi and testTrainMulti_7030_splits/<class>_test_split1.txt … in "
        "this folder. Nothing is downloaded, because the videos are RAR archives: unpack "
        "hmdb51_org.rar and test_train_splits.rar from "
        "https://serre-lab.clps.brown.edu/resource/hmdb-a-large-human-motion-database/ there"
    )

    def read_lists(self) -> Iterator[tuple[Path, str, bool]]:
        """Parse lines such as `April_09_brush_hair_u_nm_np1_ba_goo_0.avi 1`."""
        for label in self.spec.classes:
            name = f"{label}_test_split{self.fold}.txt"
            for words in self.read_list(self.folder / "testTrainMulti_7030_splits" / name):
                file, mark = " ".join(words[:-1]), words[-1]
                if mark in (_TRAIN, _TEST):
                    yield self.video_path(self.folder / "videos", label, file), label, mark == _TEST

    def recording(self, path: Path) -> str:
        """Return the part of the name before the class."""
        return path.name.partition(f"_{path.parent.name}_")[0]
