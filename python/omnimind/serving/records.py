"""What a serving process writes to stderr: one line an event, JSON where a machine reads it.

Under systemd each line also carries its priority (`<4>`), which the journal takes off and files the line by.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from datetime import UTC, datetime
from types import TracebackType

_PRIORITIES = ((logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))


def wants_json(asked: bool) -> bool:
    """Whether lines are to be JSON: somebody asked for it, or systemd reads them."""
    return asked or "JOURNAL_STREAM" in os.environ


def set_up(name: str, as_json: bool) -> None:
    """Send all logging of this process to stderr; JSON if asked for or if stderr is the journal's."""
    as_json = wants_json(as_json)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines(name, _stderr_is_journal()) if as_json else logging.Formatter(_PLAIN))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("omnimind").setLevel(logging.INFO)
    logging.captureWarnings(True)
    if as_json:
        sys.excepthook = _log_fault


_PLAIN = "%(levelname)s %(name)s: %(message)s"


class _Lines(logging.Formatter):
    def __init__(self, server: str, with_priority: bool) -> None:
        super().__init__()
        self._server = server
        self._with_priority = with_priority

    def format(self, record: logging.LogRecord) -> str:
        text = record.getMessage()
        if record.exc_info:
            text = f"{text}\n{self.formatException(record.exc_info)}"
        entry = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "server": self._server,
            "pid": os.getpid(),
            "logger": record.name,
            "line": text,
        }
        return self._prefix(record.levelno) + json.dumps(entry, ensure_ascii=False)

    def _prefix(self, level: int) -> str:
        if not self._with_priority:
            return ""
        return f"<{next((priority for least, priority in _PRIORITIES if level >= least), 7)}>"


def _stderr_is_journal() -> bool:
    """Whether `JOURNAL_STREAM` names the very stream that our stderr is."""
    try:
        status = os.fstat(2)
    except OSError:
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def _log_fault(kind: type[BaseException], fault: BaseException, trace: TracebackType | None) -> None:
    logging.getLogger("omnimind.serve").critical("it ends: %s", fault, exc_info=(kind, fault, trace))
