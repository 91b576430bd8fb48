"""What a run of the benchmarks found: for each a ratio a round, the time of the benchmark by that of its reference.

The reference was measured in the same run: a dict look-up, an echo over loopback, zlib on the same bytes (see
`benches/python`), in turns with the benchmark. Criterion's benchmarks are not in turns with anything: the reference of
each is what its group calls `reference`, measured before it. A machine that is slow today is slow for both.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benches.origin import commit, kind, machine

WALL = ", wall"
"""At the end of a name: by the wall clock, not by CPU time."""
REFERENCE = "reference"
Ratios = dict[str, list[float]]


class RunError(Exception):
    """A file that does not hold what it should; the text says which, and what to do."""


@dataclass(frozen=True)
class Run:
    """The ratios of one run: for each benchmark one a round."""

    machine: dict[str, Any]
    commit: str
    benchmarks: Ratios

    @property
    def kind(self) -> str:
        """The word for its machine; ratios of machines of one kind can be compared."""
        return kind(self.machine)

    @classmethod
    def of(cls, found: Any, file: Path) -> Run:
        """From JSON that was read from this file."""
        try:
            run = cls(**found)
            if run.kind and all(run.benchmarks.values()):
                return run
            empty = ", ".join(name for name, ratios in run.benchmarks.items() if not ratios)
            raise RunError(f"{file}: no rounds of {empty}")
        except (TypeError, KeyError, AttributeError) as error:
            raise RunError(f"{file} is no run of this program: {error}") from None

    @classmethod
    def read(cls, file: Path) -> Run:
        return cls.of(read(file, "`make bench` writes it"), file)


def read(file: Path, way: str) -> Any:
    """JSON of a file; `way` says how to come by it."""
    try:
        return json.loads(file.read_text())
    except FileNotFoundError:
        raise RunError(f"{file} is missing: {way}") from None
    except ValueError as error:
        raise RunError(f"{file} is not JSON: {error}; {way}") from None


def write(file: Path, what: Any) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(what, indent=1) + "\n")


def median_of(name: str, runs: Sequence[Run]) -> float:
    """Of the medians of these runs."""
    return statistics.median(statistics.median(run.benchmarks[name]) for run in runs)


def of_pytest(file: Path) -> Ratios:
    """What the suite in `benches/python` left in the JSON of pytest-benchmark."""
    found: dict[str, Any] = {}
    for one in read(file, "`make bench` writes it")["benchmarks"]:
        name, noted = f"{one['group']}: {one['name'].removeprefix('test_')}", one["extra_info"]
        found[name] = noted.get("ratios")
        if "wall_ratios" in noted:
            found[name + WALL] = noted["wall_ratios"]
    silent = [name for name, ratios in found.items() if not ratios]
    if silent or not found:
        raise RunError(f"{file}: no reference beside {', '.join(silent) or 'anything, as it holds nothing'}")
    return found


def of_criterion(folder: Path) -> Ratios:
    """What `cargo bench` left in criterion's folder."""
    times: dict[str, list[float]] = {}
    for file in sorted(folder.glob("**/new/sample.json")):
        name = json.loads(file.with_name("benchmark.json").read_text())["full_id"]
        sample = json.loads(file.read_text())
        times[name] = [took / count for took, count in zip(sample["times"], sample["iters"], strict=True)]
    found = {}
    for name, took in times.items():
        group, _, last = name.rpartition("/")
        if last == REFERENCE:
            continue
        if f"{group}/{REFERENCE}" not in times:
            raise RunError(f"{folder}: no benchmark {group}/{REFERENCE} beside {name} (benches/rust)")
        reference = statistics.median(times[f"{group}/{REFERENCE}"])
        found[f"criterion: {name}"] = [one / reference for one in took]
    if not found:
        raise RunError(f"{folder} holds no benchmark of criterion: `make bench`")
    return found


def shortened(ratios: Sequence[float]) -> list[float]:
    """Five digits are more than any round is worth."""
    return [float(f"{ratio:.5g}") for ratio in ratios]


def collect(out: Path, files: Sequence[Path], criterion: Path | None) -> Run:
    """Writes the run that these files are of."""
    found: Ratios = {}
    for file in files:
        found |= of_pytest(file)
    if criterion:
        found |= of_criterion(criterion)
    run = Run(machine(), commit(), {name: shortened(ratios) for name, ratios in sorted(found.items())})
    write(out, vars(run))
    return run
