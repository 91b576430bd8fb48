"""What a run found, as JSON, as tables in Markdown and as a picture; with machine, versions and commit."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.patches import Patch

from benches.arena import styled
from benches.origin import commit, machine
from benches.peers.measure import Row
from omnimind import __version__

COLORS = {"ours": "#0b63ce", "peer": "#d9820a", "reference": "#999999", "apart": "#7fb0e6"}
MEANS = {
    "ours": "OmniMind",
    "apart": "OmniMind, from its cache",
    "peer": "others",
    "reference": "for comparison",
}
FIGURES = ("throughput_per_s", "cpu_us_per_call", "p50_ms", "p99_ms")
NOTE = (
    "One run, all contenders in turns, medians over the rounds; each as it ships, with no limit to its "
    "threads. CPU and PSS are of a contender's own processes, without upstream and generator, and are the firm"
    " figures; calls a second and latency belong to this machine and minute. Every answer was compared with "
    "its call, before and under load. A cache hit does less than a call that goes through, so its row stands "
    "apart. `mcpo` is asked by a generator of its own, since its clients speak REST. A row without figures "
    "says why. What the last column says of calls upstream was counted by the Python SDK's server in the "
    "checking pass (eight clients, ten calls each), where a proxy that adds nothing needs 1.2 messages and 0.1 "
    "sessions a call; it holds before both upstreams."
)
ROWS = (
    "OmniMind, HTTP upstream: the endpoint of all servers, where tools are renamed, as in Envoy's router; one "
    "server behind it. OmniMind, stdio child: the endpoint of one server, where nothing is renamed, as in the "
    "bridges. Both with the cache off, and their PSS is that of guard, orchestrator and gateway. nginx, fixed "
    "answer, reads no question and says no id, so that no call of it can be timed. A dash elsewhere: no call "
    "that was timed began and ended within a turn."
)


def document(rows: Sequence[Row], **how: Any) -> dict[str, Any]:
    """All there is to know of a run; `how` are the arguments it was made with."""
    causes = {row.name: row.cause() for row in rows if row.cause()}
    medians = [
        {
            **asdict(row),
            "cause": causes.get(row.name, ""),
            "medians": {
                str(count): {figure: row.median(count, figure) for figure in FIGURES} for count in row.samples
            },
        }
        for row in rows
    ]
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "omnimind": __version__,
        "commit": commit(),
        "machine": machine(),
        "python_sdk": metadata.version("mcp"),
        "how": how,
        "rows": medians,
    }


def markdown(found: dict[str, Any], picture: str) -> str:
    """A page with a table for each upstream and number of calls in flight."""
    on, how = found["machine"], found["how"]
    lines = [
        f"# {found['date']}: OmniMind beside other gateways",
        "",
        f"`make bench-peers`, OmniMind {found['omnimind']}, commit {found['commit'] or 'unknown'}, {on['cpu']}, "
        f"{on['cores']} cores, {on['memory_gb']} GB, kernel {on['kernel']}, Python {on['python']}, Python SDK "
        f"{found['python_sdk']}; {how['rounds']} rounds of {how['seconds']:g} s.",
        "",
        NOTE,
        "",
        ROWS,
        "",
        f"![Calls a second and CPU per call of each]({picture})",
    ]
    for upstream in dict.fromkeys(row["upstream"] for row in found["rows"]):
        rows = [row for row in found["rows"] if row["upstream"] == upstream]
        for count in how["in_flight"]:
            lines += ["", f"## {upstream} upstream, {count} in flight", "", *table(rows, str(count))]
    return "\n".join(lines) + "\n"


def table(rows: Sequence[dict[str, Any]], in_flight: str) -> list[str]:
    """Lines of Markdown, the fastest of each kind first, rows without figures last."""
    lines = ["| | calls/s | p50 ms | p99 ms | CPU µs a call | PSS MB | |", "|---|---|---|---|---|---|---|"]

    def place(row: dict[str, Any]) -> tuple[bool, bool, float]:
        rate = rate_of(row, in_flight)
        return row["kind"] == "apart", rate is None, -(rate or 0.0)

    for row in sorted(rows, key=place):
        name = f"**{row['name']}**" if row["kind"] == "ours" else row["name"]
        name += f" {row['version']}" if row["version"] else ""
        figures = row["medians"].get(in_flight)
        if figures is None:
            lines.append(f"| {name} | - | - | - | - | - | {row['trouble'][:200].replace('|', '/')} |")
            continue
        saturated = any(one["generator_saturated"] for one in samples_of(row, in_flight))
        notes = [row["cause"], "the generator was the limit" if saturated else ""]
        if row["refuses_same_ids"]:
            notes.append("fails clients that use the same request ids")
        notes += ["" if row["calls_checked"] or row["kind"] == "reference" else "not checked"]
        times = f"{time_ms(figures['p50_ms'])} | {time_ms(figures['p99_ms'])}"
        costs = f"{figures['cpu_us_per_call']:,.1f} | {row['pss_mb']:.0f}"
        said = "; ".join(note for note in notes if note)
        lines.append(f"| {name} | {figures['throughput_per_s']:,.0f} | {times} | {costs} | {said} |")
    return lines


def time_ms(found: float) -> str:
    """None is known where no answer could be told from another, or none of a short turn began in it."""
    return f"{found:.2f}" if found else "-"


def samples_of(row: dict[str, Any], in_flight: str) -> list[dict[str, Any]]:
    """Of a document made here, or read again from JSON, whose keys are words."""
    found: list[dict[str, Any]] = row["samples"].get(int(in_flight)) or row["samples"].get(in_flight) or []
    return found


def rate_of(row: dict[str, Any], in_flight: str) -> float | None:
    figures = row["medians"].get(in_flight)
    return figures["throughput_per_s"] if figures else None


def draw(found: dict[str, Any], file: Path) -> None:
    """Bars for the most calls in flight before the first upstream: calls a second, and CPU per call."""
    in_flight = str(max(found["how"]["in_flight"]))
    first = found["rows"][0]["upstream"] if found["rows"] else ""
    rows = [row for row in found["rows"] if row["upstream"] == first and rate_of(row, in_flight)]
    rows.sort(key=lambda row: rate_of(row, in_flight) or 0.0)
    with styled():
        figure = Figure(figsize=(10.5, 1.5 + 0.3 * max(len(rows), 3)), layout="constrained")
        panels = figure.subplots(1, 2, sharey=True)
        panels[0].set_title(f"calls a second, {in_flight} in flight, {first} upstream (log)", loc="left")
        panels[1].set_title("CPU of its own for one call, µs (log)", loc="left")
        for panel, name in zip(panels, ("throughput_per_s", "cpu_us_per_call"), strict=True):
            values = [row["medians"][in_flight][name] for row in rows]
            bars = panel.barh(
                [row["name"] for row in rows], values, color=[COLORS[row["kind"]] for row in rows], height=0.7
            )
            panel.bar_label(bars, [f"{value:,.0f}" for value in values], fontsize=8, padding=3)
            panel.set_xscale("log")
            panel.margins(x=0.2)
            panel.grid(axis="y", visible=False)
            panel.set_axisbelow(True)
        kinds = [kind for kind in MEANS if any(row["kind"] == kind for row in rows)]
        figure.legend(
            [Patch(color=COLORS[kind]) for kind in kinds],
            [MEANS[kind] for kind in kinds],
            loc="outside lower center",
            ncols=len(MEANS),
        )
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    file.write_text("\n".join(line.rstrip() for line in file.read_text().splitlines()) + "\n")


def write(found: dict[str, Any], folder: Path, stem: str) -> list[Path]:
    """The three forms, in a folder that is made if it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    data, page, picture = (folder / f"{stem}.{ending}" for ending in ("json", "md", "svg"))
    data.write_text(json.dumps(found, indent=1) + "\n")
    page.write_text(markdown(found, picture.name))
    draw(found, picture)
    return [data, page, picture]
