"""nginx as a plain proxy in front of one upstream (the yardstick of the pass-through bar), or with a fixed answer.

Tuned as one would in earnest: keep-alive on both sides, no access log, no buffering to disk.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

from benches.processes import children

START_S = 10.0
PIECE = 2000

CONFIGURATION = """\
daemon off;
{user}
worker_processes {workers};
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 2048; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    keepalive_requests 100000000;
    tcp_nodelay on;
    client_body_buffer_size 1m;
    proxy_buffers 16 64k;
    {upstream}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            {location}
        }}
    }}
}}
"""
UPSTREAM = """\
    upstream near_free {{
        server 127.0.0.1:{port};
        keepalive 256;
        keepalive_requests 100000000;
    }}
"""
PROXY = """proxy_pass http://near_free; proxy_http_version 1.1; proxy_set_header Connection "";
            proxy_set_header Host $http_host;"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def binary() -> str:
    """Debian puts it where only root looks."""
    return shutil.which("nginx") or "/usr/sbin/nginx"


def version() -> str:
    """Of the nginx of this machine; nothing if there is none."""
    try:
        done = subprocess.run([binary(), "-v"], capture_output=True, text=True, timeout=10, check=False)
    except OSError:
        return ""
    return done.stderr.strip().rpartition("/")[2]


def fixed(body_bytes: int) -> str:
    """A body of so many bytes for everybody; no parameter of a configuration may be longer than 4 KB."""
    whole, rest = divmod(body_bytes, PIECE)
    body = "${piece}" * whole + "x" * rest
    return f"default_type application/json; set $piece '{'x' * PIECE}'; return 200 '{body}';"


class Nginx:
    """nginx while the block runs, on a free port, with everything it writes in a folder of its own."""

    def __init__(
        self, upstream_port: int | None = None, *, says_bytes: int | None = None, workers: int = 1
    ) -> None:
        """In front of an upstream, or saying the same to everybody."""
        self._upstream = UPSTREAM.format(port=upstream_port) if upstream_port else ""
        self._location = PROXY if says_bytes is None else fixed(says_bytes)
        self._workers = workers
        self._folder = Path(tempfile.mkdtemp(prefix="omnimind-nginx-"))
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/mcp"

    @property
    def pid(self) -> int:
        """Of the process above the workers."""
        assert self._process is not None
        return self._process.pid

    @property
    def workers(self) -> list[int]:
        """The processes that carry requests."""
        assert self._process is not None
        return children(self._process.pid)

    def __enter__(self) -> Self:
        text = CONFIGURATION.format(
            user="user root;" if os.geteuid() == 0 else "",
            workers=self._workers,
            folder=self._folder,
            upstream=self._upstream,
            location=self._location,
            port=self.port,
        )
        file = self._folder / "nginx.conf"
        file.write_text(text)
        log = self._folder / "error.log"
        command = [binary(), "-p", str(self._folder), "-c", str(file), "-e", str(log)]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + START_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > end:
                said = log.read_text() if log.exists() else ""
                self.__exit__()
                raise RuntimeError(f"nginx did not start: {said}")
            time.sleep(0.02)
        return self

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return bool(self.workers)

    def __exit__(self, *_: object) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(10)
        shutil.rmtree(self._folder, ignore_errors=True)
