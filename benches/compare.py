"""Has something become slower? Compares ratios with those of the last accepted runs, and fails on a regression.

    python -m benches.compare collect OUT --pytest FILE ... [--criterion FOLDER]   ratios of one run
    python -m benches.compare show RUN ...                                         what they found, as a table
    python -m benches.compare check RUN ... [--accepted FILE]                      exit status 1: a regression
    python -m benches.compare accept RUN ... [--accepted FILE]                     these are what to compare with
    python -m benches.compare record HISTORY RUN ...                               adds a line, makes the page anew

A ratio is the time of a benchmark by that of a reference of the same run (`benches/ratios.py`).

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
import random
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benches import history
from benches.origin import ROOT
from benches.ratios import WALL, Run, RunError, collect, median_of, read, write

ACCEPTED = ROOT / "benches" / "results" / "accepted.json"
LEAST_ALLOWED = 0.25
SPREADS = 2.0
CONFIDENCE = 0.99
RESAMPLES = 1000
SEED = 1
LEAST_ALLOWED_WALL = 2.0
"""By the wall clock only a wait that should not be is looked for: it moves with whatever else the machine does."""
ENOUGH_RUNS = 3
"""Fewer say too little of how much runs of the same code differ."""
NAME_WIDTH = 62
NAMES = f"{'times as long as its reference':{NAME_WIDTH}}"


@dataclass(frozen=True)
class Verdict:
    """One benchmark: how many times as slow as accepted, run by run."""

    name: str
    accepted: float
    """The median ratio that was accepted."""
    changes: list[float]
    """Medians now by the median accepted."""
    lows: list[float]
    """The lower ends of their intervals."""
    allowed: float

    @property
    def regressions(self) -> int:
        """The runs in which it is slower than is allowed, beyond doubt."""
        return sum(low > self.allowed for low in self.lows)

    @property
    def has_regressed(self) -> bool:
        return 2 * self.regressions > len(self.lows)

    def line(self) -> str:
        now = self.accepted * statistics.median(self.changes)
        shown = " ".join(f"{change:.2f}" for change in self.changes)
        mark = "  REGRESSED" if self.has_regressed else ""
        return (
            f"{self.name:{NAME_WIDTH}} {self.accepted:>9.4g} {now:>9.4g} {self.allowed:>8.2f}  {shown}{mark}"
        )

    def sentence(self) -> str:
        return (
            f"regressed: {self.name} takes {statistics.median(self.changes):.2f} times what was accepted, at most "
            f"{self.allowed:.2f} is allowed; in {self.regressions} of {len(self.lows)} runs"
        )


def allowance(medians: Sequence[float], least: float = LEAST_ALLOWED) -> float:
    """The factor up to which a benchmark may be slower, from what the accepted runs found."""
    return 1 + max(least, SPREADS * spread(medians))


def allowance_of(name: str, accepted: Sequence[Run]) -> float:
    medians = [statistics.median(run.benchmarks[name]) for run in accepted]
    return allowance(medians, LEAST_ALLOWED_WALL if name.endswith(WALL) else LEAST_ALLOWED)


def spread(medians: Sequence[float]) -> float:
    """By how much the slowest of several runs is above the fastest."""
    return max(medians) / min(medians) - 1


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


def measured_in_all(runs: Sequence[Run]) -> set[str]:
    return set.intersection(*(set(run.benchmarks) for run in runs))


def judge(runs: Sequence[Run], accepted: Sequence[Run]) -> list[Verdict]:
    """A verdict for each benchmark that all the runs and all the accepted ones have."""
    verdicts = []
    for name in sorted(measured_in_all([*runs, *accepted])):
        chance = random.Random(f"{SEED} {name}")
        pooled = [ratio for run in accepted for ratio in run.benchmarks[name]]
        now = [run.benchmarks[name] for run in runs]
        middle = statistics.median(pooled)
        verdicts.append(
            Verdict(
                name,
                accepted=middle,
                changes=[statistics.median(one) / middle for one in now],
                lows=[interval_low(one, pooled, chance) for one in now],
                allowed=allowance_of(name, accepted),
            )
        )
    return verdicts


def check(runs: Sequence[Run], accepted: Sequence[Run]) -> tuple[list[str], int]:
    """What to say, and the exit status."""
    verdicts = judge(runs, accepted)
    head = f"{NAMES} {'accepted':>9} {'now':>9} {'allowed':>8}  change, run by run"
    lines = [head, *(verdict.line() for verdict in verdicts), ""]
    before = set().union(*(run.benchmarks for run in accepted))
    after = measured_in_all(runs)
    gone, new = sorted(before - after), sorted(after - before)
    lines += [f"no longer measured in every run: {name}" for name in gone]
    lines += [f"new, nothing to compare with: {name}" for name in new]
    if gone:
        lines.append(
            "what was renamed or removed on purpose: `make bench` and `make bench-accept` take the new names"
        )
    regressed = [verdict for verdict in verdicts if verdict.has_regressed]
    lines += [verdict.sentence() for verdict in regressed]
    lines += differences(runs, accepted)
    lines.append(
        f"{len(regressed)} of {len(verdicts)} benchmarks regressed, {len(gone)} are gone, {len(new)} are new, "
        f"by {len(runs)} runs beside {len(accepted)} accepted of commit {accepted[0].commit or 'unknown'}"
    )
    if accepted[0].kind != runs[0].kind:
        lines.append(
            f"accepted on another kind of machine ({accepted[0].kind}, this is {runs[0].kind}): nothing fails; "
            "`make bench-accept` on this one makes a file to compare with"
        )
        return lines, 0
    return lines, 1 if regressed or gone else 0


def differences(runs: Sequence[Run], accepted: Sequence[Run]) -> list[str]:
    """What else may have moved a ratio on the same kind of machine."""
    pairs = [
        (what, accepted[0].machine.get(what), runs[0].machine.get(what)) for what in ("python", "kernel")
    ]
    return [
        f"{what} was {there} when it was accepted, it is {here} now"
        for what, there, here in pairs
        if there != here
    ]


def show(runs: Sequence[Run]) -> list[str]:
    """A table of what the runs found, and by how much they differ."""
    lines = [f"{NAMES} {'median':>9} {'allowed':>8}  run by run"]
    for name in sorted(measured_in_all(runs)):
        each = " ".join(f"{statistics.median(run.benchmarks[name]):.4g}" for run in runs)
        lines.append(
            f"{name:{NAME_WIDTH}} {median_of(name, runs):>9.4g} {allowance_of(name, runs):>8.2f}  {each}"
        )
    return lines


def same_origin(runs: Sequence[Run]) -> None:
    """Raises RunError if runs that are to stand for one thing come from several."""
    for what in ("kind", "commit"):
        words = sorted({str(getattr(run, what)) for run in runs})
        if len(words) > 1:
            raise RunError(
                f"these runs are of different origin ({', '.join(words)}): `make bench` makes them anew"
            )


def accept(runs: Sequence[Run], file: Path) -> list[str]:
    """Writes what later runs are compared with; says what it holds."""
    same_origin(runs)
    write(file, [vars(run) for run in runs])
    lines = show(runs)
    lines.append(
        f"accepted: {len(runs)} runs of commit {runs[0].commit or 'unknown'} on {runs[0].kind}: {file}"
    )
    if len(runs) < ENOUGH_RUNS:
        lines.append(f"fewer than {ENOUGH_RUNS} runs say little of noise: `make bench` makes {ENOUGH_RUNS}")
    if runs[0].commit.endswith("-dirty"):
        lines.append(
            "the checkout had changes that are in no commit: commit, measure, accept is the better order"
        )
    return lines


def read_accepted(file: Path) -> list[Run]:
    found = read(file, "`make bench-accept` takes this run for it")
    if not isinstance(found, list) or not found:
        raise RunError(f"{file} holds no runs: `make bench-accept` makes it anew")
    return [Run.of(one, file) for one in found]


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
    for name in ("show", "check", "accept"):
        step = steps.add_parser(name)
        step.add_argument("runs", type=Path, nargs="+", metavar="RUN")
        if name != "show":
            step.add_argument("--accepted", type=Path, default=ACCEPTED)
    recording.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    options = parser.parse_args()
    status = 0
    try:
        if options.step == "collect":
            run = collect(options.out, options.pytest, options.criterion)
            lines = [f"{options.out}: {len(run.benchmarks)} benchmarks"]
        else:
            runs = [Run.read(file) for file in options.runs]
            if options.step == "record":
                lines = history.record(options.history, runs)
            elif options.step == "accept":
                lines = accept(runs, options.accepted)
            elif options.step == "check":
                lines, status = check(runs, read_accepted(options.accepted))
            else:
                lines = show(runs)
    except RunError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print("\n".join(lines))
    return status


if __name__ == "__main__":
    sys.exit(main())
