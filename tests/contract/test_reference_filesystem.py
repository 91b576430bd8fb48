"""Our filesystem server in place of `@modelcontextprotocol/server-filesystem`: the same, but for these tables."""

from __future__ import annotations

import base64
import os
import random
import re
from pathlib import Path
from typing import Any

import pytest
from reference import Pair, Step, as_json, differences_listed, side_by_side, unexpected
from toolbox import Toolbox

pytestmark = [pytest.mark.anyio, pytest.mark.bar, pytest.mark.timeout(120)]

ONCE = "output"  # a text above 64 KiB is sent once, in content; a listed schema would demand it twice
WHOLE = {"tail", "head"}  # they take half lines and lines below none; ours whole ones from 0
PARTS = {"list_directory": {"limit", "offset"}, "list_directory_with_sizes": {"limit", "offset"}} | {
    "search_files": {"limit", "offset"},
    "directory_tree": {"maxDepth"},
}  # long answers are read in parts

TOOLS = [
    "read_file",
    "read_text_file",
    "read_media_file",
    "read_multiple_files",
    "write_file",
    "edit_file",
    "create_directory",
    "list_directory",
    "list_directory_with_sizes",
    "directory_tree",
    "move_file",
    "search_files",
    "get_file_info",
    "list_allowed_directories",
]

LISTED_OTHERWISE = (
    {f"{tool}: {ONCE}" for tool in TOOLS}
    | {f"{tool}: {name}" for tool in ("read_file", "read_text_file") for name in WHOLE}
    | {f"{tool}: more: {name}" for tool, names in PARTS.items() for name in names}
)

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
DECOMPOSED, COMPOSED = "caf\u0065\u0301", "caf\u00e9"  # the same word, spelt in two ways
MOMENT = r"\w{3} \w{3} \d\d \d{4} [\d:]{8} GMT\+0000 \(.*\)"
MEDIA = ["p.png", "p.jpg", "p.jpeg", "p.gif", "p.webp", "p.bmp", "p.svg", "s.mp3", "s.wav", "s.ogg", "s.flac"]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def furnish(folder: Path) -> None:
    (folder / "a.txt").write_text("one\ntwo\nthree\n")
    (folder / "open.txt").write_text("one\ntwo")
    (folder / "empty.txt").write_text("")
    (folder / "crlf.txt").write_bytes(b"one\r\ntwo\r\nthree\r\n")
    (folder / "latin.txt").write_bytes(b"caf\xe9\n")
    (folder / "bytes.dat").write_bytes(b"a\0b")
    (folder / "wide.txt").write_bytes("wide".encode("utf-16"))
    (folder / "large.txt").write_text("x" * 70_000)
    (folder / "real.png").write_bytes(PNG)
    (folder / "jpeg.png").write_bytes(b"\xff\xd8\xff\xe0")
    for name in MEDIA:
        (folder / name).write_bytes(b"?")
    (folder / "ü [1] & 'x'#?%.bin").write_bytes(b"\1")
    for name in (
        "src/deep/c.py",
        "src/b.py",
        "src/B.PY",
        ".hidden/e.py",
        "node_modules/x/y.js",
        "src/notes.md",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    (folder / "nested.py").write_text("def f():\n    if a:\n        b()\n    return 1\n")
    (folder / "vacant").mkdir()
    (folder.parent / "beside").mkdir()
    (folder.parent / "beside" / "secret.txt").write_text("secret")
    (folder.parent / "folder2").mkdir()
    (folder / "in").symlink_to("a.txt")
    (folder / "out").symlink_to("../beside")
    (folder / "out.txt").symlink_to("../beside/secret.txt")
    (folder / "gone").symlink_to("nowhere")
    (folder / "mode.sh").write_text("#!/bin/sh\n")
    (folder / "mode.sh").chmod(0o4750)
    os.utime(folder / "mode.sh", (1_000_000_000, 1_000_000_000))


@pytest.fixture
async def pair(toolbox: Toolbox, tmp_path: Path) -> Any:
    for which in ("theirs", "ours"):
        (tmp_path / which / "folder").mkdir(parents=True)
        furnish(tmp_path / which / "folder")
    async with side_by_side(
        (toolbox.npm_server("server-filesystem"), ["{folder}"]), "filesystem", tmp_path
    ) as both:
        yield both


def in_any_order(text: str) -> Any:
    """Theirs comes as the file system gives it, ours by name."""
    return sorted(text.split("\n"))


def tree(text: str) -> Any:
    """The same for a tree."""

    def ordered(nodes: list[dict[str, Any]]) -> list[dict[str, Any]]:
        for node in nodes:
            if "children" in node:
                node["children"] = ordered(node["children"])
        return sorted(nodes, key=lambda node: str(node["name"]))

    return ordered(as_json(text))


def without_moments(text: str) -> str:
    """The two folders were not made and read in the same second."""
    return re.sub(rf"(created|accessed): {MOMENT}", r"\1: …", text)


def without_any_moment(text: str) -> str:
    """Nor were they written in it."""
    return re.sub(rf": {MOMENT}", ": …", text)


BY_ITSELF = "a link counts as itself; theirs tells the size of what it leads to, also outside"
LAST_LINE = "theirs takes the end of the last line for an empty line after it"
FALSY = "theirs takes 0 for absent and reads everything"
NO_TEXT = "NUL is no text; ours refuses and names read_media_file"
MARKED = "a file with a UTF-16 mark is decoded"
LINE_ENDS = "line ends stay what they are; theirs turns them into line feeds"
TWICE = "ours adds that the passage occurs more than once"

READING = [
    *(
        Step("read_text_file", {"path": name})
        for name in ("{folder}/a.txt", "open.txt", "empty.txt", "crlf.txt")
    ),
    *(Step("read_text_file", {"path": "a.txt", "head": lines}) for lines in (1, 2, 3, 9)),
    *(
        Step("read_text_file", {"path": "open.txt", **part})
        for part in ({"head": 5}, {"tail": 1}, {"tail": 9})
    ),
    Step("read_text_file", {"path": "empty.txt", "tail": 2}),
    Step("read_text_file", {"path": "a.txt", "tail": 1}, LAST_LINE),
    Step("read_text_file", {"path": "crlf.txt", "tail": 3}, LINE_ENDS),
    Step("read_text_file", {"path": "crlf.txt", "head": 2}),
    Step("read_text_file", {"path": "a.txt", "head": 0}, FALSY),
    Step("read_text_file", {"path": "a.txt", "head": 1, "tail": 1}),
    Step("read_text_file", {"path": "latin.txt"}),
    Step("read_text_file", {"path": "bytes.dat"}, NO_TEXT),
    Step("read_text_file", {"path": "wide.txt"}, MARKED),
    Step("read_text_file", {"path": "large.txt"}, "above 64 KiB ours has no structured content"),
    Step("read_text_file", {"path": "in"}),
    Step("read_file", {"path": "a.txt", "head": 1}),
    Step("read_text_file", {"path": f"{COMPOSED}/{COMPOSED}.txt"}),
    Step("list_directory", {"path": COMPOSED}),
    *(
        Step("read_text_file", {"path": path})
        for path in ("none", "src", "out.txt", "gone", "/etc/passwd", "~/x")
    ),
    *(
        Step("read_text_file", {"path": path})
        for path in ("{folder}2/x", "{folder}/../beside/secret.txt", "C:\\x")
    ),
    Step("read_text_file", {}),
    *(Step("read_media_file", {"path": name}) for name in [*MEDIA, "real.png", "bytes.dat", "a.txt"]),
    Step("read_media_file", {"path": "ü [1] & 'x'#?%.bin"}),
    Step("read_media_file", {"path": "jpeg.png"}, "the bytes are believed before the name"),
    *(Step("read_media_file", {"path": name}) for name in ("none", "src", "out.txt")),
    Step("read_multiple_files", {"paths": ["a.txt", "{folder}/open.txt"]}),
    Step("read_multiple_files", {"paths": ["none"]}, "the words of a refusal"),
    Step("read_multiple_files", {"paths": []}),
    Step("list_directory", {"path": "."}, view=in_any_order),
    Step("list_directory", {"path": "vacant"}),
    *(Step("list_directory", {"path": path}) for path in ("none", "a.txt", "out", "/")),
    Step("list_directory_with_sizes", {"path": "src"}, view=in_any_order),
    Step("list_directory_with_sizes", {"path": "src", "sortBy": "size"}, view=in_any_order),
    Step("list_directory_with_sizes", {"path": "vacant"}),
    Step("list_directory_with_sizes", {"path": "."}, BY_ITSELF, in_any_order),
    Step("list_directory_with_sizes", {"path": ".", "sortBy": "age"}),
    Step("directory_tree", {"path": "."}, view=tree),
    *(
        Step("directory_tree", {"path": "{folder}", "excludePatterns": patterns}, view=tree)
        for patterns in (
            ["node_modules"],
            ["*.py"],
            ["**/*.py"],
            ["src/**"],
            ["deep", ".hidden"],
            ["{src,vacant}"],
        )
    ),
    *(Step("directory_tree", {"path": path}) for path in ("none", "a.txt", "out")),
    *(
        Step("search_files", {"path": ".", "pattern": pattern}, view=in_any_order)
        for pattern in (
            "**/*.py",
            "*.txt",
            "**/deep/**",
            "src/*",
            "**/*.{py,md}",
            "[a-n]*.py",
            "nothing",
            "**/B*",
        )
    ),
    Step("search_files", {"path": "src", "pattern": "**/*.py"}, view=in_any_order),
    Step("search_files", {"path": ".", "pattern": "@(a|b).txt"}, "ours takes {a,b} and no extended patterns"),
    Step("search_files", {"path": ".", "pattern": "{in,out*,gone}"}, view=in_any_order),
    *(
        Step(
            "search_files",
            {"path": ".", "pattern": "**/*.py", "excludePatterns": patterns},
            view=in_any_order,
        )
        for patterns in (["src/**"], ["**/deep/**", ".hidden"], ["*.py"], ["src"])
    ),
    Step("search_files", {"path": "none", "pattern": "*"}),
    Step("search_files", {"path": "."}),
    Step("get_file_info", {"path": "mode.sh"}, view=without_moments),
    Step("get_file_info", {"path": "in"}, view=without_moments),
    *(Step("get_file_info", {"path": path}) for path in ("none", "out.txt", "/")),
    Step("list_allowed_directories", {}),
]


def edits(*pairs: str, dry: bool = False) -> dict[str, Any]:
    found = [{"oldText": old, "newText": new} for old, new in zip(pairs[::2], pairs[1::2], strict=True)]
    return {"edits": found, "dryRun": dry}


WRITING = [
    Step("write_file", {"path": "new.txt", "content": "né\n"}),
    Step("write_file", {"path": "{folder}/new.txt", "content": "other\r\n"}),
    Step("read_text_file", {"path": "new.txt"}),
    Step("write_file", {"path": "mode.sh", "content": "kept mode"}),
    Step("get_file_info", {"path": "mode.sh"}, view=without_any_moment),
    *(
        Step("write_file", {"path": path, "content": ""})
        for path in ("src", "no/such/x", "out/x", "out.txt", "/x")
    ),
    Step("write_file", {"path": "x"}),
    Step("edit_file", {"path": "a.txt", **edits("two", "2", dry=True)}),
    Step("read_text_file", {"path": "a.txt"}),
    Step("edit_file", {"path": "a.txt", **edits("two", "2", "one\n", "")}),
    Step("read_text_file", {"path": "a.txt"}),
    Step("edit_file", {"path": "open.txt", **edits("two", "last")}),
    Step("edit_file", {"path": "open.txt", **edits("one", "one")}),
    Step("edit_file", {"path": "crlf.txt", **edits("one\ntwo", "1\n2")}),
    Step("read_text_file", {"path": "crlf.txt"}, LINE_ENDS),
    Step("edit_file", {"path": "nested.py", **edits("  if a:", "  if c:", dry=True)}),
    Step("edit_file", {"path": "nested.py", **edits("return 1\n", "return `1`\n```\n")}),
    Step(
        "edit_file",
        {"path": "nested.py", **edits("if a:\n    b()", "if c:\n    d()", dry=True)},
        "ours shifts all new lines alike; theirs loses the inner indentation",
    ),
    Step("edit_file", {"path": "large.txt", **edits("xx", "y", dry=True)}, TWICE),
    Step(
        "edit_file",
        {"path": "a.txt", **edits("", "x", dry=True)},
        "an empty passage is refused, not put first",
    ),
    *(
        Step("edit_file", {"path": path, **edits("no such", "")})
        for path in ("a.txt", "none", "src", "out.txt")
    ),
    Step("edit_file", {"path": "a.txt", "edits": [{"oldText": "x"}]}),
    Step("edit_file", {"path": "latin.txt", **edits("caf", "k")}, "theirs replaces bytes it cannot read"),
    Step("write_file", {"path": f"{COMPOSED}/{COMPOSED}.txt", "content": "still one file"}),
    Step("move_file", {"source": f"{COMPOSED}/{COMPOSED}.txt", "destination": f"{COMPOSED}/moved.txt"}),
    Step("list_directory", {"path": DECOMPOSED}),
    Step("create_directory", {"path": "made/one/two"}),
    Step("create_directory", {"path": "{folder}/made"}),
    *(Step("create_directory", {"path": path}) for path in ("a.txt", "out/x", "/x", "{folder}/../x")),
    Step("move_file", {"source": "new.txt", "destination": "made/new.txt"}),
    Step("move_file", {"source": "{folder}/made", "destination": "{folder}/moved"}),
    Step("directory_tree", {"path": "moved"}, view=tree),
    *(
        Step("move_file", {"source": source, "destination": destination})
        for source, destination in (
            ("none", "x"),
            ("a.txt", "open.txt"),
            ("a.txt", "src"),
            ("src", "src/inner"),
            ("a.txt", "out/a.txt"),
            ("a.txt", "no/such/a.txt"),
        )
    ),
    Step("list_directory", {"path": "."}, view=in_any_order),
    Step(
        "move_file", {"source": "out.txt", "destination": "x"}, "ours moves a link, theirs what it leads to"
    ),
]


async def test_every_tool_and_parameter_is_listed_alike(pair: Pair) -> None:
    assert await differences_listed(pair) == LISTED_OTHERWISE


async def test_reading_and_listing_answer_alike(pair: Pair) -> None:
    wrong = await unexpected(pair, READING)
    assert not wrong, "\n".join(wrong)


async def test_writing_answers_alike(pair: Pair) -> None:
    wrong = await unexpected(pair, WRITING)
    assert not wrong, "\n".join(wrong)


async def test_many_edits_give_the_same_diff_and_the_same_file(pair: Pair) -> None:
    chance = random.Random(4)
    steps: list[Step] = []
    for turn in range(30):
        lines = [f"{chance.choice('abc')}{number}" for number in range(chance.randrange(1, 40))]
        text = "\n".join(lines) + chance.choice(["", "\n"])
        wanted = [chance.choice(lines) for _ in range(chance.randrange(1, 5))]
        put = [chance.choice(["", "new", "new\nnewer", "\n"]) for _ in wanted]
        changes = [word for both in zip(dict.fromkeys(wanted), put, strict=False) for word in both]
        path = {"path": f"edit{turn}.txt"}
        steps += [
            Step("write_file", {**path, "content": text}),
            Step("edit_file", {**path, **edits(*changes)}),
            Step("read_text_file", path),
        ]
    wrong = await unexpected(pair, steps)
    assert [one for one in wrong if "occurs" not in one] == []
