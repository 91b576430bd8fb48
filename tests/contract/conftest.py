"""What all contract tests share: the prepared tools, and one fleet a module before every kind of backend."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from backends import everything_fleet
from fleet import Fleet
from toolbox import Toolbox, prepare


@pytest.fixture(scope="session")
def toolbox() -> Toolbox:
    return prepare()


@pytest.fixture(scope="module")
def everything() -> Iterator[Fleet]:
    with everything_fleet() as fleet:
        yield fleet
