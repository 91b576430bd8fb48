"""Documents of eighteen kinds in three sizes, all from a seed."""

from __future__ import annotations

import random
from typing import Final

from benches.compression.corpus import logs, reworded, structured, texts
from benches.compression.document import Document, Maker

MAKERS: Final[tuple[Maker, ...]] = (
    structured.api_list,
    structured.nested,
    structured.events,
    structured.sheet,
    structured.listing,
    structured.tools,
    *logs.MAKERS,
    *texts.MAKERS,
)
SIZES: Final = (60, 250, 900)


def documents(seed: int, makers: tuple[Maker, ...] = MAKERS) -> list[Document]:
    """One of each kind in each size; the same seed gives the same texts."""
    rng = random.Random(seed)
    return [maker(random.Random(rng.getrandbits(64)), size) for maker in makers for size in SIZES]


def in_other_words(seed: int) -> list[Document]:
    """The same, of the kinds of which words alone do not tell what says the same."""
    return documents(seed, reworded.MAKERS)
