"""What clients of the reference servers rely on, without starting those: names and required parameters.

`tests/contract/test_reference_*.py` starts both and compares everything; this is the part that needs no node.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from reference_tools import ALL
from server_session import Session


@pytest.mark.parametrize("name", sorted(ALL))
def test_every_reference_tool_is_there_with_its_parameters(name: str, tmp_path: Path) -> None:
    listed = Session(name, tmp_path, []).ask(lambda client: client.list_tools()).tools
    ours = {tool.name: tool.input_schema for tool in listed}
    for tool, (parameters, required) in ALL[name].items():
        assert parameters <= set(ours[tool]["properties"]), tool
        assert set(ours[tool].get("required", [])) == required, tool


def test_lists_may_be_kept_by_anyone_for_five_minutes(tmp_path: Path) -> None:
    listed = Session("memory", tmp_path, []).ask(lambda client: client.list_tools())
    assert (listed.ttl_ms, listed.cache_scope) == (300_000, "public")
