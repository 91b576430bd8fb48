"""A picture as PNG: drawn by resvg from the same SVG that stands in a page, twice as large, on light paper.

Renderer and font are two small packages (the extra `png`, 2 MB) that are imported when a picture is wanted. The font
comes along because a server often has none, and a renderer without one leaves all words out; where a name is in a
script that it has not, the machine's own fonts are asked.
"""

from __future__ import annotations

from importlib.resources import as_file, files
from importlib.util import find_spec
from typing import Final

from omnimind.errors import UsageError
from omnimind.pictures import look

_PACKAGES: Final = {"resvg_py": "resvg-py", "font_lato": "font-lato"}
_ZOOM: Final = 2.0


def need() -> None:
    """Raise UsageError (OM0903) if a picture could not be drawn."""
    missing = [package for module, package in _PACKAGES.items() if find_spec(module) is None]
    if missing:
        raise UsageError(
            "OM0903",
            f"a PNG needs what is not installed: {', '.join(missing)}",
            help=f"install the extra: pip install '.[png]' in the checkout, or: pip install {' '.join(missing)}",
        )


def render(svg: str) -> bytes:
    """The PNG of a picture that has its size, name space and style in it (`svg.alone`)."""
    need()
    import resvg_py

    with as_file(files("font_lato") / "files" / "Lato-Regular.ttf") as font:
        return resvg_py.svg_to_bytes(
            svg_string=svg,
            background=look.PAPER,
            zoom=_ZOOM,
            font_files=[str(font)],
            font_family="Lato",
            sans_serif_family="Lato",
        )
