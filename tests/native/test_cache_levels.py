"""The cache with levels below memory: bytes, packed, on disk for the next process, one process a folder."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from omnimind.cache import MSGPACK, Cache, Codec

TEXT = b"".join(b'{"name": "row %d", "state": "open", "labels": ["a", "b"]},\n' % n for n in range(20))


def eventually(holds: Callable[[], bool], within_s: float = 5.0) -> bool:
    ends = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > ends:
            return False
        time.sleep(0.002)
    return True


def test_bytes_come_back_as_they_were() -> None:
    cache: Cache[str, bytes] = Cache(("ram", "compressed"))
    cache["key"] = TEXT
    cache["schlüssel " * 40] = b""
    assert cache.get("key") == TEXT
    assert cache["schlüssel " * 40] == b""
    assert cache.get("other", b"nothing") == b"nothing"
    assert cache.delete("key")
    assert "key" not in cache


def test_text_and_bytes_of_the_same_letters_are_two_keys() -> None:
    cache: Cache[str, bytes] = Cache(("ram", "compressed"))
    both: Cache[bytes, bytes] = cache  # type: ignore[assignment]
    cache["key"] = b"1"
    both[b"key"] = b"2"
    assert (cache["key"], both[b"key"]) == (b"1", b"2")


@pytest.mark.parametrize("value", ["text", 1, bytearray(b"x"), None])
def test_without_a_codec_only_bytes_are_taken(value: object) -> None:
    cache: Cache[str, bytes] = Cache(("ram", "compressed"))
    with pytest.raises(TypeError, match=r"keep bytes, not .*; give the cache a codec"):
        cache["key"] = value  # type: ignore[assignment]


def test_what_leaves_memory_goes_down_packed_and_comes_up_again() -> None:
    cache: Cache[str, bytes] = Cache(
        ("ram", "compressed"), max_bytes=20 * len(TEXT), compressed_bytes=1 << 20
    )
    for number in range(200):
        key = str(number)
        cache[key] = TEXT + key.encode()
        assert cache[key] == TEXT + key.encode()
    stats = cache.stats()
    assert stats["ram"].entries < 30
    assert stats["compressed"].entries > 100
    assert stats["compressed"].bytes < stats["compressed"].entries * len(TEXT) / 2
    assert cache["0"] == TEXT + b"0"
    assert cache.stats()["compressed"].hits == 1


def test_a_codec_makes_bytes_of_values_and_each_hit_is_a_copy() -> None:
    cache: Cache[str, list[int]] = Cache(("ram", "compressed"), codec=MSGPACK)
    cache["key"] = [1, 2, 3]
    cache["key"].append(4)
    assert cache["key"] == [1, 2, 3]
    pickled: Cache[str, set[int]] = Cache(("ram", "compressed"), codec=Codec(pickle.dumps, pickle.loads))
    pickled["key"] = {1}
    assert pickled["key"] == {1}


def test_msgpack_refuses_what_would_not_come_back_as_it_was() -> None:
    cache: Cache[str, object] = Cache(("ram", "compressed"), codec=MSGPACK)
    for value in ((1, 2), {1}, object()):
        with pytest.raises(TypeError):
            cache["key"] = value
    assert "key" not in cache


def test_what_is_on_disk_is_there_for_the_next(tmp_path: Path) -> None:
    with Cache(("ram", "disk"), folder=tmp_path / "cache") as cache:
        for number in range(100):
            cache[str(number)] = TEXT + str(number).encode()
        cache.delete("7")
    with Cache(("ram", "disk"), folder=tmp_path / "cache") as cache:
        assert [cache.get(str(number)) for number in (0, 99)] == [TEXT + b"0", TEXT + b"99"]
        assert cache.get("7") is None
        stats = cache.stats()
        assert (stats["disk"].hits, stats["disk"].misses, stats["disk"].off) == (2, 1, None)


def test_what_is_on_disk_ends_at_its_time_too(tmp_path: Path) -> None:
    with Cache(("ram", "disk"), folder=tmp_path) as cache:
        cache.set("short", b"1", ttl_s=0.03)
        cache.set("long", b"2", ttl_s=3600)
    with Cache(("ram", "disk"), folder=tmp_path) as cache:
        assert eventually(lambda: cache.get("short") is None)
        assert cache["long"] == b"2"


HOLDER = """
import sys, warnings
warnings.simplefilter("error")
from omnimind import Cache
cache = Cache(("ram", "disk"), folder=sys.argv[1])
cache["key"] = b"theirs"
cache.flush()
print("ready", flush=True)
sys.stdin.read()
"""


def test_a_second_process_works_without_the_folder_and_says_so(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "ready\n"
        with pytest.warns(
            RuntimeWarning, match="without its disk level: the folder is used by another process"
        ):
            cache: Cache[str, bytes] = Cache(("ram", "disk"), folder=tmp_path)
        assert cache.get("key") is None
        cache["key"] = b"mine"
        assert cache["key"] == b"mine"
        assert cache.stats()["disk"].off == "the folder is used by another process"
    finally:
        holder.kill()
        holder.wait()
        assert holder.stdin is not None
        assert holder.stdout is not None
        holder.stdin.close()
        holder.stdout.close()
    with Cache(("ram", "disk"), folder=tmp_path) as later:
        assert later.get("key") == b"theirs"


def test_a_folder_that_cannot_be_used_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.warns(RuntimeWarning, match="the folder cannot be used"):
        cache: Cache[str, bytes] = Cache(("ram", "disk"), folder=tmp_path / "file")
    cache["key"] = b"1"
    assert cache["key"] == b"1"


def test_closed_it_gives_the_folder_back_and_answers_no_more(tmp_path: Path) -> None:
    cache: Cache[str, bytes] = Cache(("ram", "disk"), folder=tmp_path)
    cache["key"] = b"1"
    cache.close()
    cache.close()
    for call in (lambda: cache.get("key"), lambda: cache.set("key", b"2"), lambda: len(cache), cache.stats):
        with pytest.raises(ValueError, match="closed"):
            call()  # type: ignore[operator]
    with Cache(("ram", "disk"), folder=tmp_path) as again:
        assert again["key"] == b"1"


def test_the_files_are_their_owners_alone(tmp_path: Path) -> None:
    with Cache(("ram", "disk"), folder=tmp_path / "cache") as cache:
        cache["key"] = b"1"
        cache.flush()
        modes = {
            oct(path.stat().st_mode & 0o777) for path in (tmp_path / "cache").rglob("*") if path.is_file()
        }
    assert modes == {"0o600"}
    assert (tmp_path / "cache").stat().st_mode & 0o777 == 0o700


def test_threads_run_while_another_waits_for_the_disk(tmp_path: Path) -> None:
    with Cache(("ram", "disk"), folder=tmp_path, max_bytes=1 << 26) as cache:
        counted = 0
        done = threading.Event()

        def write() -> None:
            for number in range(200):
                cache[str(number)] = os.urandom(64 * 1024)
            cache.flush()
            done.set()

        writer = threading.Thread(target=write)
        writer.start()
        while not done.is_set():
            counted += 1
            assert cache.get("nothing there") is None
        writer.join()
    assert counted > 0


KILLED = """
import json, sys
from omnimind import Cache
cache = Cache(("ram", "disk"), folder=sys.argv[1])
number = 0
while True:
    cache[str(number)] = b"value of %d " % number * 40
    if number % 100 == 99:
        cache.flush()
        print(json.dumps(number), flush=True)
    number += 1
"""


def test_what_was_flushed_outlives_a_kill(tmp_path: Path) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    flushed = [json.loads(writer.stdout.readline()) for _ in range(5)][-1]
    writer.kill()
    writer.wait()
    writer.stdout.close()
    with Cache(("ram", "disk"), folder=tmp_path) as cache:
        for number in range(flushed + 1):
            assert cache.get(str(number)) == b"value of %d " % number * 40


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"levels": ("ram", "tape")}, "unknown level 'tape'"),
        ({"levels": ("compressed",)}, "the first level is always 'ram'"),
        ({"levels": ("ram", "disk")}, "belong together"),
        ({"folder": "x"}, "belong together"),
        ({"compressed_bytes": 5}, "is for the level 'compressed'"),
        ({"codec": MSGPACK}, "a codec is for levels below"),
        ({"levels": ("ram", "compressed"), "weigher": len}, "weigh their values themselves"),
        ({"max_items": 0}, "at least 1"),
        ({"max_bytes": 0}, "at least 1"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Cache(**settings)  # type: ignore[arg-type]
