"""The jail: the only place where code of a stranger runs, and its one door.

    jail = Jail.start(state_dir / "python", read=[...], write=[...])   # in build(): it starts the zygote
    outcome = await jail.run(Job(Call("omnimind.servers.python.checks:types", {...}), folder=scratch))
    outcome = await jail.run(Job(Program("/…/bin/ruff", ("check", ".")), folder=scratch, read=(project,)))

`Jail.start` is called while the worker may still start processes. `read` and `write` say which folders any job may
name at all: the zygote gives up everything else itself, so a fault here in the worker opens no other folder.
`run` waits for the end; cancelling it kills the job at once. It raises `Problem` when the machine has no jail
(Landlock and seccomp are both needed: never silently without), or when too much runs already.
`on_output(stream, bytes)` is told what the job writes, as it writes.
"""

from __future__ import annotations

from omnimind.servers.python.jail.job import Call, Code, End, Job, Limits, Outcome, Program
from omnimind.servers.python.jail.keeper import Jail, Warm

__all__ = ["Call", "Code", "End", "Jail", "Job", "Limits", "Outcome", "Program", "Warm"]
