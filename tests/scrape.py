"""What a fleet tells on `/metrics`, read as Prometheus reads it and no more leniently."""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field

SAMPLE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)')
PARTS = {"histogram": ("_bucket", "_sum", "_count"), "summary": ("", "_sum", "_count")}
Labels = tuple[tuple[str, str], ...]


@dataclass
class Scrape:
    """`samples`: name of a sample → its labels, sorted → its value; `kinds`: name of a metric → its type."""

    samples: dict[str, dict[Labels, float]] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)

    def rows(self, name: str, **wanted: str) -> Iterator[tuple[dict[str, str], float]]:
        """The series of a sample that have these labels; an empty one is as good as none."""
        for labels, value in self.samples.get(name, {}).items():
            row = dict(labels)
            if all(row.get(label, "") == said for label, said in wanted.items()):
                yield row, value

    def total(self, name: str, **wanted: str) -> float:
        return sum(value for _, value in self.rows(name, **wanted))

    def labels(self, name: str) -> set[str]:
        """The labels of a sample's series."""
        return {label for series in self.samples[name] for label, _ in series}


def parse(text: str) -> Scrape:
    """Raises ValueError with the line that cannot be read, or that says something twice."""
    scrape = Scrape()
    allowed: set[str] = set()
    assert text.endswith("\n")
    for line in text.splitlines():
        if line.startswith("# HELP "):
            continue
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            if name in scrape.kinds:
                raise ValueError(f"twice: {line}")
            scrape.kinds[name] = kind
            allowed = {name + part for part in PARTS.get(kind, ("",))}
            continue
        found = SAMPLE.fullmatch(line)
        if found is None:
            raise ValueError(f"not a sample: {line}")
        name, said, value = found.groups()
        labels = LABEL.findall(said or "")
        if "".join(f'{label}="{text}",' for label, text in labels).removesuffix(",") != (said or ""):
            raise ValueError(f"not labels: {line}")
        series = scrape.samples.setdefault(name, {})
        key = tuple(sorted(labels))
        if name not in allowed or key in series or len({label for label, _ in labels}) < len(labels):
            raise ValueError(f"not in its place, or twice: {line}")
        series[key] = float(value)
    return scrape


def scrape(base: str, token: str | None = None) -> Scrape:
    """The numbers of a gateway as of now."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with urllib.request.urlopen(
        urllib.request.Request(f"{base}/metrics", None, headers), timeout=30
    ) as answer:
        return parse(answer.read().decode())
