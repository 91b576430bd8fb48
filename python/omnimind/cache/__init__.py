"""A cache for Python programs, in memory and below it: `omnimind.Cache`.

    cache = omnimind.Cache(max_items=10_000, ttl_s=60)
    page = cache.get_or_load(url, lambda: fetch(url))

Modules: `face` is the class, `flights` lets one caller load what many wait for, `foresight` asks ahead, `meaning`
answers questions in other words with what `encoder` finds, `spelling` makes keys of plain arguments, `results` is
what statistics look like.
"""

from omnimind.cache.face import MSGPACK, Cache, Codec
from omnimind.cache.results import LevelStats

__all__ = ["MSGPACK", "Cache", "Codec", "LevelStats"]
