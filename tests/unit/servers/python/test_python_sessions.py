"""Sessions: what they keep, how many there are, when they end."""

from __future__ import annotations

from typing import Any

import psutil
import pytest
from mcp import Client
from server_session import Session

from omnimind.servers.python.settings import Settings, settings
from tests.fleet import wait_until


def opened(python: Session) -> str:
    return str(python.data("open_session")["session_id"])


@pytest.fixture
def session(python: Session) -> Any:
    for one in python.data("list_sessions")["sessions"]:
        python.call("close_session", session_id=one["session_id"])
    return opened(python)


def run(python: Session, code: str, session: str, **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = (
        python.call("execute", code=code, session_id=session, **more).structured_content or {}
    )
    return found


def test_variables_imports_files_and_definitions_stay(python: Session, session: str) -> None:
    run(python, "import math\nx = 5\ndef f(n):\n    return 1 / n\nopen('kept', 'w').write('text')", session)
    assert (
        run(python, "f(x), math.floor(2.5), open('kept').read(), _", session)["value"]
        == "(0.2, 2, 'text', 4)"
    )
    error = run(python, "f(0)", session)["error"]
    assert 'File "<cell 1>", line 4, in f\n    return 1 / n' in error["traceback"]
    assert run(python, "x", session)["value"] == "5"
    assert python.text("read_scratch_file", path="kept", session_id=session) == "text"


def test_a_call_over_its_time_keeps_the_variables_if_the_code_lets_go(python: Session, session: str) -> None:
    run(python, "x = 7", session)
    found = run(python, "import time\ntime.sleep(20)", session, timeout_s=0.2)
    assert (found["ended"], found["error"]["type"]) == ("timeout", "KeyboardInterrupt")
    assert run(python, "x", session)["value"] == "7"


def test_a_call_that_will_not_stop_takes_the_session_with_it(python: Session, session: str) -> None:
    code = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass"
    found = run(python, code, session, timeout_s=0.2)
    assert found["ended"] == "timeout"
    assert "variables are gone" in found["why"]
    assert "you have no session" in python.problem("execute", code="1", session_id=session)


def test_an_idle_session_does_not_run(python: Session, session: str) -> None:
    count = (
        "import threading\nn = 0\ndef go():\n    global n\n    while True: n += 1\n"
        "threading.Thread(target=go, daemon=True).start()"
    )
    run(python, count, session)
    processes = [
        process for process in psutil.Process().children(recursive=True) if process.name() == "omnimind-job"
    ]
    wait_until(lambda: any(process.status() == "stopped" for process in processes), 10, "it is stopped")
    assert int(run(python, "n", session)["value"]) > 0


def test_too_many_sessions_are_refused(python: Session, session: str) -> None:
    second = opened(python)
    assert "close one" in python.problem("open_session")
    assert [one["session_id"] for one in python.data("list_sessions")["sessions"]] == [second, session]
    assert python.data("close_session", session_id=second) == {"closed": second}
    assert "you have no session" in python.problem("close_session", session_id=second)
    assert opened(python)


def test_a_busy_session_is_not_shared(python: Session, session: str) -> None:
    import anyio

    async def ask(client: Client) -> list[Any]:
        results: list[Any] = []

        async def one() -> None:
            arguments = {"code": "import time; time.sleep(0.3); 1", "session_id": session}
            results.append(await client.call_tool("execute", arguments))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(one)
            tasks.start_soon(one)
        return results

    said = [result.content[0].text for result in python.ask(ask)]
    assert sorted(text.startswith("this session is busy") for text in said) == [False, True]


def test_the_fast_tier_has_no_sessions(python: Session, session: str) -> None:
    assert "always in the jail" in python.problem("execute", code="1", session_id=session, engine="monty")


def test_options_are_numbers_within_bounds() -> None:
    assert settings(["--memory-mb=1024", "/folder", "--engine=jail"]) == (
        Settings(memory_mb=1024, engine="jail"),
        ["/folder"],
    )
    for wrong in ("--memory-mb=1", "--memory-mb=much", "--sessions=-1", "--engine=bash"):
        with pytest.raises(ValueError, match=wrong.split("=")[0]):
            settings([wrong])


def test_an_unknown_option_is_refused(tmp_path: Any) -> None:
    with pytest.raises(ValueError, match="knows no argument '--unsafe'"):
        Session("python", tmp_path, ["--unsafe"])
