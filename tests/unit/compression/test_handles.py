"""Originals by handle, and parts of texts."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from hashlib import sha256
from pathlib import Path

import pytest

from omnimind import Compressor
from omnimind.compression import handles
from omnimind.compression.handles import Originals, Place

LOG = "".join(f"12:00:{at % 60:02} job {at} done in {at * 7919 % 500} ms\n" for at in range(400))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "handles"


def test_an_original_is_read_by_another_process_and_after_a_restart(folder: Path) -> None:
    handle = Originals(folder).put("ann", LOG, mime="text/plain", source="logging/search")
    kept = Originals(folder).get("ann", handle)
    assert kept is not None
    assert (kept.handle, kept.data.decode(), kept.mime) == (handle, LOG, "text/plain")
    assert kept.until_ms - kept.put_ms == 24 * 3_600_000
    assert abs(kept.put_ms - time.time() * 1000) < 60_000
    code = "import sys; from pathlib import Path; from omnimind.compression.handles import Originals as O\n"
    code += "print(O(Path(sys.argv[1])).get('ann', sys.argv[2]).data.decode(), end='')"
    there = subprocess.run(
        [sys.executable, "-c", code, folder, handle[:16]], capture_output=True, check=True, text=True
    )
    assert there.stdout == LOG


def test_a_handle_is_the_hash_that_a_cut_text_names(folder: Path) -> None:
    compressed = Compressor().compress(LOG, 600)
    assert compressed.omissions
    handle = Originals(folder).put("ann", LOG)
    assert handle == compressed.handle
    name = compressed.content.partition(handles.URI)[2].partition(" ")[0]
    assert handle.startswith(name)
    gap = compressed.omissions[0]
    kept = Originals(folder).get("ann", name)
    assert kept is not None
    shown = handles.expand(kept.data.decode(), at=Place(False, *gap.lines)).text
    assert shown == "".join(LOG.splitlines(keepends=True)[gap.lines[0] - 1 : gap.lines[1]])


def test_another_principals_handle_is_not_found_and_what_is_none_is_said(folder: Path) -> None:
    store = Originals(folder)
    handle = store.put("ann", b"\x00\xff bytes")
    assert store.get("bob", handle) is None
    kept = store.get("ann", f"omnimind+context:omnimind://context/{handle}?lines=3-9")
    assert kept is not None
    assert kept.data == b"\x00\xff bytes"
    with pytest.raises(ValueError, match="64 hexadecimal digits"):
        store.get("ann", handle[:15])
    assert len(store.key()) == 32
    assert store.key() == Originals(folder).key()
    assert store.notices() == []


def test_a_folder_that_cannot_be_one_is_an_os_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="Not a directory"):
        Originals(tmp_path / "file" / "handles")


def test_other_threads_go_on_while_one_reads_or_waits(folder: Path) -> None:
    store = Originals(folder)
    data = os.urandom(12_000_000).hex()
    ticks, done = 0, threading.Event()

    def work() -> None:
        handles.expand(data, grep="([0-9]+a)+z")
        store.get("ann", store.put("ann", data[:8_000_000]))
        done.set()

    threading.Thread(target=work).start()
    while not done.wait(0.001):
        ticks += 1
    assert ticks > 20


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("3-9", Place(False, 3, 9)),
        (" L120-531 ", Place(False, 120, 531)),
        ("7", Place(False, 7, 7)),
        ("812-", Place(False, 812, 2**53)),
        ("B1200-5300", Place(True, 1200, 5300)),
        ("b12", Place(True, 12, 13)),
    ],
)
def test_places_are_read_as_marks_write_them(written: str, read: Place) -> None:
    assert handles.place(written) == read


@pytest.mark.parametrize("wrong", ["", "-3", "3-9-12", "a-b", "L", "9" * 20, "3 9", "٣-٩"])
def test_what_is_no_place_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="give lines as 3-9"):
        handles.place(wrong)


def test_parts_are_pieces_of_the_text(folder: Path) -> None:
    lines = LOG.splitlines(keepends=True)
    assert handles.expand(LOG).text == LOG
    assert handles.expand(LOG, at=handles.place("3-5")).text == "".join(lines[2:5])
    assert handles.expand("aüb", at=handles.place("B2-3")).widened == (1, 3)
    found = handles.expand(LOG, grep=r"job 7\d? ", at=handles.place("50-"), context=1)
    assert found.text.startswith("70-")
    assert "71:12:00:10 job 70 " in found.text
    assert found.found == 10
    values = handles.expand('[{"id": 1.50, "ok": false}, {"id": 2}]', json_path="$[?@.ok == false].id")
    assert values.text == "1.50"
    assert "[L301-312]" in handles.expand(LOG, query="which job 306 took", max_tokens=600).text


def test_a_text_in_pieces_is_the_whole_text() -> None:
    read, place = [], None
    while True:
        part = handles.expand(LOG, at=place, max_tokens=500)
        assert part.tokens <= 500
        read.append(part.text)
        if part.next is None:
            break
        place = handles.place(part.next)
    assert len(read) > 10
    assert sha256("".join(read).encode()).digest() == sha256(LOG.encode()).digest()


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"grep": "a", "query": "b"}, "give one of"),
        ({"grep": "("}, "unclosed group"),
        ({"json_path": "$"}, "no JSON"),
        ({"query": "..."}, "no words"),
        ({"at": Place(False, 900, 901)}, "between 1 and 400"),
        ({"at": Place(True, 0, 5), "grep": "a"}, "bytes"),
    ],
)
def test_what_cannot_be_read_says_what_to_ask_for(asked: dict[str, object], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        handles.expand(LOG, **asked)  # type: ignore[arg-type]
