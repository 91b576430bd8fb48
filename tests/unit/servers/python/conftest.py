"""The python server with its jail: one for a module, because each has an interpreter of its own."""

from __future__ import annotations

import pytest
from server_session import Session

from omnimind.linux import landlock, seccomp

ARGS = ["--memory-mb=256", "--disk-mb=8", "--timeout-s=20", "--max-timeout-s=30", "--sessions=2"]


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Session:
    if landlock.abi() == 0 or not seccomp.available():
        pytest.skip("this machine has no jail: the server refuses")
    return Session("python", tmp_path_factory.mktemp("state"), ARGS)
