"""Every bpftrace that is there: the system's, and those that `make bar-ebpf` puts into `.tools`."""

from __future__ import annotations

from omnimind.monitor import needs
from tests.fleet import ROOT


def programs() -> list[str]:
    """Their paths, the system's first; none if there is none."""
    newer = sorted(map(str, (ROOT / ".tools").glob("bpftrace-*/bpftrace")))
    return list(dict.fromkeys(path for path in (needs.facts().bpftrace, *newer) if path))


def label(program: str) -> str:
    """Its version, for the name of a test."""
    version = needs.version_of(program)
    return needs.dotted(version) if version else program
