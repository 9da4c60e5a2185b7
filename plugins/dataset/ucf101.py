"""UCF101: videos of 101 human actions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from quintain.data.video.action_datasets import ActionVideos

_CLASSES = """
ApplyEyeMakeup ApplyLipstick Archery BabyCrawling BalanceBeam BandMarching BaseballPitch
Basketball BasketballDunk BenchPress Biking Billiards BlowDryHair BlowingCandles
BodyWeightSquats Bowling BoxingPunchingBag BoxingSpeedBag BreastStroke BrushingTeeth
CleanAndJerk CliffDiving CricketBowling CricketShot CuttingInKitchen Diving Drumming Fencing
FieldHockeyPenalty FloorGymnastics FrisbeeCatch FrontCrawl GolfSwing Haircut Hammering
HammerThrow HandstandPushups HandstandWalking HeadMassage HighJump HorseRace HorseRiding
HulaHoop IceDancing JavelinThrow JugglingBalls JumpingJack JumpRope Kayaking Knitting LongJump
Lunges MilitaryParade Mixing MoppingFloor Nunchucks ParallelBars PizzaTossing PlayingCello
PlayingDaf PlayingDhol PlayingFlute PlayingGuitar PlayingPiano PlayingSitar PlayingTabla
PlayingViolin PoleVault PommelHorse PullUps Punch PushUps Rafting RockClimbingIndoor
RopeClimbing Rowing SalsaSpin ShavingBeard Shotput SkateBoarding Skiing Skijet SkyDiving
SoccerJuggling SoccerPenalty StillRings SumoWrestling Surfing Swing TableTennisShot TaiChi
TennisSwing ThrowDiscus TrampolineJumping Typing UnevenBars VolleyballSpiking WalkingWithDog
WallPushups WritingOnBoard YoYo
"""


class Ucf101(ActionVideos):
    """13,320 videos of 320×240 pixels and about seven seconds.

    Files are named `v_<class>_g<group>_c<clip>.avi`; the videos of a group show the same people and
    place and are in the same split. See `ActionVideos` for samples and settings.
    """

    option = "ucf101"
    classes = tuple(_CLASSES.split())
    layout = (
        "expected UCF-101/<class>/v_<class>_g01_c01.avi … and ucfTrainTestlist/trainlist01.txt, "
        "testlist01.txt … in this folder. Nothing is downloaded, because the videos are a RAR "
        "archive: unpack UCF101.rar and UCF101TrainTestSplits-RecognitionTask.zip from "
        "https://www.crcv.ucf.edu/data/UCF101.php there"
    )

    def read_lists(self) -> Iterator[tuple[Path, str, bool]]:
        """Parse lines such as `Archery/v_Archery_g08_c01.avi 3`; test lists lack the number."""
        for kind in ("train", "test"):
            path = self.folder / "ucfTrainTestlist" / f"{kind}list{self.fold:02}.txt"
            for name, *_ in self.read_list(path):
                label, _, file = name.partition("/")
                yield self.video_path(self.folder / "UCF-101", label, file), label, kind == "test"

    def recording(self, path: Path) -> str:
        """Return the name up to the group."""
        return path.stem.rpartition("_")[0]
