"""`python -m omnimind` and the `omnimind` command are the same."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command line of this process."""
    from omnimind import cli

    return cli.main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
