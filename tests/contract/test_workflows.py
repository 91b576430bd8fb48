"""The public workflows: YAML that parses, actions pinned by commit, no right that a job does not need."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from fleet import ROOT
from toolbox import Toolbox

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
READ = """
const yaml = require(process.argv[1])
console.log(JSON.stringify(yaml.parse(require("fs").readFileSync(0, "utf8"))))
"""
PINNED = re.compile(r"[\w-]+/[\w-]+@[0-9a-f]{40}")


def parsed(toolbox: Toolbox, file: Path) -> dict[str, Any]:
    command = [str(toolbox.node), "-e", READ, str(toolbox.modules / "yaml")]
    done = subprocess.run(
        command, input=file.read_text(), capture_output=True, text=True, timeout=30, check=True
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_there_are_workflows() -> None:
    assert {"ci.yml", "bench.yml"} <= {file.name for file in WORKFLOWS}


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)
def test_a_workflow_is_pinned_bounded_and_asks_for_little(toolbox: Toolbox, file: Path) -> None:
    workflow = parsed(toolbox, file)
    assert {"name", "on", "permissions", "jobs"} <= workflow.keys()
    assert workflow["permissions"] == {}
    text = file.read_text()
    assert "pull_request_target" not in text
    assert "secrets." not in text  # the repository's own token is all there is
    for name, job in workflow["jobs"].items():
        assert job["timeout-minutes"] <= 120, name
        assert job["permissions"], name
        for step in job["steps"]:
            if "uses" in step:
                assert PINNED.fullmatch(step["uses"]), step["uses"]
        if "write" in job["permissions"].values():
            assert "github.event_name != 'pull_request'" in job["if"], name


def test_shell_steps_parse_and_take_no_text_from_outside(toolbox: Toolbox) -> None:
    for file in WORKFLOWS:
        for name, job in parsed(toolbox, file)["jobs"].items():
            for step in job["steps"]:
                script = step.get("run", "")
                assert "${{" not in script, f"{file.name}, {name}: an expression in a script; pass it by env"
                done = subprocess.run(
                    ["bash", "-n", "-c", script], capture_output=True, text=True, timeout=10, check=False
                )
                assert done.returncode == 0, done.stderr


def test_the_benchmarks_run_by_targets_that_exist(toolbox: Toolbox) -> None:
    jobs = parsed(toolbox, ROOT / ".github" / "workflows" / "bench.yml")["jobs"]
    scripts = "\n".join(step.get("run", "") for job in jobs.values() for step in job["steps"])
    targets = set(re.findall(r"\bmake ([\w-]+)", scripts))
    assert {"bench", "bench-check"} <= targets
    makefile = (ROOT / "Makefile").read_text()
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)
