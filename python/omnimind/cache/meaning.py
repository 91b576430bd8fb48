"""The semantic level: an answer to the same question in other words.

The rules are the core's (`omnimind_cache::semantic`): likeness only finds candidates, a guard refuses what differs in
numbers, names or negation, and an answer is served for other words only after the loader itself has shown, hundreds
of times, that such a change of words does not change the answer. Until then each question is loaded and compared.
What is served is never kept under the new words: they may be asked again, and checked.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from random import SystemRandom
from typing import TYPE_CHECKING, Any, Final, TypeVar

from omnimind import _core
from omnimind.cache.results import LevelStats
from omnimind.encoder import NoEncoder, find_encoder

if TYPE_CHECKING:
    from omnimind.cache.face import Cache, Codec

V = TypeVar("V")
NOTHING: Final = object()


class Meaning:
    """The questions of a cache."""

    def __init__(self, codec: Codec | None, ttl_s: float | None) -> None:
        """Raises ImportError if there is no encoder, with what to install."""
        found = find_encoder()
        if isinstance(found, NoEncoder):
            raise ImportError(f"the semantic level is off: {found.reason}")
        self._level = _core.Semantic(found.weights, found.tokenizer)
        self._codec, self._ttl_s = codec, ttl_s
        self._chance = SystemRandom()

    def ask(
        self, cache: Cache[Any, V], text: str, loader: Callable[[], V], scope: str, ttl_s: float | None
    ) -> V:
        """The kept answer to this text, or to another that says the same, else what the loader says."""
        key = _digest(b"text", scope, text)
        known: Any = cache.get(key, NOTHING)
        if known is not NOTHING:
            return known  # type: ignore[no-any-return]
        question = self._level.ask(_digest(b"scope", scope), text, self._chance.getrandbits(64))
        if question is not None and question.served is not None:
            known = cache.get(question.served, NOTHING)
            if known is not NOTHING:
                return known  # type: ignore[no-any-return]
            self._level.gone(question)
        said: list[bytes] = []
        generation = cache._generation

        def load() -> V:
            value = loader()
            said.append(self._said(value))
            return value

        value = cache.get_or_load(key, load, ttl_s=ttl_s)
        if question is not None and said and cache._generation == generation:
            kept = key if key in cache else None
            self._level.learn(question, said[0], kept, self._ttl_s if ttl_s is None else ttl_s)
        return value

    def stats(self) -> LevelStats:
        """Hits are questions that were answered with what other words had been given."""
        return LevelStats(off=None, stale_hits=0, evictions=0, damaged=0, **self._level.counts())

    def _said(self, value: Any) -> bytes:
        """A digest that equal answers share."""
        if self._codec is not None:
            spelled = self._codec.dumps(value)
        elif type(value) is bytes:
            spelled = b"b" + value
        elif type(value) is str:
            spelled = b"s" + value.encode("utf-8", "surrogatepass")
        else:
            raise TypeError(f"answers are compared as bytes or str, not {type(value).__name__}; pass a codec")
        return blake2b(spelled, digest_size=16).digest()


def _digest(kind: bytes, *texts: str) -> bytes:
    digest = blake2b(digest_size=32, person=kind)
    for text in texts:
        spelled = text.encode("utf-8", "surrogatepass")
        digest.update(b"%d:%b" % (len(spelled), spelled))
    return digest.digest()
