"""From its making to its end: settings that do not fit, closing, forks, the end of the program, certificates."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import anyio
import pytest

from omnimind import ConnectionPool
from omnimind.errors import ConnectError
from tests.unit.pool.origin import Answer, Origin
from tests.unit.pool.test_pool_requests import BACKENDS, echo, run, until

FORK = """
import os, sys, anyio, omnimind
url = sys.argv[1]
pool = omnimind.ConnectionPool()

async def ask(times):
    for _ in range(times):
        assert (await pool.request("GET", url)).status == 200
    (stats,) = pool.stats().values()
    return stats.opened

anyio.run(ask, 3, backend=sys.argv[2])
child = os.fork()
opened = anyio.run(ask, 3, backend=sys.argv[2])
if child == 0:
    pool.close()
    os._exit(opened)
theirs = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
print(theirs, anyio.run(ask, 3, backend=sys.argv[2]))
"""

LEFT = """
import sys, anyio, omnimind

async def main():
    pool = omnimind.ConnectionPool()
    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(pool.request, "GET", sys.argv[1])
        await anyio.sleep(0.5)
        group.cancel_scope.cancel()
    sys.exit(7)

anyio.run(main, backend=sys.argv[2])
"""


def program(text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", text, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)


@pytest.mark.parametrize(
    "settings",
    [
        {"max_connections": 0},
        {"max_connections": -1},
        {"max_connections": 1 << 70},
        {"max_response_bytes": 0},
        {"max_ratio": 0.5},
        {"max_ratio": float("nan")},
        {"max_wait_s": -1},
        {"max_wait_s": float("inf")},
        {"timeout_s": 0},
        {"timeout_s": float("nan")},
        {"compression": "gzip"},
        {"compression": ("deflate",)},
        {"http2": "yes"},
    ],
)
def test_settings_that_do_not_fit_are_refused_by_name(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        ConnectionPool(**settings)


@run
async def test_what_cannot_be_a_request_is_refused_before_anything_is_sent() -> None:
    with Origin(echo) as origin:
        pool = ConnectionPool()
        wrong: list[tuple[str, str, dict[str, Any]]] = [
            ("GET", "ftp://host/", {}),
            ("GET", "/path", {}),
            ("GET", f"{origin.url}/a b", {}),
            ("G T", origin.url, {}),
            ("GET", origin.url, {"headers": {"x": "a\r\nb: c"}}),
            ("GET", origin.url, {"headers": {"Content-Length": "3"}}),
            ("POST", origin.url, {"content": "a", "json": 1}),
            ("POST", origin.url, {"json": float("nan")}),
            ("GET", origin.url, {"timeout_s": 0}),
        ]
        for method, url, more in wrong:
            with pytest.raises(ValueError):
                await pool.request(method, url, **more)
            with pytest.raises(ValueError):
                async with pool.stream(method, url, **more):
                    pass
        assert (origin.connections, pool.stats()) == (0, {})


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_pool_is_closed_once_or_twice_and_then_sends_nothing(backend: str) -> None:
    async def main() -> None:
        with Origin(lambda _: Answer(b"ok", take_s=0.1)) as origin:
            pool = ConnectionPool()
            answers: list[bytes] = []

            async def ask() -> None:
                answers.append((await pool.request("GET", origin.url)).content)

            async with anyio.create_task_group() as group:
                group.start_soon(ask)
                await anyio.sleep(0.03)
                pool.close()
                pool.close()
                with pytest.raises(RuntimeError, match="closed"):
                    await pool.request("GET", origin.url)
                with pytest.raises(RuntimeError, match="closed"):
                    async with pool.stream("GET", origin.url):
                        pass
            assert answers == [b"ok"], "what was under way comes to its end"
            assert pool.stats() == {}
            await until(lambda: not origin.open)
            assert origin.requests == 1

    anyio.run(main, backend=backend)


def test_one_pool_serves_several_loops_at_once_and_one_after_the_other() -> None:
    with Origin(lambda _: Answer(b"ok", take_s=0.02)) as origin:
        pool = ConnectionPool(max_connections=4)
        answers: list[int] = []

        async def ask() -> None:
            async with anyio.create_task_group() as group:
                for _ in range(10):
                    group.start_soon(one)

        async def one() -> None:
            answers.append((await pool.request("GET", origin.url)).status)

        for _ in range(2):
            threads = [
                threading.Thread(target=anyio.run, args=(ask,), kwargs={"backend": backend})
                for backend in BACKENDS * 2
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert answers == [200] * 80
        assert origin.connections == origin.most == 4
        pool.close()


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_fork_has_connections_of_its_own_and_leaves_its_parent_s_alone(backend: str) -> None:
    with Origin(echo) as origin:
        done = program(FORK, origin.url, backend)
        assert done.returncode == 0, done.stderr
        theirs, own = map(int, done.stdout.split())
        assert min(theirs, own) >= 1
        assert (origin.connections, origin.requests) == (theirs + own, 12)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_program_ends_in_the_middle_of_requests_at_once_and_quietly(backend: str) -> None:
    with Origin(lambda _: Answer(b"", take_s=10)) as origin:
        done = program(LEFT, origin.url, backend)
        assert (done.returncode, done.stderr) == (7, "")
        assert origin.requests == 20


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for localhost that nobody vouches for, and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl to make a certificate with")
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    command += ["-addext", "basicConstraints=critical,CA:FALSE"]
    subprocess.run([*command, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    return certificate, key


def test_a_certificate_is_believed_if_it_is_named_and_its_name_fits(certificate: tuple[Path, Path]) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)

    @run
    async def main() -> None:
        with Origin(echo, tls=context) as origin:
            trusting = ConnectionPool(verify=certificate[0])
            response = await trusting.request("GET", origin.url)
            assert (response.status, response.http) == (200, "1.1")
            for pool, url in (
                (ConnectionPool(), origin.url),
                (trusting, origin.url.replace("localhost", "127.0.0.1")),
            ):
                with pytest.raises(ConnectError, match="certificate") as caught:
                    await pool.request("GET", url)
                assert not caught.value.was_sent
            assert origin.requests == 1

    main()


def test_certificates_that_cannot_be_read_are_told_when_the_pool_is_made(tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("nothing")
    for path in (empty, tmp_path / "none.pem"):
        with pytest.raises(OSError, match=path.name):
            ConnectionPool(verify=path)
    with pytest.raises(TypeError):
        ConnectionPool(verify=False)  # type: ignore[arg-type]
