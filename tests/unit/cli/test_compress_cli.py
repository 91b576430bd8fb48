"""`omnimind compress`: data on stdout, a word for people on stderr."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from omnimind import cli
from omnimind.compression import tokens
from omnimind.errors import Exit

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def own_state(state: Path) -> Path:
    return state


@pytest.fixture
def file(tmp_path: Path) -> Path:
    lines = [f"2026-03-01 10:00:{at % 60:02} INFO worker {at} took job {at * 13}" for at in range(300)]
    lines[200] = "2026-03-01 10:03:20 ERROR worker 9 lost job a1b2c3d4-0000-4000-8000-1234567890ab: disk full"
    path = tmp_path / "worker.log"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_the_text_goes_to_stdout_and_the_figures_to_stderr(file: Path, capsys: Capture) -> None:
    assert cli.main(["compress", str(file), "--budget", "20%", "--query", "which job was lost?"]) == Exit.OK
    out, err = capsys.readouterr()
    assert "a1b2c3d4-0000-4000-8000-1234567890ab: disk full" in out
    assert tokens.count(out) <= tokens.count(file.read_text()) // 5 + 1
    assert "o200k_base" in err


def test_lossless_leaves_nothing_out(file: Path, capsys: Capture) -> None:
    assert cli.main(["compress", str(file), "--lossless", "--json"]) == Exit.OK
    told = json.loads(capsys.readouterr().out)
    assert told["omissions"] == []
    assert told["critical_info_preserved"] is True
    assert told["tokens"]["after"] <= told["tokens"]["before"]


def test_explain_shows_blocks_gaps_and_what_is_kept(file: Path, capsys: Capture) -> None:
    assert cli.main(["compress", str(file), "--budget", "300", "--explain"]) == Exit.OK
    out = capsys.readouterr().out
    for word in ("KIND", "log", "CRITICAL", "LEFT OUT AT LINES", "original: "):
        assert word in out


def test_stdin_is_read(file: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"Only this.\n")))
    assert cli.main(["compress", "-"]) == Exit.OK
    assert capsys.readouterr().out == "\n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"Only this.\n")))
    assert cli.main(["compress", "-", "--budget", "50"]) == Exit.OK
    assert capsys.readouterr().out == "Only this.\n\n"


@pytest.mark.parametrize("argv", [["--budget", "some"], ["--budget", "-5"], ["/no/such/file"]])
def test_what_cannot_be_done_is_said(argv: list[str], file: Path, capsys: Capture) -> None:
    words = argv if argv[0].startswith("/") else [str(file), *argv]
    assert cli.main(["compress", *words]) == Exit.USAGE
    assert capsys.readouterr().err.startswith("error[OM0100]")
