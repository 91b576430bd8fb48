"""A page that loads nothing, as a browser would read it: whether it is well formed, and what its cells say they are."""

from __future__ import annotations

from html.parser import HTMLParser

_LOADS = ("script", "link", "iframe", "object", "embed", "img", "image", "base", "use")


class _Page(HTMLParser):
    """What a browser would fetch, whether every tag is closed, and cells with data."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.open: list[str] = []
        self.cells: dict[tuple[str, str, str], str] = {}
        self._cell: tuple[str, str, str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.fetched += [
            f"{tag} {name}={value}" for name, value in attrs if name in ("src", "href", "srcset", "data")
        ]
        self.fetched += [tag] if tag in _LOADS else []
        known = dict(attrs)
        if "data-value" in known:
            self._cell = (str(known["data-phase"]), str(known["data-clock"]), str(known["data-value"]))
            assert self._cell not in self.cells
            self.cells[self._cell] = ""
        if tag != "meta":
            self.open.append(tag)

    def handle_data(self, data: str) -> None:
        if self._cell:
            self.cells[self._cell] += data

    def handle_endtag(self, tag: str) -> None:
        self._cell = None
        assert self.open.pop() == tag


def read(page: str) -> dict[tuple[str, str, str], str]:
    """What cells that say so hold, by phase, clock and value; fails if the page is not whole or loads anything."""
    parsed = _Page()
    parsed.feed(page)
    assert (parsed.fetched, parsed.open) == ([], [])
    assert "url(" not in page
    assert "@import" not in page
    assert "default-src 'none'" in page
    return parsed.cells
