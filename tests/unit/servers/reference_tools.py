"""The tools of the reference servers, as their current releases list them: name → (parameters, required)."""

from __future__ import annotations

FILESYSTEM = {
    "read_file": ({"path", "tail", "head"}, {"path"}),
    "read_text_file": ({"path", "tail", "head"}, {"path"}),
    "read_media_file": ({"path"}, {"path"}),
    "read_multiple_files": ({"paths"}, {"paths"}),
    "write_file": ({"path", "content"}, {"path", "content"}),
    "edit_file": ({"path", "edits", "dryRun"}, {"path", "edits"}),
    "create_directory": ({"path"}, {"path"}),
    "list_directory": ({"path"}, {"path"}),
    "list_directory_with_sizes": ({"path", "sortBy"}, {"path"}),
    "directory_tree": ({"path", "excludePatterns"}, {"path"}),
    "move_file": ({"source", "destination"}, {"source", "destination"}),
    "search_files": ({"path", "pattern", "excludePatterns"}, {"path", "pattern"}),
    "get_file_info": ({"path"}, {"path"}),
    "list_allowed_directories": (set(), set()),
}

MEMORY = {
    "create_entities": ({"entities"}, {"entities"}),
    "create_relations": ({"relations"}, {"relations"}),
    "add_observations": ({"observations"}, {"observations"}),
    "delete_entities": ({"entityNames"}, {"entityNames"}),
    "delete_observations": ({"deletions"}, {"deletions"}),
    "delete_relations": ({"relations"}, {"relations"}),
    "read_graph": (set(), set()),
    "search_nodes": ({"query"}, {"query"}),
    "open_nodes": ({"names"}, {"names"}),
}

_THOUGHT = {"thought", "nextThoughtNeeded", "thoughtNumber", "totalThoughts"}
_OPTIONAL = {"isRevision", "revisesThought", "branchFromThought", "branchId", "needsMoreThoughts"}

THINKING = {"sequentialthinking": (_THOUGHT | _OPTIONAL, _THOUGHT)}

ALL = {"filesystem": FILESYSTEM, "memory": MEMORY, "thinking": THINKING}
