"""An HTML page that loads nothing: no script, no font, no image, and forbidden by itself to (Content-Security-Policy).

So a report can be opened wherever it came from. Every text that comes in is escaped here; what is markup already is of
the type `Markup` and comes from this package.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Final, NewType

from omnimind.pictures import look

Markup = NewType("Markup", str)
"""HTML that may stand in a page as it is."""

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a table. `data` says in the page what its number is.

    `bar` draws pieces of a bar instead of words: each a class of the style, and its share (0 to 1) of the cell.
    """

    text: str = ""
    data: Mapping[str, str] = field(default_factory=dict)
    bar: Sequence[tuple[str, float]] = ()

    def markup(self, kind: str = "") -> Markup:
        """The cell."""
        known = "".join(f' data-{name}="{escape(value)}"' for name, value in self.data.items())
        if self.bar:
            pieces = (
                f'<span class="{kind}" style="width:{100 * share:.1f}%"></span>' for kind, share in self.bar
            )
            return Markup(f'<td class="bar"{known}><div>{"".join(pieces)}</div></td>')
        named = f' class="{kind}"' if kind else ""
        return Markup(f"<td{named}{known}>{escape(self.text)}</td>")


def page(title: str, body: Iterable[Markup]) -> str:
    """The whole document."""
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)}</title><style>{look.PAGE}</style></head><body>",
            *body,
            "</body></html>\n",
        ]
    )


def element(tag: str, text: str, kind: str = "") -> Markup:
    """An element with a text in it; `kind` is its class in the style."""
    return within(tag, [Markup(escape(text))], kind)


def within(tag: str, parts: Iterable[Markup], kind: str = "") -> Markup:
    """An element with others in it."""
    named = f' class="{kind}"' if kind else ""
    return Markup(f"<{tag}{named}>{''.join(parts)}</{tag}>")


def words(text: str) -> Markup:
    """A sentence; what stands between backquotes is code."""
    pieces = text.split("`")
    return Markup("".join(element("code", one) if at % 2 else escape(one) for at, one in enumerate(pieces)))


def picture(svg: str) -> Markup:
    """A picture; on a narrow screen it is moved sideways, so that its words stay readable."""
    return within("figure", [Markup(svg)], "wide") if svg else Markup("")


def figures(named: Iterable[tuple[str, str]]) -> Markup:
    """Numbers with their names, large."""
    boxes = (within("div", [element("dt", name), element("dd", value)]) for name, value in named)
    return within("dl", boxes)


def table(
    head: Sequence[str],
    rows: Iterable[Sequence[str | Cell]],
    *,
    words: Collection[str] = (),
) -> Markup:
    """Names to the left, numbers to the right, `words` (columns by their heads) to the left too."""
    kinds = ["words" if name in words else "" for name in head]
    named = within("tr", [element("th", name, kind) for name, kind in zip(head, kinds, strict=True)])
    lines = []
    for row in rows:
        cells = [_cell(cell).markup(kind) for cell, kind in zip(row, kinds, strict=True)]
        lines.append(within("tr", cells))
    return within("div", [within("table", [within("thead", [named]), within("tbody", lines)])], "wide")


def key(items: Iterable[tuple[str, str]]) -> Markup:
    """What the pieces of bars are."""
    return within(
        "p",
        (within("span", [element("span", "", kind), element("span", name)]) for kind, name in items),
        "key",
    )


def _cell(given: str | Cell) -> Cell:
    return given if isinstance(given, Cell) else Cell(given)
