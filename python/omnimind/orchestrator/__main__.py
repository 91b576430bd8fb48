"""The entry of both halves: `python -m omnimind.orchestrator` is the guard unless a guard started it.

Imports are local on purpose: the guard must stay small, so it loads nothing of the orchestrator.
"""

from __future__ import annotations

import sys


def main(argv: list[str]) -> int:
    """Run the half that the arguments ask for; the process's exit code."""
    if argv and argv[0].startswith("--guard-link="):
        from omnimind.orchestrator import child

        return child.main(argv)
    if any(word in ("-h", "--help") for word in argv):
        from omnimind.orchestrator import options

        return options.show_help()
    from omnimind.orchestrator import guard

    return guard.main(argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
