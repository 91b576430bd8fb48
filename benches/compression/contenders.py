"""Who is measured: ours, two rules of thumb, and the compressors of other packages, each in an environment of its own.

Peers are pinned by hash in `requirements/contract-compressors.txt`, installed into `.tools/` on demand, and called as
their documents show, with the same query and, where they take one, the same ratio.
"""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, Protocol

from benches.compression.document import Document
from omnimind import Compressor
from tests.contract import toolbox

PROCESS: Final = Path(__file__).with_name("peer_process.py")
PEERS: Final = ("headroom", "headroom by hand", "headroom TextCrusher", "tokenfold", "logzip", "toon")


def find_encoder() -> None:
    """Lets the package be found that `make .tools/encoder/wordllama` lays down, unless one is installed."""
    sys.path.append(str(toolbox.TOOLS / "encoder"))


class Contender(Protocol):
    """Makes a text smaller."""

    name: str

    def compress(self, document: Document, budget: int, ratio: float) -> tuple[str, float]:
        """The text and the milliseconds it took. `budget` is in tokens, `ratio` the same as a share of the text."""
        ...


class Ours:
    name = "omnimind"

    def __init__(self, *, embeddings: bool = False) -> None:
        if embeddings:
            self.name = "omnimind, embeddings"
        self.compressor = Compressor(embeddings=embeddings)

    def compress(self, document: Document, budget: int, ratio: float) -> tuple[str, float]:
        begun = time.perf_counter()
        found = self.compressor.compress(document.text, budget, query=document.query)
        return found.content, (time.perf_counter() - begun) * 1000


class Whole:
    """Ours with nothing left out: the shorter forms alone, whatever the ratio."""

    name = "omnimind, lossless"

    def __init__(self) -> None:
        self.compressor = Compressor()

    def compress(self, document: Document, budget: int, ratio: float) -> tuple[str, float]:
        begun = time.perf_counter()
        found = self.compressor.compress(document.text, None)
        return found.content, (time.perf_counter() - begun) * 1000


class HeadAndTail:
    """What most clients do: the begin and the end, by characters."""

    name = "head + tail"

    def compress(self, document: Document, budget: int, ratio: float) -> tuple[str, float]:
        half = int(len(document.text) * ratio / 2)
        return document.text[:half] + "\n...\n" + document.text[-half:], 0.0


class Ranked:
    """Lines ranked by BM25 with the query, until the ratio is reached: the plainest rule that looks at the query."""

    name = "BM25 lines"

    def compress(self, document: Document, budget: int, ratio: float) -> tuple[str, float]:
        begun = time.perf_counter()
        lines = document.text.split("\n")
        bags = [Counter(re.findall(r"\w+", line.lower())) for line in lines]
        asked = set(re.findall(r"\w+", document.query.lower()))
        occurs = Counter(word for bag in bags for word in bag if word in asked)
        mean = sum(map(len, bags)) / len(bags) or 1

        def worth(at: int) -> float:
            bag = bags[at]
            return sum(
                math.log(1 + (len(bags) - occurs[word] + 0.5) / (occurs[word] + 0.5))
                * (bag[word] * 2.2 / (bag[word] + 1.2 * (0.25 + 0.75 * len(bag) / mean)))
                for word in asked
                if word in bag
            )

        left = len(document.text) * ratio
        kept = []
        for at in sorted(range(len(lines)), key=worth, reverse=True):
            left -= len(lines[at]) + 1
            if left < 0:
                break
            kept.append(at)
        return "\n".join(lines[at] for at in sorted(kept)), (time.perf_counter() - begun) * 1000


class Peer:
    """A compressor of another package, in a process of its own that lives as long as this object."""

    def __init__(self, name: str, python: Path) -> None:
        self.name = name
        self.process = subprocess.Popen(
            [str(python), "-I", str(PROCESS), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def compress(self, document: Document, budget: int, ratio: float) -> tuple[str, float]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        asked = {"text": document.text, "query": document.query, "ratio": ratio, "kind": document.kind}
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        if "failure" in answer:
            # A peer that fails on a document has not made it smaller.
            return document.text, math.nan
        return answer["text"], answer["ms"]

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


@contextmanager
def contenders(with_peers: bool) -> Iterator[list[Contender]]:
    """All that are measured; the peers' processes end with the block."""
    with ExitStack() as stack:
        found: list[Contender] = [Ours(), Whole(), HeadAndTail(), Ranked()]
        if with_peers:
            box = toolbox.prepare(("compressors",), npm=False)
            for name in PEERS:
                peer = Peer(name, box.root / "compressors" / "bin" / "python")
                stack.callback(peer.close)
                found.append(peer)
        yield found
