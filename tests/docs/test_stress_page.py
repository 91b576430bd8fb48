"""docs/stress.md says what is: its mix is read and carried out, its tables are the code's, its options exist."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from omnimind.cli import stress
from omnimind.stress import mix
from omnimind.stress.plan import PROFILES
from tests.docs.pages import blocks, table
from tests.fleet import ROOT, Fleet

PAGE = ROOT / "docs" / "stress.md"


def test_the_mix_of_the_page_is_carried_out(tmp_path: Path) -> None:
    (text,) = blocks(PAGE, "json5")
    file = tmp_path / "mix.json"
    file.write_text(text)
    with Fleet({"memory": {}, "thinking": {}}) as fleet:
        command = [sys.executable, "-m", "omnimind", "stress", "--state", fleet.state, "--mix", file]
        words = ["--rate", "60", "--duration", "2", "--warmup", "0", "--json", "-"]
        done = subprocess.run([*command, *words], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)["load"]
    assert found["right"] == found["sent"] > 50, done.stdout
    assert {part["name"] for part in found["servers"]} == {"memory", "thinking"}


def test_every_key_and_every_profile_is_on_the_page() -> None:
    keys = {name.strip() for row in table(PAGE, "key of a call") for name in row[0].split(",")}
    assert keys == set(mix.CALL_KEYS)
    assert {row[0] for row in table(PAGE, "profile")} == set(PROFILES)


def test_every_option_of_the_page_exists() -> None:
    named = set(re.findall(r"--[a-z][a-z0-9-]*", PAGE.read_text()))
    assert named <= set(stress.parser().format_help().replace(",", " ").split()) | {"--token-file"}
