"""An answer that is kept packed goes out as it is kept, any other is packed on its way: somebody else's zstd, brotli
and gzip read it, and it says the same."""

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


FETCH = """
const { url, options } = JSON.parse(process.argv[1]);
const response = await fetch(url, options);
process.stdout.write(response.headers.get('content-encoding') + '\\n' + await response.text());
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


@pytest.mark.parametrize("accepts", ["", "deflate", "zstd;q=0", "*"])
def test_a_client_that_reads_nothing_of_ours_gets_it_plain(fleet: Fleet, folder: Path, accepts: str) -> None:
    plain = packed_away(fleet, folder)
    headers, body = read(fleet, folder / "large.txt", accepts)
    assert "content-encoding" not in headers
    assert body == plain


def test_an_answer_that_says_more_than_what_is_kept_is_packed_anew(
    fleet: Fleet, folder: Path, toolbox: Toolbox
) -> None:
    packed_away(fleet, folder)
    headers, body = read(fleet, folder / "large.txt", "zstd", **{"omnimind/cache": "report"})
    assert headers["content-encoding"] == "zstd"
    inflated = subprocess.run([toolbox.node, "-e", INFLATE], input=body, capture_output=True, check=True)
    assert json.loads(inflated.stdout)["result"]["_meta"]["omnimind/cache"]["level"] == "compressed"


@pytest.mark.parametrize("coding", ["zstd", "br", "gzip"])
def test_a_browsers_fetch_reads_every_coding(
    fleet: Fleet, folder: Path, toolbox: Toolbox, coding: str
) -> None:
    _, plain = read(fleet, folder / "large.txt")
    params = {"name": "read_text_file", "arguments": {"path": str(folder / "large.txt")}, "_meta": META}
    headers = {
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
        "Accept-Encoding": coding,
        "MCP-Protocol-Version": "2026-07-28",
        "Mcp-Method": "tools/call",
        "Mcp-Name": "read_text_file",
    }
    message = {"jsonrpc": "2.0", "id": "a-1", "method": "tools/call", "params": params}
    options = {"method": "POST", "headers": headers, "body": json.dumps(message)}
    asked = json.dumps({"url": fleet.url("filesystem"), "options": options})
    command = [toolbox.node, "--input-type=module", "-e", FETCH, asked]
    said = subprocess.run(command, capture_output=True, check=True, timeout=30).stdout
    found, _, text = said.partition(b"\n")
    assert found.decode() == coding
    assert json.loads(text) == json.loads(plain)
