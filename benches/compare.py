"""Has something become slower? Compares ratios with those of the last accepted run, and fails on a regression.

    python -m benches.compare collect OUT --pytest FILE ... [--criterion FOLDER]   ratios of one run
    python -m benches.compare check RUN ... [--accepted FILE]                      exit status 1: a regression
    python -m benches.compare accept RUN ... [--accepted FILE]                     these are what to compare with
    python -m benches.compare record HISTORY RUN ...                               adds a line of JSON to a file

A ratio is the time of a benchmark by that of a reference measured in the same rounds of the same run: a dict look-up,
an echo over loopback, zlib on the same bytes (see `benches/python`). Criterion's benchmarks are not in rounds with
anything; their reference is serde reading the same text in the same run. A machine that is slow today is slow for both.

How it is decided that a change is beyond noise, in three steps. (1) Within a run: the change is the median of the
ratios now by the median accepted; its interval is a bootstrap over the rounds of both, 99 %. The whole interval must
lie above what is allowed. (2) Between runs: two runs of the same code differ by more than their rounds do, since
memory lies elsewhere and other work runs beside. So an accepted file holds several runs, and what is allowed is twice
the spread of their medians, at least a quarter (by the wall clock: twofold). (3) Of the runs now, three by `make
bench`, more than half must agree. What is no longer measured fails too; what is new is said and passes.

Ratios do not move from one kind of machine to another: with an accepted file of another CPU all is reported, nothing
fails. The seed of the bootstrap is fixed, so that the same files give the same verdict.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benches.origin import ROOT, commit, machine

ACCEPTED = ROOT / "benches" / "results" / "accepted.json"
LEAST_ALLOWED = 0.25
SPREADS = 2.0
CONFIDENCE = 0.99
RESAMPLES = 1000
SEED = 1
WALL = ", wall"
LEAST_ALLOWED_WALL = 2.0
"""By the wall clock only a wait that should not be is looked for: it moves with whatever else the machine does."""
CRITERION_REFERENCE = "_serde_ignored"
Ratios = dict[str, list[float]]


class RunError(Exception):
    """A file that does not hold what it should; the text says which, and what to do."""


@dataclass(frozen=True)
class Run:
    """The ratios of one run: for each benchmark one a round."""

    machine: dict[str, Any]
    commit: str
    benchmarks: Ratios

    @classmethod
    def read(cls, file: Path) -> Run:
        try:
            return cls(**json.loads(file.read_text()))
        except FileNotFoundError:
            raise RunError(f"{file} is missing: `make bench` writes it") from None
        except (ValueError, TypeError) as error:
            raise RunError(f"{file} is no run of this program: {error}") from None


@dataclass(frozen=True)
class Verdict:
    """One benchmark: how many times as slow as accepted, run by run."""

    name: str
    changes: list[float]
    """Medians now by the median accepted."""
    lows: list[float]
    """The lower ends of their intervals."""
    allowed: float

    @property
    def has_regressed(self) -> bool:
        return 2 * sum(low > self.allowed for low in self.lows) > len(self.lows)

    def line(self) -> str:
        shown = " ".join(f"{change:.2f}" for change in self.changes)
        words = f"regressed: above {self.allowed:.2f} in most runs" if self.has_regressed else ""
        return f"{self.name:62} {shown:18} {words}".rstrip()


def of_pytest(file: Path) -> Ratios:
    """What the suite in `benches/python` left in the JSON of pytest-benchmark."""
    found: dict[str, Any] = {}
    for one in json.loads(file.read_text())["benchmarks"]:
        name, noted = f"{one['group']}: {one['name'].removeprefix('test_')}", one["extra_info"]
        found[name] = noted.get("ratios")
        if "wall_ratios" in noted:
            found[name + WALL] = noted["wall_ratios"]
    silent = [name for name, ratios in found.items() if not ratios]
    if silent or not found:
        raise RunError(f"{file}: no reference beside {', '.join(silent) or 'anything, as it holds nothing'}")
    return found


def of_criterion(folder: Path) -> Ratios:
    """What `cargo bench` left below `target/criterion`; the reference is the median of serde's benchmarks."""
    times: dict[str, list[float]] = {}
    for file in sorted(folder.glob("**/new/sample.json")):
        name = json.loads(file.with_name("benchmark.json").read_text())["full_id"]
        sample = json.loads(file.read_text())
        times[name] = [took / count for took, count in zip(sample["times"], sample["iters"], strict=True)]
    references = [statistics.median(one) for name, one in times.items() if name.endswith(CRITERION_REFERENCE)]
    if not references:
        raise RunError(f"{folder} holds no benchmark *{CRITERION_REFERENCE}: `cargo bench -p omnimind-wire`")
    reference = statistics.geometric_mean(references)
    return {
        f"criterion: {name}": [took / reference for took in one]
        for name, one in times.items()
        if not name.endswith(CRITERION_REFERENCE)
    }


def allowance(medians: Sequence[float], least: float = LEAST_ALLOWED) -> float:
    """The factor up to which a benchmark may be slower, from what the accepted runs found."""
    spread = max(medians) / min(medians) - 1
    return 1 + max(least, SPREADS * spread)


def resampled_median(ordered: Sequence[float], chance: random.Random) -> float:
    """The median of as many values drawn with replacement, without drawing them.

    The median of n uniform numbers has the distribution Beta((n + 1) / 2, (n + 1) / 2); it says where to look.
    """
    half = (len(ordered) + 1) / 2
    return ordered[min(int(chance.betavariate(half, half) * len(ordered)), len(ordered) - 1)]


def interval_low(now: Sequence[float], accepted: Sequence[float], chance: random.Random) -> float:
    """The lower end of the bootstrap interval of the change of the median."""
    after, before = sorted(now), sorted(accepted)
    changes = sorted(
        resampled_median(after, chance) / resampled_median(before, chance) for _ in range(RESAMPLES)
    )
    return changes[int((1 - CONFIDENCE) / 2 * RESAMPLES)]


def judge(runs: Sequence[Run], accepted: Sequence[Run]) -> list[Verdict]:
    """A verdict for each benchmark that all the runs and all the accepted ones have."""
    shared = set.intersection(*(set(run.benchmarks) for run in (*runs, *accepted)))
    verdicts = []
    for name in sorted(shared):
        chance = random.Random(f"{SEED} {name}")
        before = [run.benchmarks[name] for run in accepted]
        medians = [statistics.median(one) for one in before]
        pooled = [ratio for one in before for ratio in one]
        now = [run.benchmarks[name] for run in runs]
        verdicts.append(
            Verdict(
                name,
                changes=[statistics.median(one) / statistics.median(pooled) for one in now],
                lows=[interval_low(one, pooled, chance) for one in now],
                allowed=allowance(medians, LEAST_ALLOWED_WALL if name.endswith(WALL) else LEAST_ALLOWED),
            )
        )
    return verdicts


def check(runs: Sequence[Run], accepted: Sequence[Run]) -> tuple[list[str], int]:
    """What to say, and the exit status."""
    verdicts = judge(runs, accepted)
    lines = [verdict.line() for verdict in verdicts]
    before = set().union(*(run.benchmarks for run in accepted))
    after = set.intersection(*(set(run.benchmarks) for run in runs))
    gone = sorted(before - after)
    lines += [f"no longer measured in every run: {name}" for name in gone]
    lines += [f"new, nothing to compare with: {name}" for name in sorted(after - before)]
    regressed = sum(verdict.has_regressed for verdict in verdicts)
    lines.append(
        f"{regressed} of {len(verdicts)} benchmarks regressed, {len(gone)} are gone, by {len(runs)} runs"
    )
    there, here = accepted[0].machine, runs[0].machine
    if there["cpu"] != here["cpu"] or there["cores"] != here["cores"]:
        lines.append(
            f"accepted on another machine ({there['cpu']}, {there['cores']} cores): nothing fails; "
            "`make bench-accept` on this one makes a file to compare with"
        )
        return lines, 0
    return lines, 1 if regressed or gone else 0


def write(file: Path, what: Any) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(what, indent=1) + "\n")


def shortened(ratios: Sequence[float]) -> list[float]:
    """Five digits are more than any round is worth."""
    return [float(f"{ratio:.5g}") for ratio in ratios]


def collect(out: Path, files: Sequence[Path], criterion: Path | None) -> None:
    found: Ratios = {}
    for file in files:
        found |= of_pytest(file)
    if criterion:
        found |= of_criterion(criterion)
    named = {name: shortened(ratios) for name, ratios in sorted(found.items())}
    write(out, {"machine": machine(), "commit": commit(), "benchmarks": named})
    print(f"{out}: {len(found)} benchmarks")


def record(history: Path, runs: Sequence[Run]) -> None:
    """One line: when, which commit, where, and the median of the runs' medians for each benchmark."""
    names = sorted(set.intersection(*(set(run.benchmarks) for run in runs)))
    medians = [statistics.median(statistics.median(run.benchmarks[name]) for run in runs) for name in names]
    line = {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "commit": runs[0].commit,
        "machine": runs[0].machine,
        "ratios": dict(zip(names, shortened(medians), strict=True)),
    }
    history.parent.mkdir(parents=True, exist_ok=True)
    with history.open("a") as file:
        file.write(json.dumps(line) + "\n")


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benches.compare",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    steps = parser.add_subparsers(dest="step", required=True)
    collecting = steps.add_parser("collect")
    collecting.add_argument("out", type=Path)
    collecting.add_argument("--pytest", type=Path, nargs="*", default=[])
    collecting.add_argument("--criterion", type=Path)
    recording = steps.add_parser("record")
    recording.add_argument("history", type=Path)
    recording.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    for name in ("check", "accept"):
        step = steps.add_parser(name)
        step.add_argument("runs", type=Path, nargs="+", metavar="RUN")
        step.add_argument("--accepted", type=Path, default=ACCEPTED)
    options = parser.parse_args()
    try:
        if options.step == "collect":
            collect(options.out, options.pytest, options.criterion)
            return 0
        runs = [Run.read(file) for file in options.runs]
        if options.step == "record":
            record(options.history, runs)
            return 0
        if options.step == "accept":
            write(options.accepted, [vars(run) for run in runs])
            print(f"accepted: {options.accepted}")
            return 0
        if not options.accepted.exists():
            raise RunError(f"{options.accepted} is missing: `make bench-accept` takes this run for it")
        accepted = [Run(**one) for one in json.loads(options.accepted.read_text())]
        lines, status = check(runs, accepted)
    except RunError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print("\n".join(lines))
    return status


if __name__ == "__main__":
    sys.exit(main())
