"""Peers beside us, in one run.

    python -m benches.peers --install            makes the environments of the peers under .tools/ (needs network)
    python -m benches.peers [--publish] [NAME ...]

Writes data/peers.json, .md and .svg; with --publish the same into benches/results/ under the day's name. A whole run
takes about eight minutes: see `measure.py` for what is measured and how.
"""

from __future__ import annotations

import argparse
import sys

from benches import load
from benches.peers import document, measure
from benches.peers.contenders import CONTENDERS, install


def numbers(text: str) -> list[int]:
    return [int(word) for word in text.split(",")]


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benches.peers",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", metavar="NAME", nargs="*", help="only those whose name has this word in it")
    parser.add_argument("--install", action="store_true", help="make the environments, and do nothing else")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.5, help="of each turn")
    parser.add_argument("--in-flight", type=numbers, default=[1, 16], help="calls at once; default: 1,16")
    parser.add_argument("--upstream", choices=measure.UPSTREAMS, action="append")
    parser.add_argument("--publish", action="store_true", help="also into benches/results/")
    options = parser.parse_args()
    if options.install:
        failures = install()
        for failure in failures:
            print(f"not installed: {failure}", file=sys.stderr)
        return 0
    words = [word.lower() for word in options.names]
    chosen = [one for one in CONTENDERS if not words or any(word in one.name.lower() for word in words)]
    if not chosen:
        parser.error(f"no contender is called so; there are: {', '.join(one.name for one in CONTENDERS)}")
    how = {"in_flight": options.in_flight, "rounds": options.rounds, "seconds": options.seconds}
    rows = measure.measure(
        chosen,
        upstreams=options.upstream or measure.UPSTREAMS,
        say=lambda text: print(text, file=sys.stderr, flush=True),
        **how,
    )
    found = document.document(rows, **how)
    written = document.write(found, load.ROOT / "data", "peers")
    if options.publish:
        written += document.write(found, load.ROOT / "benches" / "results", f"{found['date']}-peers")
    print(document.markdown(found, "peers.svg"))
    print("written:", *(file.relative_to(load.ROOT) for file in written), file=sys.stderr)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
