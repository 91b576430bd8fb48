"""Who a process is, across restarts of everything: pid, start time and boot.

`run.json` holds an identity; whoever reads it later compares all three before it believes that the process
is still the fleet.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from omnimind.linux import pidfd, proc


@dataclass(frozen=True, slots=True)
class Identity:
    """One process of one boot. `start_time` is in clock ticks since that boot."""

    pid: int
    start_time: int
    boot_id: str

    @staticmethod
    def of(pid: int) -> Identity | None:
        """The identity of the process that has this pid now."""
        found = proc.read(pid)
        return Identity(pid, found.start_time, proc.boot_id()) if found else None

    def lives(self) -> bool:
        """True if exactly this process still runs."""
        found = proc.read(self.pid)
        return (
            found is not None
            and found.state != "Z"
            and found.start_time == self.start_time
            and self.boot_id == proc.boot_id()
        )

    def signal(self, number: int) -> bool:
        """Signal exactly this process; False if it is gone."""
        return self.boot_id == proc.boot_id() and pidfd.send(self.pid, self.start_time, number)


def own() -> Identity:
    """The identity of this process."""
    found = Identity.of(os.getpid())
    if found is None:
        raise OSError("/proc does not show this process")
    return found
