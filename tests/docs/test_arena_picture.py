"""The picture of the arena shows every policy that meets there; the same curves are drawn as the same bytes."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

from benches import arena
from tests.fleet import ROOT

ENTRANTS = ROOT / "rust" / "limits" / "tests" / "arena" / "entrants.rs"
SVG = "{http://www.w3.org/2000/svg}"


def names() -> list[str]:
    source = ENTRANTS.read_text()
    listed = source.split("NAMES: ", 1)[1].split("= [", 1)[1].split("]", 1)[0]
    ours = re.search(r'OURS: &str = "(.*)"', source)
    assert ours is not None
    return [*re.findall(r'"(.*?)"', listed), ours[1]]


def words(picture: Path) -> set[str]:
    return {(text.text or "").strip() for text in ElementTree.parse(picture).iter(f"{SVG}text")}


def test_the_picture_of_the_docs_names_every_policy() -> None:
    assert len(names()) == 11
    assert set(names()) <= words(arena.PICTURE)


def test_a_run_is_drawn_and_the_same_run_makes_the_same_bytes(tmp_path: Path) -> None:
    changes = [{"what": what, "at_s": 1, "useful": [1.0, 0.5], "limit": []} for what in arena.CHANGES]
    points = [{"goodput": 0.5, "top_class": 1.0}, {"goodput": 0.97, "top_class": 0.96}]
    policies = [{"name": name, "loads": points, "changes": changes} for name in names()]
    run = {"loads": [0.5, 10], "policies": policies}
    for name in ("first.svg", "second.svg"):
        arena.draw(run, tmp_path / name)
    assert (tmp_path / "first.svg").read_bytes() == (tmp_path / "second.svg").read_bytes()
    assert set(names()) | {"10x", "all that can be done"} <= words(tmp_path / "first.svg")
