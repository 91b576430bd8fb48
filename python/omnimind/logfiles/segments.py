"""The files of one log: the live one, and numbered segments of what it held before, packed as lz4 frames.

`memory.log` is rotated to `memory.log.17`, which is then packed to `memory.log.17.lz4`. A number is used once,
so a reader that lists the parts never reads one twice or misses one, whatever happens meanwhile; a segment that
is there in both forms counts as the packed one. Whoever was killed while packing left only a `.part` file, which
is nobody's. Every line is JSON and begins with its time, so lines can be compared without being parsed.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

LZ4 = ".lz4"
_HALF_DONE = ".part"
_CHUNK = 256 * 1024
_TIME_FROM, _TIME_TO = len(b'{"time": "'), len(b'{"time": "2026-11-22T00:56:03.123+00:00')
_PREFIX = b'{"time": "'
_FILES = re.compile(r"(?P<live>.+\.(?:log|jsonl))(?:\.(?P<number>\d+)(?:\.lz4)?)?(?P<half>\.part)?")


@dataclass(frozen=True, slots=True)
class Removed:
    """What a reset took away of one log."""

    name: str
    files: int
    bytes: int


def segments(live: Path) -> list[tuple[int, Path]]:
    """The numbered parts of a log, oldest first.

    A folder that changes while it is listed may show a file under neither its old nor its new name, so it is
    listed until two listings agree.
    """
    found = _listed(live)
    while (again := _listed(live)) != found:
        found = again
    return found


def _listed(live: Path) -> list[tuple[int, Path]]:
    found: dict[int, Path] = {}
    with contextlib.suppress(FileNotFoundError):
        for entry in os.scandir(live.parent):
            match = _FILES.fullmatch(entry.name)
            if match and match["live"] == live.name and match["number"] and not match["half"]:
                number = int(match["number"])
                if number not in found or entry.name.endswith(LZ4):
                    found[number] = live.parent / entry.name
    return sorted(found.items())


def parts(live: Path) -> list[Path]:
    """Every part of a log, oldest first, the live file last."""
    return [path for _, path in segments(live)] + [live]


def next_segment(live: Path) -> Path:
    """A path for the next segment, never used before while any later one is there."""
    known = segments(live)
    return live.with_name(f"{live.name}.{known[-1][0] + 1 if known else 1}")


def pack(raw: Path) -> Path:
    """The half-done packed form of a segment, as old as the segment; `finish` puts it in its place."""
    import lz4.frame  # type: ignore[import-untyped]

    half = raw.with_name(raw.name + LZ4 + _HALF_DONE)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        with raw.open("rb") as source, open(os.open(half, flags, 0o600), "wb") as target:
            packer = lz4.frame.LZ4FrameCompressor()
            target.write(packer.begin())
            while chunk := source.read(_CHUNK):
                target.write(packer.compress(chunk))
            target.write(packer.flush())
            age = os.fstat(source.fileno()).st_mtime_ns
        os.utime(half, ns=(age, age))
    except BaseException:
        half.unlink(missing_ok=True)
        raise
    return half


def finish(raw: Path, half: Path) -> None:
    """The packed form takes the place of the segment, if that is still wanted."""
    if raw.exists():
        half.replace(raw.with_name(raw.name + LZ4))
        raw.unlink()
    else:
        half.unlink(missing_ok=True)


def lines(part: Path) -> Iterator[bytes]:
    """The whole lines of a part; those of a damaged or vanishing one as far as they can be read."""
    try:
        with part.open("rb") as file:
            if part.suffix == LZ4:
                import lz4.frame

                with lz4.frame.LZ4FrameFile(file) as unpacked:
                    yield from whole_lines(unpacked.read)
            else:
                yield from whole_lines(file.read)
    except FileNotFoundError:
        if part.suffix[1:].isdigit():
            yield from lines(part.with_name(part.name + LZ4))  # packed since it was listed
    except (OSError, EOFError, RuntimeError, ValueError):
        return


def whole_lines(read: Callable[[int], bytes]) -> Iterator[bytes]:
    """The lines that end, of what `read` gives."""
    pending = b""
    while chunk := read(_CHUNK):
        *found, pending = (pending + chunk).split(b"\n")
        yield from found


def stamp(line: bytes) -> bytes:
    """The time of a line, in a form that sorts as time does; empty if it has none."""
    return line[_TIME_FROM:_TIME_TO] if line.startswith(_PREFIX) else b""


def stamp_of(moment: datetime) -> bytes:
    """The same of a moment in UTC."""
    return moment.isoformat(timespec="milliseconds").encode()


def names(folder: Path, suffix: str = ".log") -> list[str]:
    """The logs of a folder, by name, also those of which only segments are left."""
    found = set()
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        for entry in os.scandir(folder):
            match = _FILES.fullmatch(entry.name)
            if match and match["live"].endswith(suffix) and not match["half"]:
                found.add(match["live"].removesuffix(suffix))
    return sorted(found)


def remove(folder: Path, wanted: Sequence[str] | None = None) -> list[Removed]:
    """Remove these live files, or all, with their segments; for files that nobody writes to now.

    A segment that is being packed meanwhile changes its name, so the folder is listed until nothing of them is left.
    """
    gone: dict[str, Removed] = {}
    while found := _of_logs(folder, wanted):
        for live, entry in found:
            name = live.rpartition(".")[0]
            with contextlib.suppress(FileNotFoundError):
                size = entry.stat(follow_symlinks=False).st_size
                os.unlink(entry.path)
                before = gone.get(name, Removed(name, 0, 0))
                gone[name] = Removed(name, before.files + 1, before.bytes + size)
    return [gone[name] for name in sorted(gone)]


def _of_logs(folder: Path, wanted: Sequence[str] | None) -> list[tuple[str, os.DirEntry[str]]]:
    found = []
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        for entry in os.scandir(folder):
            match = _FILES.fullmatch(entry.name)
            if match and (wanted is None or match["live"] in wanted):
                found.append((match["live"], entry))
    return found
