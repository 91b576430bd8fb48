"""`python -m benches.compression [--seed N ...] [--ratio 0.25] [--peers | --embeddings] [--by-kind] [--json FILE]`.

All documents of all seeds count. Tokens are o200k_base. The table is of documents that tools make, without prose;
`--by-kind` shows prose, too, and the bars count it in all that is kept. Milliseconds are for 100,000 tokens, the median
over the documents, in one run. Without a seed one is drawn and printed. It ends with 1 if a bar is missed.
`--embeddings` measures ours without and with them instead, also on texts that say the same in other words.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from benches.compression import corpus, picture
from benches.compression.bars import missed
from benches.compression.contenders import Contender, Ours, Whole, contenders, find_encoder
from benches.compression.document import Document
from benches.compression.metrics import MEASURES, Score, score
from omnimind.compression import tokens

RATIO: Final = 0.25
"""Of the tokens, the budget that the bars are for."""


@dataclass
class Result:
    """What one contender made of a set of documents."""

    score: Score = field(default_factory=Score)
    before: int = 0
    after: int = 0
    documents: int = 0
    within: int = 0
    ms: list[float] = field(default_factory=list)

    def add(self, found: Score, before: int, after: int, budget: int, ms: float) -> None:
        self.score.add(found)
        self.before += before
        self.after += after
        self.documents += 1
        self.within += after <= budget
        if not math.isnan(ms):
            self.ms.append(ms * 100_000 / before)

    def summary(self) -> dict[str, Any]:
        """As JSON has it: shares between 0 and 1."""
        return {
            "documents": self.documents,
            "kept": self.after / self.before,
            "within_budget": self.within / self.documents,
            "ms_per_100k_tokens": statistics.median(self.ms) if self.ms else None,
            **{measure: self.score.share(measure) for measure in MEASURES},
        }


def measure(contender: Contender, documents: Sequence[Document], ratio: float) -> dict[str, Result]:
    """Results by kind of document, under `all` for those that tools make, under `every` for all there are."""
    results: dict[str, Result] = {"all": Result(), "every": Result()}
    for document in documents:
        before = tokens.count(document.text)
        budget = int(before * ratio) if contender.name != Whole.name else before
        text, ms = contender.compress(document, budget, ratio)
        found = score(document, text), before, tokens.count(text), budget, ms
        results.setdefault(document.kind, Result()).add(*found)
        results["every"].add(*found)
        if document.kind != "prose":
            results["all"].add(*found)
    return results


def table(rows: dict[str, dict[str, Any]]) -> str:
    """One line each, percent; a dash where there is nothing of the kind."""
    columns = ("kept", "within_budget", *MEASURES)
    lines = [f"{'':22}" + "".join(f"{name[:10]:>11}" for name in columns) + f"{'ms/100k':>11}"]
    for name, row in rows.items():
        shares = [row[column] for column in columns]
        shown = "".join("          -" if share is None else f"{100 * share:>11.1f}" for share in shares)
        ms = row["ms_per_100k_tokens"]
        lines.append(f"{name:22}{shown}" + ("          -" if ms is None else f"{ms:>11.1f}"))
    return "\n".join(lines)


def with_and_without(seeds: Sequence[int], ratio: float) -> str:
    """What embeddings bring and cost: each kind of document without (-) and with (+) them, in turns."""
    find_encoder()
    contestants = {"-": Ours(), "+": Ours(embeddings=True)}
    rows: dict[str, dict[str, Any]] = {}
    ordinary = [document for seed in seeds for document in corpus.documents(seed)]
    for sign, contestant in contestants.items():
        found = measure(contestant, ordinary, ratio)
        rows |= {f"{kind} {sign}": found[kind].summary() for kind in ("all", "prose", "html")}
    reworded = [document for seed in seeds for document in corpus.in_other_words(seed)]
    for sign, contestant in contestants.items():
        found = measure(contestant, reworded, ratio)
        kinds = [kind for kind in found if kind not in ("all", "every")]
        rows |= {f"{kind} {sign}": found[kind].summary() for kind in kinds}
    return table(dict(sorted(rows.items())))


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures, prints a table, and says which bars are missed."""
    parser = argparse.ArgumentParser(prog="python -m benches.compression", description=__doc__)
    parser.add_argument("--seed", type=int, nargs="+", default=[random.randrange(1_000_000)])
    parser.add_argument("--ratio", type=float, default=RATIO)
    parser.add_argument("--peers", action="store_true", help="other packages too (installed into .tools)")
    parser.add_argument("--embeddings", action="store_true", help="ours without and with embeddings")
    parser.add_argument("--by-kind", action="store_true", help="ours by kind of document")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--picture", type=Path, help="an SVG: tokens kept and facts kept")
    chosen = parser.parse_args(arguments)
    if chosen.embeddings:
        sys.stdout.write(f"seeds {chosen.seed}, ratio {chosen.ratio}; without (-) and with (+) embeddings\n")
        sys.stdout.write(with_and_without(chosen.seed, chosen.ratio) + "\n")
        return 0
    documents = [document for seed in chosen.seed for document in corpus.documents(seed)]
    found: dict[str, dict[str, dict[str, Any]]] = {}
    with contenders(chosen.peers) as all_of_them:
        for contender in all_of_them:
            sys.stderr.write(f"{contender.name}: {len(documents)} documents\n")
            results = measure(contender, documents, chosen.ratio)
            found[contender.name] = {kind: result.summary() for kind, result in results.items()}
    shown = {name: kinds["all"] for name, kinds in found.items()}
    if chosen.by_kind:
        shown |= {f"  {kind}": row for kind, row in found["omnimind"].items() if kind not in ("all", "every")}
    sys.stdout.write(
        f"{len(documents)} documents, seeds {chosen.seed}, ratio {chosen.ratio}, tool-like kinds\n"
    )
    sys.stdout.write(table(shown) + "\n")
    if chosen.json:
        chosen.json.parent.mkdir(parents=True, exist_ok=True)
        chosen.json.write_text(
            json.dumps({"seeds": chosen.seed, "ratio": chosen.ratio, "results": found}, indent=2)
        )
    if chosen.picture:
        picture.draw({name: kinds["all"] for name, kinds in found.items()}, chosen.picture)
    misses = missed(found) if chosen.ratio == RATIO else []
    sys.stdout.writelines(f"bar missed: {miss}\n" for miss in misses)
    return bool(misses)


if __name__ == "__main__":
    sys.exit(main())
