"""The table as a picture: how few tokens are left, and how many of the planted facts with their names."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from matplotlib.figure import Figure

from benches.arena import styled

OURS: Final = "#0b63ce"
OTHERS: Final = "#777777"


def draw(rows: dict[str, dict[str, Any]], file: Path) -> None:
    """A point for each contender; better is up and to the left."""
    with styled():
        figure = Figure(figsize=(7.2, 4.4), layout="constrained")
        axes = figure.subplots()
        for name, row in rows.items():
            kept, anchored = 100 * row["kept"], 100 * row["anchored"]
            color = OURS if name == "omnimind" else OTHERS
            axes.scatter([kept], [anchored], color=color, s=34, zorder=3)
            axes.annotate(name, (kept, anchored), xytext=(6, 4), textcoords="offset points", color=color)
        axes.set_xlim(0, 110)
        axes.set_ylim(0, 104)
        axes.set_xlabel("tokens kept, %")
        axes.set_ylabel("planted facts kept beside their names, %")
        figure.savefig(file, metadata={"Date": None})
