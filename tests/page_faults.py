"""What is wrong with a page, as a real Chromium shows it: wide and narrow, light and dark.

A page that has a fault is kept as a screenshot of how it was seen.
"""

from __future__ import annotations

from pathlib import Path

from tests import chromium
from tests.fleet import ROOT

WIDTHS = (1280, 390)
KEPT = ROOT / "data" / "screenshots"
_LOOK = Path(__file__).with_name("page_look.js").read_text()


def faults(browser: chromium.Chromium, file: Path) -> list[str]:
    """Everything that is wrong with a page, with the width and the colours in which it was seen."""
    found = []
    for width in WIDTHS:
        for dark in (False, True):
            browser.open(file, width, dark=dark)
            seen = browser.value(_LOOK)
            seen += [f"it says {words}" for words in browser.seen.said]
            seen += [f"it asks for {url}" for url in browser.seen.requests if url != file.as_uri()]
            if seen:
                KEPT.mkdir(parents=True, exist_ok=True)
                shot = KEPT / f"{file.stem}-{width}-{'dark' if dark else 'light'}.png"
                browser.screenshot(shot)
                found += [f"{width} {'dark' if dark else 'light'}: {fault} ({shot})" for fault in seen]
    return found
