"""Stamps of files: whatever is done to a file moves its stamp, and where that is not sure there is none."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from keyed_session import holds

from omnimind.servers import depends
from omnimind.servers.depends import FILES, REQUEST, Evidence, stamp_at

OLD_S = 0.06
"""After so long a change is no longer young."""


def aged(path: Path) -> Path:
    time.sleep(OLD_S)
    return path


@pytest.fixture
def evidence() -> Iterator[Evidence]:
    yield depends.collect()
    depends._evidence.set(None)


def _same_size(file: Path) -> None:
    file.write_text("two")


def _same_size_and_mtime(file: Path) -> None:
    before = file.stat()
    file.write_text("two")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def _renamed_over(file: Path) -> None:
    before = file.stat()
    other = file.with_name("other")
    other.write_text("two")
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.rename(file)


def _through_another_name(file: Path) -> None:
    os.link(file, file.with_name("second"))
    before = file.stat()
    with file.with_name("second").open("r+") as second:
        second.write("two")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def _a_link_in_its_place(file: Path) -> None:
    other = file.with_name("other")
    other.write_text("two")
    file.unlink()
    file.symlink_to(other)


def _one_byte_in_place(file: Path) -> None:
    with file.open("r+b") as opened:
        os.pwrite(opened.fileno(), b"0", 2)


def _folder_replaced(file: Path) -> None:
    folder = file.parent
    folder.rename(folder.with_name("gone"))
    folder.mkdir()
    file.write_text("two")


def _folder_is_a_link_now(file: Path) -> None:
    folder = file.parent
    folder.rename(folder.with_name("gone"))
    other = folder.with_name("elsewhere")
    other.mkdir()
    (other / file.name).write_text("two")
    folder.symlink_to(other)


CHANGES: list[Callable[[Path], object]] = [
    _same_size,
    _same_size_and_mtime,
    _renamed_over,
    _through_another_name,
    _a_link_in_its_place,
    _one_byte_in_place,
    _folder_replaced,
    _folder_is_a_link_now,
    Path.unlink,
    lambda file: file.chmod(0o600),
    lambda file: os.truncate(file, 0),
    lambda file: os.truncate(file, 4),
]


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_is_done_to_a_file_moves_its_stamp(tmp_path: Path, change: Callable[[Path], object]) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    file = folder / "file"
    file.write_text("one")
    stamp = stamp_at(str(aged(file)))
    assert stamp is not None
    assert holds([stamp])
    file.read_text()
    assert holds([stamp]), "reading changes nothing"
    change(file)
    assert not holds([stamp])


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "new").touch(),
        lambda folder: (folder / "one").unlink(),
        lambda folder: (folder / "one").rename(folder / "other"),
        lambda folder: (folder / "two").rename(folder / "one"),
        lambda folder: (folder / "new").symlink_to("one"),
        lambda folder: ((folder / "one").unlink(), (folder / "one").mkdir()),
    ],
)
def test_whatever_happens_to_the_names_in_a_folder_moves_its_stamp(
    tmp_path: Path, change: Callable[[Path], object]
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "one").touch()
    (folder / "two").touch()
    stamp = stamp_at(str(aged(folder)))
    assert stamp is not None
    assert holds([stamp])
    change(folder)
    assert not holds([stamp])


def test_what_is_not_there_is_noticed_when_it_comes(tmp_path: Path) -> None:
    stamp = stamp_at(str(tmp_path / "later"))
    assert stamp == {"path": str(tmp_path / "later"), "missing": True}
    assert holds([stamp])
    (tmp_path / "later").touch()
    assert not holds([stamp])


def test_what_was_changed_a_moment_ago_has_no_stamp(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("one")
    assert stamp_at(str(tmp_path / "file")) is None
    assert stamp_at(str(tmp_path)) is None


def test_an_empty_journal_may_come_and_go_and_not_be_filled(tmp_path: Path, evidence: Evidence) -> None:
    depends.rests_on(FILES)
    journal = tmp_path / "shop.db-wal"
    depends.empty(str(journal))
    stamps = evidence.stamps()
    assert stamps == [{"path": str(journal), "empty": True}]
    journal.touch()
    assert holds(stamps)
    depends.empty(str(journal))
    assert evidence.stamps() == stamps
    journal.write_text("x")
    assert not holds(stamps)
    depends.empty(str(journal))
    assert evidence.stamps() is None


def test_a_file_that_a_link_leads_to_has_no_stamp(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_text("one")
    (tmp_path / "link").symlink_to("folder/file")
    (tmp_path / "linked").symlink_to("folder")
    aged(tmp_path)
    assert stamp_at(str(tmp_path / "folder" / "file")) is not None
    assert stamp_at(str(tmp_path / "link")) is None
    assert stamp_at(str(tmp_path / "linked" / "file")) is None
    assert stamp_at(str(tmp_path / "folder" / ".." / "folder" / "file")) is None
    assert stamp_at(str(tmp_path / "folder" / "file" / "beneath")) is None


def test_what_has_no_bytes_of_its_own_has_no_stamp(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    aged(tmp_path)
    for path in (str(tmp_path / "pipe"), "/dev/null", "/proc/self/status", "/proc/cpuinfo", "/sys/kernel"):
        assert stamp_at(path) is None, path


def test_a_name_that_is_no_text_has_no_stamp(tmp_path: Path) -> None:
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/\xff")
    assert stamp_at(odd) is None
    Path(odd).write_text("one")
    aged(tmp_path)
    assert stamp_at(odd) is None


def facts(mtime_ns: int, ctime_ns: int) -> Any:
    return SimpleNamespace(st_mode=stat.S_IFREG, st_size=1, st_mtime_ns=mtime_ns, st_ctime_ns=ctime_ns)


def test_how_long_a_change_is_young_follows_the_clock_that_it_was_noted_with() -> None:
    now = 1_000_000_000_123_456_789
    for age_ns, young in ((0, True), (49_000_000, True), (51_000_000, False)):
        assert depends._is_young(facts(0, now - age_ns), now) is young
        assert depends._is_young(facts(now - age_ns, 1), now) is young
    whole = now - now % 1_000_000_000
    assert depends._is_young(facts(whole, whole), whole + 1_900_000_000)
    assert not depends._is_young(facts(whole, whole), whole + 2_100_000_000)
    assert depends._is_young(facts(0, now + 10_000_000_000), now), "a clock that was set back"


def test_nothing_is_said_of_an_answer_whose_tool_says_nothing(tmp_path: Path, evidence: Evidence) -> None:
    depends.file(aged(tmp_path))
    assert not depends.wanted()
    assert evidence.stamps() is None


def test_an_answer_that_rests_on_files_and_names_none_is_not_kept(evidence: Evidence) -> None:
    depends.rests_on(FILES)
    assert evidence.stamps() is None


def test_an_answer_that_rests_on_its_arguments_depends_on_nothing(evidence: Evidence) -> None:
    depends.rests_on(REQUEST)
    assert evidence.stamps() == []


def test_one_doubt_is_enough(tmp_path: Path, evidence: Evidence) -> None:
    depends.rests_on(FILES)
    depends.file(aged(tmp_path))
    assert evidence.stamps() is not None
    depends.unsure()
    depends.file(tmp_path)
    assert evidence.stamps() is None


def test_a_file_that_changes_while_it_is_looked_at_twice_is_a_doubt(
    tmp_path: Path, evidence: Evidence
) -> None:
    depends.rests_on(FILES)
    depends.file(aged(tmp_path))
    depends.file(tmp_path)
    assert evidence.stamps() is not None
    (tmp_path / "new").touch()
    depends.file(aged(tmp_path))
    assert evidence.stamps() is None


def test_sixteen_files_are_compared_at_a_hit_and_no_more(tmp_path: Path, evidence: Evidence) -> None:
    depends.rests_on(FILES)
    for number in range(16):
        depends.file(tmp_path / str(number))
    assert len(evidence.stamps() or []) == 16
    depends.file(tmp_path / "16")
    assert evidence.stamps() is None


def test_an_open_file_is_stamped_where_it_lies_and_not_where_it_lay(
    tmp_path: Path, evidence: Evidence
) -> None:
    depends.rests_on(FILES)
    file = tmp_path / "file"
    file.write_text("one")
    aged(file)
    with file.open() as opened:
        depends.opened(opened.fileno(), str(file))
        assert [one["path"] for one in evidence.stamps() or []] == [str(file)]
        file.unlink()
        depends.opened(opened.fileno(), str(file))
    assert evidence.stamps() is None
