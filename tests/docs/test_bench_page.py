"""docs/bench.md says what is: every option, and the table of the verdict."""

from __future__ import annotations

import re

from omnimind.bench import verdict
from omnimind.cli import bench
from tests.docs.pages import table
from tests.fleet import ROOT

PAGE = ROOT / "docs" / "bench.md"


def test_every_option_is_on_the_page_and_every_one_of_the_page_exists() -> None:
    told = {row[0].split()[0] for row in table(PAGE, "option")}
    there = set(re.findall(r"--[a-z][a-z-]*", bench.parser().format_usage()))
    assert told == there
    # In the text: of other commands, too.
    assert set(re.findall(r"--[a-z][a-z-]*", PAGE.read_text())) - there == {"--limits"}


def test_the_verdict_is_the_codes() -> None:
    assert [(row[0], row[2]) for row in table(PAGE, "p99")] == [
        (line.p99, line.original) for line in verdict.TABLE
    ]
