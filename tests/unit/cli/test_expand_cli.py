"""`omnimind expand`: what `omnimind compress` and the gateway have cut, byte for byte."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from omnimind import cli
from omnimind.compression import handles
from omnimind.errors import Exit

Capture = pytest.CaptureFixture[str]

LOG = "".join(f"2026-03-01 10:00:{at % 60:02} INFO worker {at} took job {at * 13}\n" for at in range(600))


@pytest.fixture
def handle(state: Path) -> str:
    return handles.Originals(handles.folder_of(state)).put("local", LOG, source="worker.log")


def test_what_was_compressed_is_expanded_even_when_the_file_is_gone(
    state: Path, tmp_path: Path, capsys: Capture
) -> None:
    file = tmp_path / "worker.log"
    file.write_text(LOG)
    assert cli.main(["compress", str(file), "--budget", "10%"]) == Exit.OK
    file.unlink()
    out, err = capsys.readouterr()
    named = out.partition("omnimind://context/")[2].partition(" ")[0]
    command = err.strip().rpartition("omnimind expand ")[2]
    assert named.startswith(command)
    for name in (named, command, f"omnimind://context/{named}"):
        assert cli.main(["expand", name]) == Exit.OK
        assert capsys.readouterr().out == LOG


def test_nothing_is_kept_where_nothing_was_left_out(state: Path, tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "short.txt"
    file.write_text("One sentence.\n")
    assert cli.main(["compress", str(file), "--budget", "1000"]) == Exit.OK
    assert "kept" not in capsys.readouterr().err
    assert not handles.folder_of(state).exists()


def test_parts_are_printed_and_what_comes_next_is_said_on_stderr(handle: str, capsys: Capture) -> None:
    assert cli.main(["expand", handle, "--lines", "L3-4"]) == Exit.OK
    assert capsys.readouterr().out == "".join(LOG.splitlines(True)[2:4])
    assert cli.main(["expand", handle, "--grep", "worker 7 ", "--context", "1"]) == Exit.OK
    assert capsys.readouterr().out.splitlines()[1].startswith("8:2026")
    assert cli.main(["expand", handle, "--max-tokens", "500"]) == Exit.OK
    out, err = capsys.readouterr()
    assert LOG.startswith(out)
    assert err.strip().endswith(f"go on with --lines L{out.count(chr(10)) + 1}-600")
    assert cli.main(["expand", handle, "--query", "job 1300", "--json"]) == Exit.OK
    told = json.loads(capsys.readouterr().out)
    assert told["handle"] == handle
    assert told["source"] == "worker.log"
    assert "job 1300\n" in told["text"]


@pytest.mark.parametrize(
    ("argv", "code"),
    [
        (["0" * 64], Exit.FAILURE),
        (["no handle"], Exit.USAGE),
        (["HANDLE", "--lines", "some"], Exit.USAGE),
        (["HANDLE", "--json-path", "$.a"], Exit.USAGE),
        (["HANDLE", "--grep", "(", "--query", "a"], Exit.USAGE),
    ],
)
def test_what_cannot_be_expanded_is_an_error_with_a_code(
    handle: str, argv: list[str], code: int, capsys: Capture
) -> None:
    assert cli.main(["expand", *(word.replace("HANDLE", handle) for word in argv)]) == code
    assert "error[OM" in capsys.readouterr().err
