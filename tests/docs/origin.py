"""docs/origin.md as its tests read it."""

from __future__ import annotations

import re

from tests.fleet import ROOT

PAGE = ROOT / "docs" / "origin.md"
TEXT = PAGE.read_text()
PROSE = re.sub(r"^```.*?^```$", "", TEXT, flags=re.MULTILINE | re.DOTALL)
"""The page without its blocks of commands."""
SPANS = re.findall(r"`([^`]+)`", PROSE)
"""What stands between backticks in it."""
