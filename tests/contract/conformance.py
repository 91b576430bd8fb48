"""Runs the public MCP conformance suite and reads what it found.

The suite writes one folder of checks a scenario; those files are the truth, its exit code is not (it takes a
WARNING for a pass). Here a scenario is green only if it has a check and none is red or a warning.

`python tests/contract/conformance.py URL` runs both server requirement sets against a server of yours.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolbox import Toolbox, prepare

SUITE_TIMEOUT_S = 240
SCENARIO_TIMEOUT_MS = 30_000
RED = ("FAILURE", "WARNING")
UNSCORED = {
    "2025-11-25": ("server-session-lifecycle", "json-schema-2020-12", "server-sse-polling"),
    "2026-07-28": ("json-schema-2020-12", "http-header-validation", "http-custom-header-server-validation"),
}
SCORED_COUNT = {"2025-11-25": 30, "2026-07-28": 37}
REVISIONS = tuple(SCORED_COUNT)


@dataclass(frozen=True)
class Check:
    """One line of a scenario's result."""

    name: str
    status: str
    message: str


@dataclass(frozen=True)
class Outcome:
    """All scenarios of one run, by name."""

    scenarios: Mapping[str, tuple[Check, ...]]
    output: str

    def is_green(self, scenario: str) -> bool:
        checks = self.scenarios.get(scenario, ())
        return any(c.status == "SUCCESS" for c in checks) and not any(c.status in RED for c in checks)

    def complaint(self, scenario: str) -> str:
        """Why a scenario is not green, in a form fit for an assertion."""
        checks = self.scenarios.get(scenario)
        if checks is None:
            return f"{scenario}: it did not run\n{self.output[-2000:]}"
        red = [f"  {c.status} {c.name}: {c.message}" for c in checks if c.status in RED]
        return "\n".join([f"{scenario}:", *(red or ["  no check succeeded"])])

    def complaints(self, scenarios: list[str]) -> list[str]:
        return [self.complaint(name) for name in scenarios if not self.is_green(name)]


def scored(box: Toolbox, revision: str, leg: str = "server") -> list[str]:
    """The scenarios that a revision requires, from the list frozen in the package."""
    text = (box.conformance.parents[1] / "requirements" / f"{revision}.yaml").read_text()
    section = re.search(rf"^{leg}:\n((?:  - .*\n|\n)+)", text, re.MULTILINE)
    return re.findall(r"^  - (\S+)", section.group(1), re.MULTILINE) if section else []


def run_server(box: Toolbox, url: str, revision: str) -> Outcome:
    """Every scenario of the revision, scored or not, against the server at `url`."""
    arguments = ["server", "--url", url, "--requirements", revision, "--timeout", str(SCENARIO_TIMEOUT_MS)]
    return _run(box, arguments, prefix="server-")


def run_client(box: Toolbox, command: str, scenario: str, revision: str) -> Outcome:
    """One client scenario: the suite starts `command URL` and watches what arrives."""
    arguments = ["client", "--command", command, "--scenario", scenario, "--spec-version", revision]
    return _run(box, [*arguments, "--timeout", str(SCENARIO_TIMEOUT_MS)], prefix="")


def _run(box: Toolbox, arguments: list[str], prefix: str) -> Outcome:
    with tempfile.TemporaryDirectory(prefix="conformance-") as folder:
        command = [str(box.node), str(box.conformance), *arguments, "--output-dir", folder]
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SUITE_TIMEOUT_S,
            check=False,
            env={**os.environ, "NO_COLOR": "1"},
        )
        found = {_scenario(path, prefix): _checks(path) for path in Path(folder).glob("*/checks.json")}
        said = "".join(_client_output(path) for path in Path(folder).glob("*/std*.txt"))
    return Outcome(found, f"{done.stdout}\n{done.stderr}\n{said}")


def _scenario(path: Path, prefix: str) -> str:
    """`server-<scenario>-<time>` without its ends."""
    return re.sub(r"-\d{4}-\d\d-\d\dT[\dZ-]+$", "", path.parent.name.removeprefix(prefix))


def _checks(path: Path) -> tuple[Check, ...]:
    entries = json.loads(path.read_text())
    return tuple(Check(e["name"], e["status"], e.get("errorMessage") or _said(e)) for e in entries)


def _said(entry: dict[str, Any]) -> str:
    details = entry.get("details") or {}
    return str(details.get("message") or entry.get("description", ""))


def _client_output(path: Path) -> str:
    text = path.read_text()
    return f"--- client {path.name}\n{text}\n" if text.strip() else ""


def main() -> None:
    box = prepare(environments=("node",))
    for revision in REVISIONS:
        outcome = run_server(box, sys.argv[1], revision)
        required = scored(box, revision)
        red = outcome.complaints([*required, *UNSCORED[revision]])
        green = sum(outcome.is_green(name) for name in required)
        print(f"{revision}: {green}/{len(required)} scored scenarios green")
        checks = Counter(check.status for name in required for check in outcome.scenarios.get(name, ()))
        print(f"  checks: {dict(checks)}")
        print("\n".join(red))


if __name__ == "__main__":
    main()
