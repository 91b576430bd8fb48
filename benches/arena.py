"""The arena of the limits as a picture: `python -m benches.arena [--json FILE]` draws `docs/limits-arena.svg`.

The curves come from `cargo run --release -p omnimind-limits --example arena -- --json FILE`, which is deterministic:
virtual time, three seeds, the worst of them at each load. Without a FILE it is run first. The same curves make the
same bytes, so a picture that changes means that a policy did.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import tempfile
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

REPOSITORY: Final = Path(__file__).resolve().parents[1]
PICTURE: Final = REPOSITORY / "docs" / "limits-arena.svg"
EXAMPLE: Final = (
    *("cargo", "run", "--quiet", "--locked", "--release", "-p", "omnimind-limits", "--example", "arena"),
    *("--", "--json"),
)
STYLE: Final[Any] = {
    "svg.hashsalt": "omnimind",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "legend.frameon": False,
}
COLORS: Final[dict[str, str]] = {
    "gradient": "#0b63ce",
    "aimd": "#d9820a",
    "fixed 10": "#2a8a4a",
    "fixed 14": "#7fbf8f",
    "cpu-step": "#c62f3b",
    "no limit": "#777777",
}
CHANGES: Final[dict[str, str]] = {
    "halved": "capacity is halved (3x load)",
    "doubled": "capacity is doubled (3x load)",
    "flipped": "slow tools instead of fast ones (1.5x load)",
}


def styled() -> AbstractContextManager[None]:
    """In the block pictures look as all of this project do, and the same figures make the same bytes."""
    return matplotlib.rc_context(STYLE)


def draw(found: dict[str, Any], file: Path) -> None:
    """Draws the curves of one run of the arena."""
    with styled():
        figure = Figure(figsize=(10.5, 7.6), layout="constrained")
        rows: Any = figure.subfigures(2, 1, height_ratios=(3, 2))
        over_load(rows[0].subplots(1, 2), found)
        over_time(rows[1].subplots(1, len(CHANGES), sharey=True), found["policies"])
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    text = re.sub(r"\d+\.\d{3,}", lambda number: f"{float(number[0]):.2f}", file.read_text())
    file.write_text("\n".join(line.rstrip() for line in text.splitlines()) + "\n")


def over_load(panels: Any, found: dict[str, Any]) -> None:
    """Goodput, and what becomes of the most urgent calls, for every policy."""
    goodput, urgent = panels
    loads = found["loads"]
    goodput.plot(
        loads, [min(load, 1) for load in loads], ":", color="black", lw=1, label="all that can be done"
    )
    for policy in found["policies"]:
        for panel, what in ((goodput, "goodput"), (urgent, "top_class")):
            panel.plot(loads, [point[what] for point in policy["loads"]], **line(policy["name"]))
    for panel, title in (
        (goodput, "goodput, in capacities"),
        (urgent, "most urgent class: share done in time"),
    ):
        panel.set_title(title, loc="left")
        panel.set_xscale("log")
        panel.set_xticks(loads, [f"{load:g}x" for load in loads])
        panel.minorticks_off()
        panel.set_ylim(-0.02, 1.03)
        panel.set_xlabel("offered load, in capacities")
    urgent.legend(*goodput.get_legend_handles_labels(), loc="center left", bbox_to_anchor=(1.0, 0.5))


def over_time(panels: list[Axes], policies: list[dict[str, Any]]) -> None:
    """Useful work in each second of the runs in which something changes, for each policy with our queue."""
    for panel, (what, title) in zip(panels, CHANGES.items(), strict=True):
        for policy in policies:
            change = next(change for change in policy["changes"] if change["what"] == what)
            if policy["name"].endswith(", our queue"):
                panel.plot(change["useful"], **line(policy["name"]) | {"lw": 1.2, "marker": ""})
        panel.axvline(change["at_s"], color="black", lw=0.5, ls=":")
        panel.set_title(title, loc="left")
        panel.set_xlabel("second")
    panels[0].set_ylabel("useful work, in capacities")


def line(name: str) -> dict[str, Any]:
    """One colour a policy; with our queue it is a full line, without a broken one; what is shipped is thick."""
    policy, _, queue = name.partition(", ")
    ours = queue == "our queue"
    return {
        "color": COLORS[policy],
        "ls": "-" if ours else "--",
        "lw": 2.6 if (policy, ours) == ("gradient", True) else 1.4,
        "marker": "o" if ours else "",
        "ms": 3,
        "label": name,
    }


def main() -> None:
    """Runs the arena, or reads what it said, and draws."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", type=Path, metavar="FILE", help="the curves of an earlier run")
    file = parser.parse_args().json
    with tempfile.TemporaryDirectory() as folder:
        if file is None:
            file = Path(folder) / "arena.json"
            subprocess.run([*EXAMPLE, file], cwd=REPOSITORY, check=True)
        draw(json.loads(file.read_text()), PICTURE)
    print(f"wrote {PICTURE.relative_to(REPOSITORY)}")


if __name__ == "__main__":
    main()
