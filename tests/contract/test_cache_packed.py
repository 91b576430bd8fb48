"""An answer that is kept packed goes out as it is kept: somebody else's zstd reads the frame, and it says the same."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from toolbox import Toolbox

from omnimind.servers.depends import META_KEY
from tests.calling import META
from tests.fleet import Fleet, wait_until

MANY = 40
"""More files than the level in memory has room for."""
INFLATE = """
const { zstdDecompressSync } = require('node:zlib');
const parts = [];
process.stdin.on('data', part => parts.push(part));
process.stdin.on('end', () => process.stdout.write(zstdDecompressSync(Buffer.concat(parts))));
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tmp_path = tmp_path_factory.mktemp("files")
    (tmp_path / "large.txt").write_text("".join(f"{line}: what is written here\n" for line in range(600)))
    for number in range(MANY):
        (tmp_path / f"{number}.txt").write_text("short")
    return tmp_path


@pytest.fixture(scope="module")
def fleet(folder: Path) -> Iterator[Fleet]:
    with Fleet({"filesystem": {"args": [str(folder)]}}, gateway={"cache": {"max_items": 8}}) as running:
        yield running


def read(fleet: Fleet, path: Path, accepts: str = "", **meta: Any) -> tuple[dict[str, str], bytes]:
    """The header fields and the body of one answer, as they come over the wire."""
    split = urlsplit(fleet.url("filesystem"))
    assert split.hostname is not None
    params = {"name": "read_text_file", "arguments": {"path": str(path)}, "_meta": META | meta}
    headers = {
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": "2026-07-28",
        "Mcp-Method": "tools/call",
        "Mcp-Name": "read_text_file",
    }
    if accepts:
        headers["Accept-Encoding"] = accepts
    body = json.dumps({"jsonrpc": "2.0", "id": "a-1", "method": "tools/call", "params": params})
    connection = HTTPConnection(split.hostname, split.port, timeout=30)
    try:
        connection.putrequest("POST", split.path, skip_accept_encoding=True)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            connection.putheader(name, value)
        connection.endheaders(body.encode())
        response = connection.getresponse()
        return {name.lower(): value for name, value in response.getheaders()}, response.read()
    finally:
        connection.close()


def packed_away(fleet: Fleet, folder: Path) -> bytes:
    """The answer about the large file, plainly; after this it is kept packed."""

    def is_kept() -> bool:
        _, body = read(fleet, folder / "large.txt", **{"omnimind/cache": "report"})
        return bool(json.loads(body)["result"]["_meta"]["omnimind/cache"]["hit"])

    wait_until(is_kept, 10, "the answer is kept")
    _, plain = read(fleet, folder / "large.txt")
    for number in range(MANY):
        read(fleet, folder / f"{number}.txt")
    return plain


def test_a_client_that_reads_zstd_gets_the_frame_that_is_kept(
    fleet: Fleet, folder: Path, toolbox: Toolbox
) -> None:
    plain = packed_away(fleet, folder)
    headers, body = read(fleet, folder / "large.txt", "gzip, zstd")
    assert (headers.get("content-encoding"), headers.get("vary")) == ("zstd", "Accept-Encoding")
    assert len(body) < len(plain) / 3
    inflated = subprocess.run([toolbox.node, "-e", INFLATE], input=body, capture_output=True, check=True)
    assert inflated.stdout == plain
    assert META_KEY.encode() not in inflated.stdout


@pytest.mark.parametrize("accepts", ["", "gzip, br", "zstd;q=0", "*"])
def test_any_other_client_gets_it_plain(fleet: Fleet, folder: Path, accepts: str) -> None:
    plain = packed_away(fleet, folder)
    headers, body = read(fleet, folder / "large.txt", accepts)
    assert "content-encoding" not in headers
    assert body == plain


def test_an_answer_that_says_more_than_what_is_kept_is_plain(fleet: Fleet, folder: Path) -> None:
    packed_away(fleet, folder)
    headers, body = read(fleet, folder / "large.txt", "zstd", **{"omnimind/cache": "report"})
    assert "content-encoding" not in headers
    assert json.loads(body)["result"]["_meta"]["omnimind/cache"]["level"] == "compressed"
