"""docs/origin.md is complete: every line of `origin_items.txt` stands on it, and what it names is there.

Its commands run in test_origin_commands.py, those of systemd in tests/system/systemd/test_origin.py; its names are
called in test_origin_names.py.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from omnimind import cli
from tests.docs.origin import PAGE, PROSE, SPANS, TEXT
from tests.docs.pages import blocks
from tests.fleet import ROOT

ITEMS = Path(__file__).with_name("origin_items.txt")
SPAN = re.compile(r"`([^`]+)`")
LINK = re.compile(r"\[[^]]*\]\(([^)#]*)#?([^)]*)\)")
NUMBER = re.compile(r"(?<![\w.,/-])\d+(?:[.,]\d+)*")
FOLDERS = ("tests/", "benches/", "rust/", "scripts/", "python/", "docs/", ".github/")
HEADS = ("found", "cause", "asked for", "step")


def parts() -> dict[str, str]:
    """The text of each part of the page, by the first letter or word of its heading, without marks."""
    found = {}
    for part in re.split(r"^## ", TEXT, flags=re.MULTILINE)[1:]:
        head = part.splitlines()[0]
        found[head.split(".")[0]] = part.replace("`", "")
    return found


def asked_for() -> list[tuple[str, str]]:
    """What the documents name: part and words."""
    found, part = [], ""
    for line in ITEMS.read_text().splitlines():
        if line.startswith("[") and line[1:-1] in parts():
            part = line[1:-1]
        elif not line.startswith("#"):
            found.append((part, line))
    return found


def rows() -> list[list[str]]:
    """Every row of the tables that say what answers a thing and what holds that."""
    found: list[list[str]] = []
    for text in PROSE.split("\n\n"):
        head, *cells = [
            [cell.strip() for cell in line.strip("|").split("|")]
            for line in text.splitlines()
            if line.startswith("|")
        ] or [[]]
        if "held by" in head:
            assert head[0] in HEADS
            assert head[1] in ("here", "answered by")
            assert head[2:] == ["held by", "measured"]
            found += cells[1:]
    return found


def slug(heading: str) -> str:
    """The anchor of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower()).replace(" ", "-")


def test_nothing_that_was_asked_for_is_missing() -> None:
    items = asked_for()
    assert len(items) > 150
    page = parts()
    missing = [f"{part}: {words}" for part, words in items if words not in page[part]]
    assert not missing, "\n".join(missing)


def test_every_row_says_what_answers_and_what_holds_it() -> None:
    found = rows()
    assert len(found) > 50
    for row in found:
        assert len(row) == 4, row
        wanted, here, held, _ = row
        assert here, row
        assert SPAN.search(held) or "Micro-Controller" in wanted, row


def test_what_the_page_names_is_there() -> None:
    named = {path for path in SPANS if path.startswith(FOLDERS)}
    assert len(named) > 60
    assert not [path for path in named if not (ROOT / path).exists()]
    held = {path for row in rows() for path in SPAN.findall(row[2])}
    assert not [path for path in held if not path.startswith(("tests/", "benches/", "rust/"))]
    untested = [path for path in held if (ROOT / path).is_file() and "test" not in (ROOT / path).read_text()]
    assert not untested


def test_every_figure_is_one_that_another_page_reports() -> None:
    pages = [*(ROOT / "docs").rglob("*.md"), *(ROOT / "benches" / "results").glob("*.md"), ROOT / "Makefile"]
    reported = {number for page in pages if page != PAGE for number in NUMBER.findall(page.read_text())}
    figures = {number for row in rows() for number in NUMBER.findall(re.sub(SPAN, "", row[3]))}
    assert len(figures) > 20
    assert figures <= reported, "a figure belongs to the page that reports it; take it over from there"


def test_every_target_of_make_exists() -> None:
    targets = {words.removeprefix("make ") for words in SPANS if words.startswith("make ")}
    assert len(targets) > 20
    subprocess.run(["make", "--dry-run", *sorted(targets)], cwd=ROOT, check=True, capture_output=True)


def test_every_link_leads_to_a_heading() -> None:
    for path, anchor in LINK.findall(PROSE):
        page = (PAGE.parent / path).resolve() if path else PAGE
        assert page.is_file(), path
        headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
        assert not anchor or anchor in map(slug, headings), f"{path}#{anchor}"


def commands() -> list[list[str]]:
    """Every `omnimind ...` of the page, as words."""
    shown = [*SPANS, *"".join(blocks(PAGE, "sh")).splitlines()]
    return [shlex.split(line)[1:] for line in shown if re.match(r"omnimind [a-z]", line)]


def test_every_command_and_option_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    found = commands()
    assert len(found) > 15
    for words in found:
        assert words[0] in cli.COMMANDS, words
        actions = [word for word in words[1:] if re.fullmatch(r"[a-z]+", word)]
        with pytest.raises(SystemExit):
            cli.main([words[0], *actions, "--help"])
        shown = set(re.findall(r"--[a-z][a-z-]*", capsys.readouterr().out))
        options = {word.partition("=")[0] for word in words if word.startswith("--")}
        assert options <= shown, words
