"""The picture of a report: a PNG with the figures in it, the same on a machine without fonts."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image
from reports import found, report

from omnimind.cli import stress
from omnimind.errors import UsageError
from omnimind.pictures import png
from omnimind.stress import picture


def drawn(svg: str) -> Image.Image:
    return Image.open(io.BytesIO(png.render(svg))).convert("RGB")


def inked(image: Image.Image, top: int, bottom: int) -> int:
    """How many points between these heights are dark, as words are."""
    part = image.crop((0, top, image.width, bottom)).convert("L")
    return sum(part.histogram()[:128])


def test_it_is_a_png_of_the_size_it_says_with_words_and_lines() -> None:
    svg = picture.render(report())
    data = png.render(svg)
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    image = drawn(svg)
    size = ElementTree.fromstring(svg)
    assert image.size == (2 * int(size.attrib["width"]), 2 * int(size.attrib["height"]))
    assert image.getpixel((0, 0)) == (255, 255, 255)
    assert inked(image, 20, 70) > 1000, "the title"
    colors = {color for _, color in image.getcolors(1 << 20) or ()}
    assert {(0x17, 0x69, 0xAA), (0xB8, 0x48, 0x0A)} <= colors, "p50 and p99 in their colours"


def test_it_says_the_figures_of_the_report() -> None:
    words = {word.text for word in ElementTree.fromstring(picture.render(report())).iter(SVG + "text")}
    assert {"99.0", "1,200", "41.25", "p99.9 180.5", "max 201.0", "before"} <= words
    nothing = picture.render(report(right=0, curve=[], timeline=[]))
    assert "No call was answered right." in nothing
    assert inked(drawn(nothing), 0, 9999) > 1000


SVG = "{http://www.w3.org/2000/svg}"


def test_what_others_wrote_cannot_become_a_part_of_it() -> None:
    shown = picture.render(report(saturated_by=["</text><image href='x'/>" * 20]))
    root = ElementTree.fromstring(shown)
    assert not list(root.iter(SVG + "image"))
    assert max(len(word.text or "") for word in root.iter(SVG + "text")) < 110, "long texts are cut"


def test_without_fonts_it_is_the_same(tmp_path: Path) -> None:
    (tmp_path / "picture.svg").write_text(picture.render(report(curve=found()["curve"][:3])))
    code = (
        "import sys, pathlib; from omnimind.pictures import png;"
        "sys.stdout.buffer.write(png.render(pathlib.Path(sys.argv[1]).read_text()))"
    )
    draw = [sys.executable, "-c", code, tmp_path / "picture.svg"]
    hidden = ["unshare", "--map-root-user", "--mount", "sh", "-c", HIDE, "sh"]
    bare = subprocess.run([*hidden, *draw], capture_output=True, timeout=60)
    if bare.returncode == 77:
        pytest.skip("this machine lets nobody hide its fonts")
    assert bare.stdout == subprocess.run(draw, capture_output=True, timeout=60, check=True).stdout


HIDE = """for fonts in /usr/share/fonts /usr/local/share/fonts; do
    test ! -d $fonts || mount -t tmpfs none $fonts || exit 77
done
HOME=/nowhere exec "$@"
"""


def test_what_is_missing_is_said_before_the_load_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(png, "find_spec", lambda name: None)
    with pytest.raises(UsageError) as caught:
        stress.run(["--url", "http://127.0.0.1:1/mcp", "--tool", "echo", "--png", "a.png"])
    assert str(caught.value) == "error[OM0903]: a PNG needs what is not installed: resvg-py, font-lato"
    assert caught.value.help == (
        "install the extra: pip install '.[png]' in the checkout, or: pip install resvg-py font-lato"
    )
