"""UCF101: films of 101 kinds of human action."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from quintain.kit.media.actions import ActionFilms

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


class Ucf101(ActionFilms):
    """13,320 films of 320×240 pixels and some seven seconds; x (frames, 3, side, side) in bytes.

    Files `v_<class>_g<group>_c<clip>.avi`; the films of a group show the same people and place and
    stay together in all splits. Frames, validation, settings: as in
    `quintain.kit.media.actions.ActionFilms`.
    """

    option = "ucf101"
    classes = tuple(_CLASSES.split())
    layout = (
        "expected UCF-101/<class>/v_<class>_g01_c01.avi … and ucfTrainTestlist/trainlist01.txt, "
        "testlist01.txt … in this folder. Nothing is downloaded, for the films come as a RAR "
        "archive: unpack UCF101.rar and UCF101TrainTestSplits-RecognitionTask.zip from "
        "https://www.crcv.ucf.edu/data/UCF101.php there"
    )

    def listed(self) -> Iterator[tuple[Path, str, bool]]:
        """From lines such as `Archery/v_Archery_g08_c01.avi 3`; a test list has no number."""
        for kind in ("train", "test"):
            path = self.folder / "ucfTrainTestlist" / f"{kind}list{self.fold:02}.txt"
            for name, *_ in self.lines(path):
                label, _, file = name.partition("/")
                yield self.film(self.folder / "UCF-101", label, file), label, kind == "test"

    def source(self, path: Path) -> str:
        """The group."""
        return path.stem.rpartition("_")[0]
