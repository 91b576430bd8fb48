"""What the filesystem tools return, in the words of the reference server."""

from __future__ import annotations

import base64
import json
import os
import time
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client
from server_session import Session

from omnimind.servers.filesystem import listing

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def test_a_text_comes_as_content_and_as_structured_content(filesystem: Session, folder: Path) -> None:
    (folder / "a.txt").write_text("one\ntwo\nthree\n")
    result = filesystem.call("read_text_file", path=str(folder / "a.txt"))
    assert result.content[0].text == "one\ntwo\nthree\n"  # type: ignore[union-attr]
    assert result.structured_content == {"content": "one\ntwo\nthree\n"}


def test_a_large_text_is_sent_once_and_says_so(filesystem: Session, folder: Path) -> None:
    (folder / "big.txt").write_text("x" * 100_000)
    result = filesystem.call("read_text_file", path="big.txt")
    assert len(result.content[0].text) == 100_000  # type: ignore[union-attr]
    assert result.structured_content is None
    assert "65,536" in (result.meta or {})["omnimind/structuredContent"]


def test_head_and_tail_count_lines(filesystem: Session, folder: Path) -> None:
    (folder / "a.txt").write_text("one\ntwo\nthree\n")
    (folder / "open.txt").write_text("one\ntwo")
    assert filesystem.text("read_text_file", path="a.txt", head=2) == "one\ntwo"
    assert filesystem.text("read_text_file", path="a.txt", head=9) == "one\ntwo\nthree"
    assert filesystem.text("read_text_file", path="a.txt", tail=1) == "three"
    assert filesystem.text("read_text_file", path="a.txt", tail=9) == "one\ntwo\nthree"
    assert filesystem.text("read_text_file", path="open.txt", tail=1) == "two"
    assert filesystem.text("read_text_file", path="a.txt", head=0) == ""
    assert "together" in filesystem.problem("read_text_file", path="a.txt", head=1, tail=1)


def test_the_end_of_a_huge_file_is_read_without_its_beginning(filesystem: Session, folder: Path) -> None:
    with (folder / "huge.log").open("w") as file:
        for number in range(600_000):
            file.write(f"line {number}\n")
    assert filesystem.text("read_text_file", path="huge.log", tail=2) == "line 599998\nline 599999"
    assert filesystem.text("read_text_file", path="huge.log", head=2) == "line 0\nline 1"
    refused = filesystem.problem("read_text_file", path="huge.log")
    assert "4,194,304" in refused
    assert "head or tail" in refused


def test_images_and_audio_come_as_such_and_the_rest_as_a_resource(filesystem: Session, folder: Path) -> None:
    (folder / "p.png").write_bytes(PNG)
    (folder / "s.wav").write_bytes(b"RIFF")
    (folder / "b.bin").write_bytes(b"\0\1")
    for name, kind in (("p.png", "image"), ("s.wav", "audio"), ("b.bin", "resource")):
        result = filesystem.call("read_media_file", path=name)
        assert result.content[0].type == kind
        assert result.structured_content is not None
        assert result.structured_content["content"][0]["type"] == kind
    assert base64.b64decode(filesystem.call("read_media_file", path="p.png").content[0].data) == PNG  # type: ignore[union-attr]


def test_bytes_are_believed_before_names(filesystem: Session, folder: Path) -> None:
    kinds = {
        "photo.png": (b"\xff\xd8\xff\xe0rest", "image/jpeg"),
        "no-ending": (PNG, "image/png"),
        "sound": (b"RIFF\0\0\0\0WAVEfmt ", "audio/wav"),
        "picture": (b"\0\0\0\x20ftypavif", "image/avif"),
        "paper.txt": (b"%PDF-1.7", "application/pdf"),
        "page.SVG": (b"<svg/>", "image/svg+xml"),
        ".png": (b"hidden", "application/octet-stream"),
        "empty.mp3": (b"", "audio/mpeg"),
    }
    for name, (data, kind) in kinds.items():
        (folder / name).write_bytes(data)
        block = filesystem.call("read_media_file", path=name).structured_content["content"][0]  # type: ignore[index]
        assert block.get("mimeType", block.get("resource", {}).get("mimeType")) == kind, name
    (folder / "ü %.bin").write_bytes(b"\0")
    block = filesystem.call("read_media_file", path="ü %.bin").structured_content["content"][0]  # type: ignore[index]
    assert block["resource"]["uri"] == f"file://{folder}/%C3%BC%20%25.bin"


def test_a_name_is_found_in_either_spelling_of_unicode_unless_both_are_there(
    filesystem: Session, folder: Path
) -> None:
    one, two = "caf\u00e9", "caf\u0065\u0301"
    (folder / two).mkdir()
    (folder / two / two).write_text("found")
    assert filesystem.text("read_text_file", path=f"{one}/{one}") == "found"
    filesystem.text("write_file", path=f"{one}/new", content="beside")
    assert sorted(path.name for path in (folder / two).iterdir()) == [two, "new"]
    assert "no such file" in filesystem.problem("read_text_file", path=f"{one}/\u00e8")
    (folder / "\u1e69").write_text("1")
    (folder / "s\u0323\u0307").write_text("2")
    assert filesystem.text("read_text_file", path="\u1e69") == "1"
    assert "2 names" in filesystem.problem("read_text_file", path="s\u0307\u0323")


def test_binary_files_are_not_text(filesystem: Session, folder: Path) -> None:
    (folder / "b.bin").write_bytes(b"ab\0cd")
    assert "read_media_file" in filesystem.problem("read_text_file", path="b.bin")
    (folder / "wide.txt").write_bytes("wide".encode("utf-16"))
    assert filesystem.text("read_text_file", path="wide.txt") == "wide"


def test_several_files_are_read_even_if_one_is_missing(filesystem: Session, folder: Path) -> None:
    (folder / "a.txt").write_text("A")
    text = filesystem.text("read_multiple_files", paths=["a.txt", "none", "/etc/passwd"])
    first, second, third = text.split("\n---\n")
    assert first == "a.txt:\nA\n"
    assert second.startswith("none: Error - ")
    assert "outside the allowed directories" in third


def test_a_write_keeps_the_mode_and_leaves_nothing_behind(filesystem: Session, folder: Path) -> None:
    script = folder / "run.sh"
    script.write_text("old")
    script.chmod(0o751)
    assert filesystem.text("write_file", path="run.sh", content="né\n") == "Successfully wrote to run.sh"
    assert script.read_bytes() == "né\n".encode()
    assert script.stat().st_mode & 0o777 == 0o751
    assert [path.name for path in folder.iterdir()] == ["run.sh"]


def test_a_new_content_does_not_inherit_the_right_to_act_for_another_user(
    filesystem: Session, folder: Path
) -> None:
    (folder / "tool").write_text("old")
    (folder / "tool").chmod(0o6755)
    filesystem.text("write_file", path="tool", content="new")
    assert (folder / "tool").stat().st_mode & 0o7777 == 0o755


def test_a_search_finds_what_can_be_opened(filesystem: Session, folder: Path) -> None:
    (folder / "real").write_text("")
    for name, target in (("in", "real"), ("gone", "nowhere"), ("out", "/etc/passwd"), ("loop", "loop")):
        (folder / name).symlink_to(target)
    assert filesystem.text("search_files", path=".", pattern="*") == f"{folder}/in\n{folder}/real"


def test_a_write_through_a_link_inside_changes_its_target(filesystem: Session, folder: Path) -> None:
    (folder / "real.txt").write_text("old")
    (folder / "link.txt").symlink_to("real.txt")
    (folder / "absolute.txt").symlink_to(folder / "real.txt")
    filesystem.text("write_file", path="link.txt", content="new")
    assert (folder / "link.txt").is_symlink()
    assert filesystem.text("read_text_file", path="absolute.txt") == "new"


def test_a_write_into_a_directory_or_nowhere_says_what_to_do(filesystem: Session, folder: Path) -> None:
    (folder / "d").mkdir()
    assert "name a file inside it" in filesystem.problem("write_file", path="d", content="")
    assert "no such file or directory" in filesystem.problem("write_file", path="x/y/z", content="")
    assert "8,388,608" in filesystem.problem("write_file", path="big", content="x" * (8 * 1024 * 1024 + 1))


def test_an_edit_shows_its_diff_and_a_dry_run_changes_nothing(filesystem: Session, folder: Path) -> None:
    (folder / "w.txt").write_text("héllo\nworld\n")
    edits = [{"oldText": "world", "newText": "there"}]
    shown = filesystem.text("edit_file", path="w.txt", edits=edits, dryRun=True)
    path = folder / "w.txt"
    assert shown == (
        f"```diff\nIndex: {path}\n{'=' * 67}\n--- {path}\toriginal\n+++ {path}\tmodified\n"
        "@@ -1,2 +1,2 @@\n héllo\n-world\n+there\n```\n\n"
    )
    assert path.read_text() == "héllo\nworld\n"
    assert filesystem.text("edit_file", path="w.txt", edits=edits) == shown
    assert path.read_text() == "héllo\nthere\n"


def test_a_directory_is_made_with_those_above_it(filesystem: Session, folder: Path) -> None:
    made = filesystem.text("create_directory", path="n/e/w")
    assert made == "Successfully created directory n/e/w"
    assert (folder / "n/e/w").is_dir()
    filesystem.text("create_directory", path="n/e/w")
    (folder / "file").write_text("")
    assert "not a directory" in filesystem.problem("create_directory", path="file")
    assert "not a directory" in filesystem.problem("create_directory", path="file/below")


def test_listings_name_kinds_and_sizes(filesystem: Session, folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "a.txt").write_text("x" * 18)
    (folder / "b.bin").write_bytes(b"x" * 2048)
    assert filesystem.text("list_directory", path=".") == "[FILE] a.txt\n[FILE] b.bin\n[DIR] sub"
    sized = filesystem.text("list_directory_with_sizes", path=".", sortBy="size").split("\n")
    assert [line.split()[1] for line in sized[:3]] == ["sub", "b.bin", "a.txt"]
    assert sized[1].endswith("2.00 KB")
    assert sized[-2:] == ["Total: 2 files, 1 directories", "Combined size: 2.02 KB"]
    tree = json.loads(filesystem.text("directory_tree", path="."))
    assert tree[2] == {"name": "sub", "type": "directory", "children": []}
    assert "not a directory" in filesystem.problem("list_directory", path="a.txt")


def test_a_long_listing_ends_with_how_much_is_left_out(filesystem: Session, folder: Path) -> None:
    for number in range(10_003):
        os.close(os.open(folder / f"{number:05}", os.O_CREAT))
    lines = filesystem.text("list_directory", path=".").split("\n")
    assert len(lines) == 10_001
    assert lines[-1] == "... and 3 more; go on with offset 10000"
    assert filesystem.text("list_directory", path=".", offset=10_000).split("\n") == [
        f"[FILE] {number:05}" for number in range(10_000, 10_003)
    ]


def test_search_finds_by_pattern_and_leaves_out_what_is_excluded(filesystem: Session, folder: Path) -> None:
    for name in ("a.py", "src/b.py", "src/deep/c.py", "node_modules/d.py", ".hidden/e.py"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")
    found = filesystem.text("search_files", path=".", pattern="**/*.py", excludePatterns=["node_modules"])
    assert found.split("\n") == [
        str(folder / name) for name in (".hidden/e.py", "a.py", "src/b.py", "src/deep/c.py")
    ]
    assert filesystem.text("search_files", path=".", pattern="*.py") == str(folder / "a.py")
    assert filesystem.text("search_files", path=".", pattern="nothing") == "No matches found"


def test_deep_trees_are_refused_with_the_number(filesystem: Session, folder: Path) -> None:
    (folder / Path(*["d"] * 70)).mkdir(parents=True)
    assert "64 folders deep" in filesystem.problem("directory_tree", path=".")
    assert filesystem.text("search_files", path=".", pattern="**/d").count("\n") == 64


def test_a_search_and_a_tree_are_read_in_parts(filesystem: Session, folder: Path) -> None:
    for number in range(5):
        (folder / f"{number}" / "deep").mkdir(parents=True)
    part = filesystem.text("search_files", path=".", pattern="*", limit=2, offset=1).split("\n")
    assert part == [f"{folder}/1", f"{folder}/2", "... there are more than 3 matches; go on with offset 3"]
    assert filesystem.text("search_files", path=".", pattern="*", offset=3) == f"{folder}/3\n{folder}/4"
    assert filesystem.json("directory_tree", path=".", maxDepth=1)[0] == {"name": "0", "type": "directory"}
    two = filesystem.json("directory_tree", path=".", maxDepth=2)[0]
    assert two["children"] == [{"name": "deep", "type": "directory"}]
    assert "greater than or equal to 1" in filesystem.problem("directory_tree", path=".", maxDepth=0)


@pytest.mark.parametrize("tool", ["directory_tree", "search_files"])
def test_a_long_walk_tells_how_far_it_is_and_stops_when_its_caller_goes(
    filesystem: Session, folder: Path, tool: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(300):
        (folder / f"{number}").mkdir()
    entered = 0
    scan = listing._scan

    def slow(*args: Any, **options: Any) -> list[listing.Entry]:
        nonlocal entered
        entered += 1
        time.sleep(0.01)
        return scan(*args, **options)

    monkeypatch.setattr(listing, "_scan", slow)
    told: list[tuple[float, str | None]] = []

    async def work(client: Client) -> None:
        async def progressed(done: float, total: float | None, message: str | None) -> None:
            told.append((done, message))
            call.cancel()

        with anyio.CancelScope() as call:
            await client.call_tool(tool, {"path": ".", "pattern": "*"}, progress_callback=progressed)
        before = -1
        while before != entered:  # the word that the caller is gone takes its time to arrive
            before = entered
            await anyio.sleep(0.1)

    filesystem.ask(work)
    assert 0 < entered < 300, "the walk went on to its end"
    assert told[0][1] in (f"{int(told[0][0]):,} entries", None)


def test_a_move_never_replaces(filesystem: Session, folder: Path) -> None:
    (folder / "a").write_text("a")
    (folder / "b").write_text("b")
    (folder / "d").mkdir()
    assert "exists already" in filesystem.problem("move_file", source="a", destination="b")
    moved = filesystem.text("move_file", source="a", destination="d/a2")
    assert moved == "Successfully moved a to d/a2"
    assert (folder / "b").read_text() == "b"
    assert "into itself" in filesystem.problem("move_file", source="d", destination="d/e")
    assert "no such file" in filesystem.problem("move_file", source="a", destination="c")
    assert "allowed directory itself" in filesystem.problem("move_file", source=".", destination="d/f")


def test_file_info_has_the_lines_clients_parse(filesystem: Session, folder: Path) -> None:
    (folder / "a.txt").write_text("x")
    (folder / "a.txt").chmod(0o640)
    os.utime(folder / "a.txt", (1_000_000_000, 1_000_000_000))
    facts = dict(line.split(": ", 1) for line in filesystem.text("get_file_info", path="a.txt").split("\n"))
    assert facts["size"] == "1"
    assert facts["modified"] == "Sun Sep 09 2001 01:46:40 GMT+0000 (Coordinated Universal Time)"
    assert (facts["isFile"], facts["isDirectory"], facts["permissions"]) == ("true", "false", "640")
    assert facts["created"].endswith("GMT+0000 (Coordinated Universal Time)")


def test_without_roots_there_is_a_workspace_and_never_the_home_folder(tmp_path: Path) -> None:
    session = Session("filesystem", tmp_path / "state", [])
    workspace = tmp_path / "state" / "workspace"
    assert session.text("list_allowed_directories") == f"Allowed directories:\n{workspace}"
    session.text("write_file", path="note.txt", content="kept")
    assert (workspace / "note.txt").read_text() == "kept"
    assert "outside" in session.problem("list_directory", path=str(Path.home()))


def test_a_root_that_was_deleted_and_made_again_serves_the_new_one(filesystem: Session, folder: Path) -> None:
    filesystem.text("write_file", path="a", content="old")
    (folder / "a").unlink()
    folder.rmdir()
    assert filesystem.problem("list_directory", path=".")
    folder.mkdir()
    (folder / "b").write_text("new")
    assert filesystem.text("read_text_file", path="b") == "new"


@pytest.mark.parametrize("argument", ["--unknown", "/nowhere/at/all"])
def test_wrong_arguments_end_the_start(tmp_path: Path, argument: str) -> None:
    with pytest.raises(Exception, match=argument):
        Session("filesystem", tmp_path, [argument])
