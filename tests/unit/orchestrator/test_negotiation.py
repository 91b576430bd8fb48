"""Readiness over pipes: what a child may answer, and what becomes of it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from omnimind.orchestrator import negotiate
from omnimind.orchestrator.negotiate import Lines, Mode, Negotiated, NotReady, Silent

Script = Callable[[dict[str, Any]], list[bytes]]


def reply(message: dict[str, Any], **fields: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": message["id"], **fields}).encode() + b"\n"


def modern(message: dict[str, Any]) -> list[bytes]:
    return [reply(message, result={"supportedVersions": ["2026-07-28"]})]


def legacy(message: dict[str, Any]) -> list[bytes]:
    if message["method"] == "initialize":
        return [reply(message, result={"protocolVersion": "2025-06-18", "serverInfo": {"name": "x"}})]
    return [reply(message, error={"code": -32601, "message": "what?"})]


async def with_script(script: Script, mode: Mode) -> tuple[Negotiated, bytes, list[dict[str, Any]]]:
    """Negotiate with a child that answers each request by the script."""
    to_child, from_us = os.pipe()
    from_child, to_us = os.pipe()
    for descriptor in (to_child, from_us, from_child, to_us):
        os.set_blocking(descriptor, False)
    seen: list[dict[str, Any]] = []
    lines = Lines(from_us, from_child)

    async def play() -> None:
        buffer = b""
        while True:
            await anyio.wait_readable(to_child)
            buffer += os.read(to_child, 65536)
            *whole, buffer = buffer.split(b"\n")
            for line in whole:
                message = json.loads(line)
                seen.append(message)
                for answer in script(message) if "id" in message else []:
                    os.write(to_us, answer)

    outcome: list[Negotiated | NotReady] = []
    try:
        with anyio.fail_after(10):
            async with anyio.create_task_group() as group:
                group.start_soon(play)
                try:
                    outcome.append(await negotiate.with_child(lines, mode, {"sampling": {}}, "1"))
                    await anyio.sleep(0.01)
                except NotReady as refusal:
                    outcome.append(refusal)
                group.cancel_scope.cancel()
        if isinstance(outcome[0], NotReady):
            raise outcome[0]
        return outcome[0], lines.leftover, seen
    finally:
        for descriptor in (to_child, from_us, from_child, to_us):
            os.close(descriptor)


def negotiated(script: Script, mode: Mode = Mode.ANY) -> tuple[Negotiated, bytes, list[dict[str, Any]]]:
    return anyio.run(with_script, script, mode)


def test_a_modern_child_is_asked_one_thing() -> None:
    agreed, leftover, seen = negotiated(modern)
    assert (agreed.era, agreed.version, leftover) == ("modern", "2026-07-28", b"")
    assert [message["method"] for message in seen] == ["server/discover"]
    assert seen[0]["id"] == 1
    meta = seen[0]["params"]["_meta"]
    assert meta["io.modelcontextprotocol/protocolVersion"] == "2026-07-28"
    assert meta["io.modelcontextprotocol/clientCapabilities"] == {"sampling": {}}


def test_a_legacy_child_is_offered_initialize_on_the_same_pipe() -> None:
    agreed, _, seen = negotiated(legacy)
    assert (agreed.era, agreed.version) == ("legacy", "2025-06-18")
    assert agreed.result["serverInfo"] == {"name": "x"}
    methods = [message["method"] for message in seen]
    assert methods == ["server/discover", "initialize", "notifications/initialized"]
    assert seen[1]["params"]["protocolVersion"] == "2025-11-25"
    assert seen[1]["params"]["capabilities"] == {"sampling": {}}


def test_legacy_mode_never_asks_the_modern_question() -> None:
    _, _, seen = negotiated(legacy, Mode.LEGACY)
    assert [message["method"] for message in seen] == ["initialize", "notifications/initialized"]


def test_what_comes_after_the_answer_is_kept() -> None:
    _, leftover, _ = negotiated(lambda m: [modern(m)[0] + b'{"jsonrpc":"2.0","method":"no'])
    assert leftover == b'{"jsonrpc":"2.0","method":"no'


@pytest.mark.parametrize(
    "noise",
    [
        b"hello, I am a banner\n",
        b"\n\n",
        b'{"jsonrpc":"2.0","method":"notifications/message","params":{}}\n',
        b'{"jsonrpc":"2.0","id":1,"method":"ping"}\n',
        b'{"jsonrpc":"2.0","id":77,"result":{}}\n',
        b"[" * 30_000 + b"\n",
        b"\xff\xfe\n",
    ],
)
def test_noise_before_the_answer_is_passed_over(noise: bytes) -> None:
    agreed, _, _ = negotiated(
        lambda m: [noise[i : i + 50_000] for i in range(0, len(noise), 50_000)] + modern(m)
    )
    assert agreed.era == "modern"


@pytest.mark.parametrize("versions", [None, 5, "2026-07-28x", [], ["2031-01-01"]])
def test_a_discover_answer_without_our_version_is_not_modern(versions: object) -> None:
    def script(message: dict[str, Any]) -> list[bytes]:
        if message["method"] == "server/discover":
            return [reply(message, result={"supportedVersions": versions})]
        return legacy(message)

    assert negotiated(script)[0].era == "legacy"


@pytest.mark.parametrize(
    "answer", [{"error": {"message": "no"}}, {"error": 5}, {"result": 5}, {"result": {}}, {}]
)
def test_a_refused_initialize_is_not_readiness(answer: dict[str, Any]) -> None:
    with pytest.raises(NotReady):
        negotiated(lambda m: [reply(m, **answer)], Mode.LEGACY)


def test_a_child_that_must_be_modern_and_is_not_is_refused() -> None:
    with pytest.raises(NotReady):
        negotiated(legacy, Mode.MODERN)


def test_silence_is_told_from_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(negotiate, "DISCOVER_S", 0.05)
    with pytest.raises(Silent):
        negotiated(lambda _: [])


def test_a_line_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(negotiate, "_LINE_BYTES", 1000)
    with pytest.raises(NotReady):
        negotiated(lambda _: [b"x" * 30_000])
