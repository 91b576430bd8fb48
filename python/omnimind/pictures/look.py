"""How pages and pictures look: one set of colours, light and dark, and the rules that use them.

Shapes and words only say what they are (`class="two"`); the colour is the style's, so that a page follows the
reader's choice of light or dark, and a picture that leaves the page takes the light one along.
"""

from __future__ import annotations

import re
from typing import Final

_COLORS: Final = {
    "ink": ("#1c2733", "#e4eaf0"),
    "soft": ("#566575", "#9fb0c0"),
    "line": ("#d5dde5", "#33414f"),
    "paper": ("#ffffff", "#131a21"),
    "card": ("#f5f8fa", "#1a232c"),
    "one": ("#1769aa", "#6cb4f0"),
    "two": ("#b8480a", "#fb923c"),
    "three": ("#0b7a4b", "#4ade80"),
    "four": ("#8b2f97", "#e39bf0"),
    "five": ("#7a6200", "#e6c34a"),
    "bad": ("#b3261e", "#ff8a80"),
}
"""Light and dark. Words in any of them can be read on paper and card: at least 4.5 to 1."""

SVG: Final = """
svg text { fill: var(--soft); font-size: 12px; font-family: system-ui, sans-serif; }
svg .mark { fill: var(--ink); } svg .title { fill: var(--ink); font-size: 17px; } svg .figure { fill: var(--ink);
  font-size: 20px; } svg .grid { stroke: var(--line); } svg .edge { stroke: var(--soft); stroke-dasharray: 3 3; }
svg .one, svg .two, svg .three, svg .four, svg .five { fill: none; stroke-width: 2; }
svg .one { stroke: var(--one); } svg .two { stroke: var(--two); } svg .three { stroke: var(--three); }
svg .four { stroke: var(--four); } svg .five { stroke: var(--five); }
svg .dot { fill: var(--one); } svg .heat { fill: var(--one);
  shape-rendering: crispEdges; }
svg .bad { fill: var(--bad); }
"""

_PAGE: Final = """
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 1000px;
  margin: 2rem auto; padding: 0 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.4rem; line-height: 1.25; margin-bottom: 0; } h2 { font-size: 1.1rem; margin: 2.2rem 0 .5rem; }
h3 { font-size: 1rem; margin: 1.4rem 0 .3rem; } p { margin: .5rem 0; } p.kind, p.note { color: var(--soft); }
p.kind { margin-top: .2rem; } p.warn { border-left: 4px solid var(--two); padding-left: .8rem; }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(7.5rem, 1fr)); gap: .6rem; margin: 1rem 0; }
dl div { background: var(--card); border: 1px solid var(--line); border-radius: 6px; padding: .4rem .7rem; }
dt { color: var(--soft); font-size: .8rem; } dd { margin: 0; font-size: 1.25rem; font-variant-numeric: tabular-nums; }
figure { margin: .5rem 0; }
.wide { overflow-x: auto; background:
  linear-gradient(to right, var(--paper) 30%, transparent) left / 2rem 100% local no-repeat,
  linear-gradient(to left, var(--paper) 30%, transparent) right / 2rem 100% local no-repeat,
  linear-gradient(to right, var(--line), transparent) left / .6rem 100% no-repeat,
  linear-gradient(to left, var(--line), transparent) right / .6rem 100% no-repeat; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: .9rem; }
th, td { text-align: right; padding: .25rem .5rem; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { color: var(--soft); font-weight: 500; vertical-align: bottom; }
th:first-child, td:first-child, .words { text-align: left; }
td:first-child, td.words { white-space: normal; min-width: 10rem; overflow-wrap: anywhere; }
td.bar { min-width: 9rem; } td.bar div { display: flex; } td.bar span { height: .8rem; }
p.key { color: var(--soft); font-size: .85rem; } p.key > span { display: inline-block; margin-right: 1.2rem; }
p.key > span > :first-child { display: inline-block; width: .8rem; height: .8rem; margin-right: .4rem;
  vertical-align: -.1rem; }
span.one { background: var(--one); } span.two { background: var(--two); } span.rest { background: var(--soft); }
svg { display: block; width: 100%; min-width: 560px; max-width: 800px; height: auto; }
.verdict { border: 1px solid var(--line); border-left: 8px solid var(--hue); border-radius: 6px;
  background: var(--card); padding: .6rem 1rem; margin: 1.2rem 0; } .verdict p { margin: .2rem 0; }
.verdict .big { font-size: 1.9rem; line-height: 1.2; } .verdict .big b { color: var(--hue); }
.verdict ul { list-style: none; padding: 0; margin: .6rem 0; } .verdict li { padding-left: .7rem; color: var(--soft);
  border-left: 4px solid var(--line); } .verdict li.here { border-color: var(--hue); color: var(--ink); }
.good { --hue: var(--three); } .fair { --hue: var(--two); } .poor { --hue: var(--bad); }
code { font: .92em ui-monospace, monospace; } ul { padding-left: 1.2rem; } li { margin: .3rem 0; }
"""


def _variables(which: int) -> str:
    return " ".join(f"--{name}: {colors[which]};" for name, colors in _COLORS.items())


PAGE: Final = (
    f":root {{ color-scheme: light dark; {_variables(0)} }}\n"
    f"@media (prefers-color-scheme: dark) {{ :root {{ {_variables(1)} }} }}{_PAGE}{SVG}"
)
"""The style of a page."""

PAPER: Final = _COLORS["paper"][0]
PICTURE: Final = re.sub(r"var\(--(\w+)\)", lambda found: _COLORS[found[1]][0], SVG)
"""The style of a picture that stands alone, in colours that a renderer without variables knows."""
