"""Which answers of which tool may be kept, and why the others may not: every tool that only reads has its row.

`REQUEST` depends on nothing but the arguments, `FILES` on files that are named; a sentence says why an answer is
never kept.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import anyio
import pytest
from fixtures.examples import Example, Examples, examples_of, structured
from keyed_session import Stamps, ask_keyed, call_as
from mcp import Client

from omnimind import catalog
from omnimind.servers import ServerContext, build, depends
from omnimind.servers.depends import FILES, REQUEST

RANKED = "ranks by how long ago something was written"
NOW = "measures the machine now, and is marked as open-world"
WORK_TREE = "looks at every file of the work tree"
PATCH = "a patch is shown as the attributes of every folder in the work tree say"

TABLE: dict[str, dict[str, str]] = {
    "filesystem": {
        "read_file": FILES,
        "read_text_file": FILES,
        "read_media_file": FILES,
        "read_multiple_files": FILES,
        "list_directory": FILES,
        "list_directory_with_sizes": FILES,
        "directory_tree": FILES,
        "search_files": FILES,
        "get_file_info": "tells when a file was last read, which no stamp holds",
        "list_allowed_directories": REQUEST,
    },
    "memory": {
        "read_graph": FILES,
        "search_nodes": FILES,
        "open_nodes": FILES,
        "retrieve_memories": FILES,
        "get_memory": FILES,
        "memory_neighbourhood": FILES,
        "propose_consolidation": FILES,
        "export_memory": FILES,
    },
    "thinking": {
        "list_thinking_sessions": FILES,
        "thinking_history": FILES,
        "evaluate_thinking": FILES,
        "export_thinking": FILES,
    },
    "context": {
        "list_context": FILES,
        "open_context": FILES,
        "retrieve_context": RANKED,
        "get_context": RANKED,
        "expand": FILES,
        "compress_context": RANKED,
        "context_stats": FILES,
        "list_sessions": FILES,
        "list_snapshots": FILES,
        "diff_snapshots": FILES,
    },
    "git": {
        "git_status": WORK_TREE,
        "git_diff_unstaged": WORK_TREE,
        "git_diff_staged": PATCH,
        "git_diff": PATCH,
        "git_log": FILES,
        "git_show": FILES,
        "git_branch": FILES,
        "git_blame": FILES,
        "git_file_history": FILES,
        "git_find_change": FILES,
        "git_merge_base": FILES,
        "git_tags": FILES,
        "git_stash_list": FILES,
        "git_conflicts": FILES,
        "git_worktrees": FILES,
        "git_list_repositories": FILES,
        "git_show_file": FILES,
        "git_stash_show": PATCH,
        "git_range_diff": PATCH,
    },
    "python": {
        "list_sessions": "sessions are processes, and idle for longer every second",
        "read_scratch_file": "a run's files are gone after an hour, a session's with the session",
        "lint": FILES,
        "format": FILES,
        "type_check": "mypy looks into the packages that are installed",
        "list_packages": FILES,
        "python_info": FILES,
    },
    "sqlite": {
        "read_query": FILES,
        "explain": FILES,
        "list_tables": FILES,
        "describe_table": FILES,
        "list_databases": FILES,
        "schema": FILES,
        "indices": FILES,
        "statistics": FILES,
        "export_rows": FILES,
    },
    "system_info": {
        "cpu_info": REQUEST,
        "system_overview": NOW,
        "health_summary": NOW,
        "cpu_usage": NOW,
        "memory_info": NOW,
        "disk_usage": NOW,
        "disk_io": NOW,
        "sensor_readings": NOW,
        "network_info": NOW,
        "gpu_info": NOW,
        "pressure_info": NOW,
        "cgroup_info": NOW,
        "fleet_processes": NOW,
    },
    "logging": {
        "search_logs": FILES,
        "tail_logs": FILES,
        "get_log_record": FILES,
        "fleet_history": FILES,
        "log_sources": FILES,
        "log_stats": FILES,
        "log_templates": FILES,
    },
}

AFTERWARDS: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "context": [
        ("store_context", {"content": "what stays", "key": "kept"}),
        ("snapshot_context", {"name": "then"}),
        ("list_context", {}),
        ("open_context", {"id": "kept"}),
        ("expand", {"handle": "kept"}),
        ("context_stats", {}),
        ("list_sessions", {}),
        ("list_snapshots", {}),
        ("diff_snapshots", {"before": "then"}),
    ],
    "git": [("git_show", {"repo_path": "{root}/project", "revision": "HEAD:"})],
    "logging": [
        ("append_log", {"message": "deploy 8 worked"}),
        ("search_logs", {"query": "deploy"}),
        ("log_sources", {}),
        ("log_stats", {"bucket": "1h"}),
        ("log_templates", {}),
    ],
}
"""Asked of somebody else who is no operator, where an example is a question whose answer is not kept: about what ends
by itself, about a time that is counted from now, about journald."""

TESTS = Path(__file__).parents[2]
"""Its folders, which pytest puts on the path of this process, are more than an answer may depend on."""


@pytest.mark.parametrize("name", [builtin.name for builtin in catalog.BUILTINS])
def test_every_tool_that_only_reads_keeps_to_its_row(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(depends, "_YOUNG_NS", 0)  # nobody else changes these files in this very moment
    monkeypatch.setattr(
        sys, "path", [folder for folder in sys.path if not Path(folder).is_relative_to(TESTS)]
    )
    root = tmp_path / "root"
    root.mkdir()
    examples = examples_of(name, root)
    server = build(ServerContext(name, tmp_path / "state", list(examples.args)))
    readers, seen = ask_keyed(server, lambda client: _all_examples(client, examples))
    assert readers == set(TABLE[name]), "tools without a row, or rows without a tool"
    for tool, row in TABLE[name].items():
        kept = [stamps for stamps in seen.get(tool, []) if stamps is not None]
        if row == REQUEST:
            assert kept == [[]] * len(seen[tool]), tool
        elif row == FILES:
            assert all(kept), f"{tool} rests on files and names none"
            assert kept, f"no answer of {tool} may be kept"
        else:
            assert kept == [], f"{tool}: {row}"


async def _all_examples(
    client: Client, examples: Examples
) -> tuple[set[str], dict[str, list[Stamps | None]]]:
    tools = (await client.list_tools()).tools
    readers = {tool.name for tool in tools if tool.annotations and tool.annotations.read_only_hint}
    given: dict[str, Any] = {}
    seen: dict[str, list[Stamps | None]] = {}
    with anyio.fail_after(60):
        for example in examples.examples:
            arguments = examples.good(example, given)
            result, stamps = await call_as(client, example.tool, arguments, role="operator")
            given[example.tool] = structured(result)
            assert example.tool in readers or stamps is None, f"{example.tool} writes"
            seen.setdefault(example.tool, []).append(stamps)
        for tool, wanted in AFTERWARDS.get(examples.name, []):
            arguments = examples.good(Example(tool, wanted, None, ""), given)
            result, stamps = await call_as(client, tool, arguments, "bea")
            assert not result.is_error, result.content
            seen.setdefault(tool, []).append(stamps)
    return readers, seen


def test_every_server_has_an_answer_that_may_be_kept() -> None:
    for name, rows in TABLE.items():
        assert {REQUEST, FILES} & set(rows.values()), name
