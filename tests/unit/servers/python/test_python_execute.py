"""execute, as a client sees it."""

from __future__ import annotations

import base64
import importlib.util
from typing import Any

import anyio
import pytest
from mcp import Client
from server_session import Session

from omnimind.servers.python import execution


def run(python: Session, code: str, **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = (
        python.call("execute", code=code, **{"engine": "jail", **more}).structured_content or {}
    )
    return found


def test_output_and_the_last_value_come_back(python: Session) -> None:
    found = run(python, "import sys\nprint('one')\nprint('two', file=sys.stderr)\nx = 20\nx + 1")
    assert (found["ok"], found["stdout"], found["stderr"], found["value"]) == (True, "one\n", "two\n", "21")
    assert python.text("execute", code="print('hi')\n2", engine="jail") == "hi\n=> 2"
    assert python.text("execute", code="x = 1", engine="jail") == "(no output)"
    assert "value" not in run(python, "None")


def test_an_error_shows_the_frames_of_the_code_and_no_others(python: Session) -> None:
    code = (
        "import json\ndef half(n):\n    return json.loads(n)\n"
        "try:\n    half('{')\nexcept ValueError as e:\n    raise KeyError('x') from e"
    )
    result = python.call("execute", code=code, engine="jail")
    error = (result.structured_content or {})["error"]
    assert result.is_error
    assert (error["type"], error["line"]) == ("KeyError", 7)
    assert 'File "<cell 1>", line 3, in half\n    return json.loads(n)' in error["traceback"]
    assert "json/decoder.py" not in error["traceback"]
    assert "omnimind" not in error["traceback"]


def test_a_syntax_error_says_its_line(python: Session) -> None:
    error = run(python, "x = 1\nif x\n    y")["error"]
    assert (error["type"], error["line"]) == ("SyntaxError", 2)
    assert "if x" in error["traceback"]


@pytest.mark.parametrize(
    ("code", "ok", "ended"),
    [
        ("import sys; sys.exit()", True, "done"),
        ("import sys; sys.exit(3)", False, "done"),
        ("import os; os._exit(3)", False, "failed"),
        ("import os; os.abort()", False, "killed"),
        ("raise KeyboardInterrupt", False, "done"),
        ("class E(Exception):\n    def __str__(self): raise self\nraise E", False, "done"),
        ("class V:\n    def __repr__(self): raise ValueError('no')\nV()", False, "done"),
        ("import sys; sys.stdout.close()", True, "done"),
        ("import os; os.close(4)", False, "failed"),
        ("import sys; sys.stdout = None; sys.stderr = 5", True, "done"),
        ("", True, "done"),
    ],
)  # fmt: skip
def test_code_may_end_in_many_ways(python: Session, code: str, ok: bool, ended: str) -> None:
    found = run(python, code)
    assert (found["ok"], found["ended"]) == (ok, ended), found


def test_threads_and_exit_handlers_are_heard_to_the_end(python: Session) -> None:
    code = (
        "import atexit, threading, time\natexit.register(print, 'last')\n"
        "threading.Thread(target=lambda: (time.sleep(0.05), print('late'))).start()\nprint('first')"
    )
    assert run(python, code)["stdout"] == "first\nlate\nlast\n"


def test_what_libraries_do_in_passing_works(python: Session) -> None:
    code = (
        "import asyncio, concurrent.futures, shutil, sqlite3, tempfile, pathlib, random, zipfile, uuid, time\n"
        "pathlib.Path('a').write_text('x'); shutil.copy2('a', 'b'); pathlib.Path('a').chmod(0o600)\n"
        "with tempfile.TemporaryDirectory() as d: pathlib.Path(d, 'x').write_text('y')\n"
        "with zipfile.ZipFile('z.zip', 'w') as z: z.write('b')\n"
        "with zipfile.ZipFile('z.zip') as z: z.extractall('out')\n"
        "db = sqlite3.connect('d.db'); db.execute('create table t(x)'); db.commit()\n"
        "with concurrent.futures.ThreadPoolExecutor(4) as p: total = sum(p.map(int, '123'))\n"
        "(asyncio.run(asyncio.sleep(0, 'slept')), total, uuid.uuid4() != uuid.uuid4(), time.localtime().tm_year > 2000)"
    )
    found = run(python, code)
    assert found.get("value") == "('slept', 6, True, True)", found
    assert sorted(file["path"] for file in found["files"]) == ["a", "b", "d.db", "out/b", "z.zip"]


def test_nothing_is_kept_from_one_call_to_the_next(python: Session) -> None:
    run(python, "import builtins, json; builtins.kept = json.kept = 1")
    assert (
        run(python, "import builtins, json; hasattr(builtins, 'kept'), hasattr(json, 'kept')")["value"]
        == "(False, False)"
    )


def test_the_time_is_up_and_what_was_printed_is_there(python: Session) -> None:
    found = run(python, "print('begun')\nwhile True: pass", timeout_s=0.3)
    assert (found["ended"], found["stdout"]) == ("timeout", "begun\n")
    assert "0.3 s" in found["why"]
    assert found["duration_ms"] < 10_000


def test_memory_has_an_end(python: Session) -> None:
    found = run(python, "x = bytearray(1 << 29)")
    assert (found["ended"], found["error"]["type"]) == ("memory", "MemoryError")
    assert "256 MB" in found["why"]


def test_files_go_in_and_come_out(python: Session) -> None:
    files = {"in/data.csv": "a,b\n1,2\n", "note": "é"}
    code = (
        "text = open('in/data.csv').read()\nopen('out.bin', 'wb').write(bytes(range(256)))\n"
        "open('out.txt', 'w').write(text * 2)\nopen('note').read()"
    )
    found = run(python, code, files=files)
    assert found["value"] == "'é'"
    sizes = {file["path"]: file["bytes"] for file in found["files"]}
    assert sizes == {"in/data.csv": 8, "note": 2, "out.bin": 256, "out.txt": 16}
    name = found["run"]
    assert python.text("read_scratch_file", path="out.txt", run=name) == "a,b\n1,2\n" * 2
    part = python.call("read_scratch_file", path="out.txt", run=name, offset=4, limit=4)
    assert [block.text for block in part.content] == ["1,2\n", "(8 of 16 bytes follow; go on with offset=8)"]  # type: ignore[union-attr]
    blob = python.call("read_scratch_file", path="out.bin", run=name).content[0].resource.blob  # type: ignore[union-attr]
    assert base64.b64decode(blob) == bytes(range(256))
    assert "no such file" in python.problem("read_scratch_file", path="nothing", run=name)
    assert "no run" in python.problem("read_scratch_file", path="out.txt", run="0" * 32)
    assert "either run" in python.problem("read_scratch_file", path="out.txt")


def test_a_name_that_leads_out_is_refused(python: Session) -> None:
    for name in ("../x", "/etc/x", "a//b", "", "a/./b"):
        assert "not a name" in python.problem("execute", code="1", files={name: "x"})


def test_figures_are_images_and_not_too_large(python: Session) -> None:
    if importlib.util.find_spec("matplotlib") is None:
        pytest.skip("matplotlib is not installed")
    code = (
        "import matplotlib.pyplot as plt\nfor n in range(2):\n    plt.figure(); plt.plot([n, 1])\n"
        "plt.figure(figsize=(300, 300)); plt.plot([1, 2])\nplt.savefig('small.png', dpi=10)\nNone"
    )
    result = python.call("execute", code=code, timeout_s=30)
    found = result.structured_content or {}
    assert found["figures"] == 3, result.content
    images = [block for block in result.content if block.type == "image"]
    for image in images:
        data = base64.b64decode(image.data)
        width, height = (int.from_bytes(data[at : at + 4], "big") for at in (16, 20))
        assert data.startswith(b"\x89PNG")
        assert width * height <= 4_100_000
    assert [file["path"] for file in found["files"]] == ["small.png"]
    picture = python.call("read_scratch_file", path="small.png", run=found["run"]).content[0]
    assert (picture.type, picture.mime_type) == ("image", "image/png")  # type: ignore[union-attr]


def test_output_is_told_while_the_code_runs(python: Session) -> None:
    heard: list[str] = []

    async def ask(client: Client) -> Any:
        async def progress(done: float, total: float | None, message: str | None) -> None:
            heard.append(message or "")

        code = "import time\nfor n in range(3):\n    print('step', n)\n    time.sleep(0.15)"
        return await client.call_tool("execute", {"code": code, "engine": "jail"}, progress_callback=progress)

    python.ask(ask)
    assert len(heard) >= 2
    assert "".join(heard).startswith("step 0\nstep 1\n")


def test_a_cancelled_call_ends_and_leaves_no_folder(python: Session) -> None:
    async def ask(client: Client) -> None:
        with anyio.move_on_after(0.3):
            await client.call_tool(
                "execute", {"code": "open('x', 'w').write('x')\nwhile True: pass", "engine": "jail"}
            )
        result = await client.call_tool("execute", {"code": "1", "engine": "jail"})
        assert not result.is_error

    python.ask(ask)


def at_once(python: Session, runs: int, seconds: float) -> list[Any]:
    """The results of so many runs that are asked for at the same time and sleep."""

    async def ask(client: Client) -> list[Any]:
        results: list[Any] = []

        async def one() -> None:
            code = f"import time; time.sleep({seconds})"
            results.append(await client.call_tool("execute", {"code": code, "engine": "jail"}))

        async with anyio.create_task_group() as tasks:
            for _ in range(runs):
                tasks.start_soon(one)
        return results

    return python.ask(ask)


def test_more_than_there_are_places_for_wait_their_turn(python: Session) -> None:
    assert not [result for result in at_once(python, 12, 0.1) if result.is_error]


def test_who_waits_too_long_for_a_place_is_refused_in_words(
    python: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execution, "TURN_S", 0.2)
    results = at_once(python, 8, 1.0)
    refused = [result.content[0].text for result in results if result.is_error]
    assert 0 < len(refused) < len(results)
    assert all("which is the limit, and none ended within 0.2 s" in text for text in refused)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"code": "1", "timeout_s": 31}, "timeout_s can be 30"),
        ({"code": "1", "timeout_s": 0}, "timeout_s"),
        ({"code": "1", "engine": "bash"}, "engine"),
        ({"code": "1", "session_id": "x" * 32}, "open_session"),
        ({"code": "#" * (1 << 20) + "#"}, "1,048,576 bytes"),
        ({}, "code"),
    ],
)  # fmt: skip
def test_what_cannot_be_run_is_said(python: Session, arguments: dict[str, Any], says: str) -> None:
    assert says in python.problem("execute", **arguments)
