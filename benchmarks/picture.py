"""The leaderboard of a store as a picture: one dataset's table, and models × datasets.

python benchmarks/picture.py --store results
"""

from __future__ import annotations

import io
import re
from pathlib import Path

from _common import ROOT, arguments
from rich.console import Console
from rich.text import Text

WIDTH = 96  # columns
OVERVIEW = "all datasets"


def main() -> None:
    asked = arguments(__doc__, store="results", dataset="spoken_words")
    from quintain.records.store import Store
    from quintain.report.table import print_leaderboard

    colours = Console(file=io.StringIO(), width=WIDTH, force_terminal=True, highlight=False)
    print_leaderboard(Store(Path(asked.store)).all(), colours)
    picture = Console(record=True, file=io.StringIO(), width=WIDTH, highlight=False)
    for section in sections(colours.file.getvalue()):
        if section.plain.startswith((asked.dataset, OVERVIEW)):
            picture.print(section, "\n", sep="", end="")
    target = ROOT / "docs" / "leaderboard.svg"
    target.write_text(without_fonts(picture.export_svg(title="quintain leaderboard")))
    print(f"wrote {target.relative_to(ROOT)}")


def sections(ansi: str) -> list[Text]:
    """What stands between empty lines, titles first."""
    return [Text.from_ansi(part + "\n") for part in re.split(r"\n\s*\n", ansi)]


def without_fonts(svg: str) -> str:
    """A picture that loads nothing from elsewhere; the width of each line is in the SVG anyway."""
    svg = re.sub(r"@font-face\s*{[^}]*}\s*", "", svg)
    return svg.replace("Fira Code, monospace", "ui-monospace, Menlo, Consolas, monospace")


if __name__ == "__main__":
    main()
