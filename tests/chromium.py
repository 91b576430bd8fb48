"""A real Chromium without a window, asked over the pipe of its DevTools protocol; nothing to install but the browser.

Every page is opened in a profile of its own that ends with the browser. What the browser says of a page (console,
exceptions, violations of its policy, requests) is kept; `page_faults` says what may be among it.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import signal
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import pytest

_FLAGS: Final = (
    "--headless=new",
    "--remote-debugging-pipe",
    "--no-first-run",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    "--hide-scrollbars",
)
_PATIENCE_S: Final = 30.0


def path() -> str | None:
    """The browser, if this machine has one."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


needed = pytest.mark.skipif(
    path() is None, reason="NO BROWSER: pages are not looked at (apt-get install chromium)"
)


@dataclass
class Seen:
    """What the browser said while a page was open."""

    said: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


class Chromium:
    """The browser's process and its one window."""

    def __init__(self) -> None:
        self._profile = Path(tempfile.mkdtemp(prefix="omnimind-chromium-"))
        self._number = 0
        self._rest = b""
        self._session: str | None = None
        self.seen = Seen()
        # The browser reads commands from descriptor 3 and answers on 4.
        theirs_in, self._ours_out = _high_pipe()
        self._ours_in, theirs_out = _high_pipe()
        root = ["--no-sandbox"] if os.geteuid() == 0 else []
        words = [str(path()), *_FLAGS, *root, f"--user-data-dir={self._profile}", "about:blank"]
        quiet = os.open(os.devnull, os.O_RDWR)
        actions = [(os.POSIX_SPAWN_DUP2, quiet, number) for number in (0, 1, 2)]
        actions += [(os.POSIX_SPAWN_DUP2, theirs_in, 3), (os.POSIX_SPAWN_DUP2, theirs_out, 4)]
        self._pid = os.posix_spawn(words[0], words, os.environ, file_actions=actions, setpgroup=0)
        for number in (quiet, theirs_in, theirs_out):
            os.close(number)

    def __enter__(self) -> Self:
        targets = self._ask("Target.getTargets")["targetInfos"]
        page = next(target["targetId"] for target in targets if target["type"] == "page")
        self._session = self._ask("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "Audits"):
            self._ask(f"{domain}.enable")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._ours_out)  # it ends when nobody can command it any more
        os.close(self._ours_in)
        until = time.monotonic() + _PATIENCE_S
        while os.waitpid(self._pid, os.WNOHANG)[0] == 0:
            if time.monotonic() > until:
                os.killpg(self._pid, signal.SIGKILL)
                os.waitpid(self._pid, 0)
                break
            time.sleep(0.02)
        shutil.rmtree(self._profile, ignore_errors=True)

    def open(self, page: Path, width: int, *, dark: bool) -> None:
        """Show a file in a window so wide; what it said before is forgotten."""
        self.seen = Seen()
        self._ask(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._ask("Emulation.setEmulatedMedia", features=[scheme])
        loaded: list[bool] = []
        self._ask("Page.navigate", url=page.as_uri())
        self._listen(
            lambda said: loaded.append(True) if said["method"] == "Page.loadEventFired" else None, loaded
        )

    def value(self, script: str) -> Any:
        """What a JavaScript expression is, in the page."""
        answer = self._ask("Runtime.evaluate", expression=script, returnByValue=True)
        if "exceptionDetails" in answer:
            raise AssertionError(answer["exceptionDetails"])
        return answer["result"].get("value")

    def screenshot(self, file: Path) -> None:
        """The whole page as a PNG."""
        size = self._ask("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        shot = self._ask("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        file.write_bytes(base64.b64decode(shot["data"]))

    def _ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        number = self._number
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._ours_out, json.dumps(message).encode() + b"\0")
        answers: list[dict[str, Any]] = []
        self._listen(lambda said: answers.append(said) if said.get("id") == number else None, answers)
        if "error" in answers[0]:
            raise AssertionError(f"{method}: {answers[0]['error']}")
        found: dict[str, Any] = answers[0]["result"]
        return found

    def _listen(self, take: Callable[[dict[str, Any]], None], until: list[Any]) -> None:
        """Hear messages until there is something in `until`."""
        deadline = time.monotonic() + _PATIENCE_S
        while not until:
            while b"\0" not in self._rest:
                if not select.select([self._ours_in], [], [], max(0.0, deadline - time.monotonic()))[0]:
                    raise TimeoutError("Chromium says nothing")
                part = os.read(self._ours_in, 1 << 20)
                if not part:
                    raise EOFError("Chromium ended")
                self._rest += part
            line, _, self._rest = self._rest.partition(b"\0")
            said = {"method": "", **json.loads(line)}
            self._keep(said["method"], said.get("params", {}))
            take(said)

    def _keep(self, method: str, found: dict[str, Any]) -> None:
        if method == "Network.requestWillBeSent":
            self.seen.requests.append(found["request"]["url"])
        elif method == "Log.entryAdded":
            self.seen.said.append(f"{found['entry']['source']}: {found['entry']['text']}")
        elif method in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Audits.issueAdded"):
            self.seen.said.append(f"{method}: {json.dumps(found)[:500]}")


def _high_pipe() -> tuple[int, int]:
    """A pipe whose ends lie above the numbers that the browser wants for its own."""
    ends = os.pipe()
    high = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends]
    for end in ends:
        os.close(end)
    return high[0], high[1]
