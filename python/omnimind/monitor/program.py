"""The text that bpftrace is given: the probes of the `.bt` files for these ports and processes, and our own readings.

The files stand for themselves and can be run by hand, so what varies is put in the place of what they say: the test
of the ports, the histograms, and the report at the end of `latency.bt`. Each place must be found, or this raises.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Final

from omnimind.monitor.needs import Kernel

READING: Final = "reading"
"""The line before all counts; after them END_OF_READING at an interval, END_OF_LAST when the probes are detached."""
END_OF_READING: Final = "end of reading"
END_OF_LAST: Final = "end of the last reading"
MAPS: Final = ("total", "service", "wait", "slow", "groups")
STDIO_MAPS: Final = ("stdio", "stdio_slow")
_FILES: Final = {"tracepoints": "latency.bt", "kprobes": "latency_kprobe.bt"}
_OURS: Final = "$port >= {low} && $port <= {high}"
_OWN_REPORT: Final = "/* From here on:"
_KEPT: Final = ("arrived", "read", "began", "receiving", "sending", "watched", "reading", "stdin_read")


@dataclass(frozen=True, slots=True)
class Watch:
    """TCP ports, processes whose stdin and stdout are watched with all they start, seconds between readings."""

    ports: Sequence[int]
    pids: Sequence[int] = ()
    interval_s: int = 10


def source(name: str) -> str:
    """One of the `.bt` files of this package."""
    return resources.files("omnimind.monitor").joinpath(name).read_text(encoding="utf-8")


def build(watch: Watch, kernel: Kernel, low: int, high: int) -> str:
    """The program; `low` and `high` are the ports that stand in the files."""
    parts: list[str] = []
    maps: list[str] = []
    if watch.ports:
        parts.append(_for_ports(source(_FILES[kernel.variant]), watch.ports, low, high))
        maps += MAPS
    if watch.pids:
        parts.append(source("stdio.bt"))
        marks = "".join(f"\t@watched[{pid}] = 1;\n" for pid in watch.pids)
        parts.append(f"BEGIN\n{{\n{marks}}}\n")
        maps += STDIO_MAPS
    text = "\n".join(parts)
    if kernel.fine:
        text = text.replace(" / 1000);", " / 1000, 5);").replace("hist($us)", "hist($us, 5)")
    prints = "".join(f"\tprint(@{name});\n" for name in maps)
    clears = "".join(f"\tclear(@{name});\n" for name in _KEPT if f"@{name}[" in text)
    return (
        f"{text}\ninterval:s:{watch.interval_s}\n{{\n"
        f'\tprintf("{READING}\\n");\n{prints}\tprintf("{END_OF_READING}\\n");\n}}\n'
        f'END\n{{\n\tprintf("{READING}\\n");\n{prints}\tprintf("{END_OF_LAST}\\n");\n{clears}}}\n'
        # Declared last and so attached last: once it speaks, all others are there.
        f'interval:ms:100\n{{\n\tif (@ready == 0) {{\n\t\t@ready = 1;\n\t\tprintf("ready\\n");\n\t}}\n}}\n'
    )


def _for_ports(text: str, ports: Sequence[int], low: int, high: int) -> str:
    probes = text.partition(_OWN_REPORT)[0]
    old = _OURS.format(low=low, high=high)
    if old not in probes:
        raise ValueError(f"the probes do not test the ports by {old!r}")
    return probes.replace(old, "(" + " || ".join(_ranges(ports)) + ")")


def _ranges(ports: Sequence[int]) -> list[str]:
    """Tests that $port is one of the ports, neighbours taken together."""
    found: list[tuple[int, int]] = []
    for port in sorted(set(ports)):
        if found and found[-1][1] == port - 1:
            found[-1] = (found[-1][0], port)
        else:
            found.append((port, port))
    return [f"($port >= {first} && $port <= {last})" for first, last in found]
