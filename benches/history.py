"""The history of the benchmarks: a file with a line of JSON for each run, and a page that is made of it.

The page is Markdown beside the file, so that a repository's own web page shows it: for each kind of machine and each
benchmark the last ratio, the median of the ten before it, and a line of bars over the last runs, each bar by the
highest of its row. No package beyond Python is needed, since it is made where only the results are.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benches.origin import kind
from benches.ratios import Run, RunError, median_of, shortened

BARS = "▁▂▃▄▅▆▇█"
SHOWN = 40
"""Runs in a line of bars."""
USUAL = 10
PAGE = "README.md"
HEAD = """# How long the benchmarks took, run by run

Each figure is how many times as long as its reference a benchmark took in the same run (`docs/benchmarks.md`), the
median of the runs of that commit. Bars: the last {shown} commits, the oldest at the left, by the highest of its row.
"""


def record(file: Path, runs: Sequence[Run]) -> list[str]:
    """Adds the runs of one commit as one line, and makes the page anew; says where."""
    names = sorted(set.intersection(*(set(run.benchmarks) for run in runs)))
    line = {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "commit": runs[0].commit,
        "machine": runs[0].machine,
        "ratios": dict(zip(names, shortened([median_of(name, runs) for name in names]), strict=True)),
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as history:
        history.write(json.dumps(line) + "\n")
    page = file.with_name(PAGE)
    page.write_text(markdown(lines_of(file)))
    return [f"{file}: a line of {len(names)} benchmarks", f"{page}: the page of all lines"]


def lines_of(file: Path) -> list[dict[str, Any]]:
    """Every line; raises RunError with the number of one that cannot be read."""
    found = []
    for number, text in enumerate(file.read_text().splitlines(), 1):
        try:
            line = json.loads(text)
            kind(line["machine"])
            found.append({"date": line["date"], "commit": line["commit"], **line})
        except (ValueError, KeyError, TypeError) as error:
            raise RunError(f"{file}, line {number}, is no line of a history: {error}") from None
    return found


def markdown(lines: Sequence[dict[str, Any]]) -> str:
    """The page; the kind of machine that was measured last comes first."""
    said = [HEAD.format(shown=SHOWN)]
    for word in dict.fromkeys(kind(line["machine"]) for line in reversed(lines)):
        here = [line for line in lines if kind(line["machine"]) == word]
        last = here[-1]
        said += [
            f"## {last['machine']['cpu']}, {last['machine']['cores']} cores\n",
            f"{len(here)} commits, the last {last['commit'] or 'unknown'} on {last['date']}.\n",
            "| | last | usual | |",
            "|---|---|---|---|",
            *(row(name, here) for name in last["ratios"]),
            "",
        ]
    return "\n".join(said)


def row(name: str, lines: Sequence[dict[str, Any]]) -> str:
    """One benchmark; a commit that did not measure it has a gap."""
    ratios = [line["ratios"].get(name) for line in lines]
    known = [ratio for ratio in ratios[:-1] if ratio is not None][-USUAL:]
    usual = f"{statistics.median(known):.4g}" if known else "-"
    return f"| {name} | {ratios[-1]:.4g} | {usual} | `{bars(ratios[-SHOWN:])}` |"


def bars(ratios: Sequence[float | None]) -> str:
    """From nothing to the highest."""
    highest = max(ratio for ratio in ratios if ratio is not None)
    steps = len(BARS) - 1
    return "".join(" " if ratio is None else BARS[round(steps * ratio / highest)] for ratio in ratios)
