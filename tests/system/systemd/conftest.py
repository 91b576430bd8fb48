"""One machine for the tests of a file; skipped, with the reason, where none can be made."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.system.systemd.machine import Machine, why_not


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    if reason := why_not():
        pytest.skip(f"no throw-away machine with systemd: {reason}")
    with Machine() as running:
        yield running
