"""`omnimind bench` says what is wrong with its command line, and where it cannot write, before anything is started."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from omnimind import cli
from omnimind.cli import bench
from omnimind.errors import Exit

Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    ("argv", "what"),
    [
        (["--duration", "3"], "--duration is from 4 to 86400 seconds"),
        (["--duration", "90000"], "--duration is from 4 to 86400 seconds"),
        (["--duration", "x"], "is not a whole number"),
        (["--concurrency", "0"], "--concurrency is from 1 to 10000"),
        (["--concurrency", "10001"], "--concurrency is from 1 to 10000"),
        (["--concurrency", "-1"], "is not a whole number"),
        (["--gate", "0"], "is no number of milliseconds above 0"),
        (["--gate", "nan"], "is no number of milliseconds above 0"),
        (["--seed", "x"], "is not a whole number"),
        (["--state", "/tmp"], "--state is for --running"),
        (["30"], "unrecognized arguments: 30"),
    ],
)
def test_wrong_arguments_are_usage(argv: list[str], what: str, capsys: Capture) -> None:
    assert cli.main(["bench", *argv]) == Exit.USAGE
    said = capsys.readouterr().err
    assert what in said
    assert "help" in said


def test_a_gate_is_at_50_ms_unless_another_is_named() -> None:
    parser = bench.parser()
    assert parser.parse_args([]).gate is None
    assert parser.parse_args(["--gate"]).gate == 50.0
    assert parser.parse_args(["--gate", "12.5"]).gate == 12.5


def test_where_reports_cannot_be_written_nothing_is_started(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "file").write_text("")
    assert cli.main(["bench", "--out", str(tmp_path / "file")]) == Exit.USAGE
    said = capsys.readouterr().err
    assert "reports cannot be written" in said
    assert "--out DIR" in said
    assert "starting" not in said


def test_a_mix_that_cannot_be_used_is_said_before_anything_is_started(
    tmp_path: Path, capsys: Capture
) -> None:
    mix = tmp_path / "mix.json"
    mix.write_text('{"calls": [{"tool": "memory__open_nodes", "wieght": 1}]}')
    assert cli.main(["bench", "--mix", str(mix), "--out", str(tmp_path / "out")]) == Exit.USAGE
    said = capsys.readouterr().err
    assert "did you mean 'weight'?" in said
    assert "starting" not in said


def test_without_a_fleet_there_is_none_that_runs(tmp_path: Path, capsys: Capture) -> None:
    words = ["bench", "--running", "--state", str(tmp_path), "--out", str(tmp_path / "out")]
    assert cli.main(words) == Exit.NO_FLEET
    assert capsys.readouterr().err.rstrip().endswith("help: start one: omnimind up")
    assert os.listdir(tmp_path / "out") == []
