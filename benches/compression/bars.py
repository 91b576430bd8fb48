"""What is asked of ours at a quarter of the tokens, with a query, over all documents of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

AT_MOST: Final = {("omnimind", "kept"): 0.22, ("omnimind, lossless", "kept"): 0.62}
"""Of what tools make."""
AT_LEAST: Final = {
    ("omnimind", "within_budget"): 1.0,
    ("omnimind", "facts"): 0.97,
    ("omnimind", "anchored"): 0.93,
    ("omnimind", "identifiers"): 0.68,
    ("omnimind", "errors"): 0.99,
    ("omnimind", "templates"): 0.99,
    ("omnimind", "rare"): 0.99,
    ("omnimind", "answers"): 0.95,
    ("omnimind, lossless", "identifiers"): 1.0,
}
"""Of all documents, prose too."""


def missed(found: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> list[str]:
    """The bars that the shares, by contender, group and measure, do not reach."""
    above = [
        f"{name}: {measure} {found[name]['all'][measure]:.4f} > {bar}"
        for (name, measure), bar in AT_MOST.items()
        if found[name]["all"][measure] > bar
    ]
    below = [
        f"{name}: {measure} {found[name]['every'][measure]:.4f} < {bar}"
        for (name, measure), bar in AT_LEAST.items()
        if found[name]["every"][measure] < bar
    ]
    return above + below
