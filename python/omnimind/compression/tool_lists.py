"""What a list of tools costs a model, as its server sends it and in the gateway's shorter forms.

A list is the text of a `tools/list` result, of its `tools`, or of a whole answer. All figures are tokens of
`compression.tokens.TOKENIZER`, counted.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from omnimind import _core
from omnimind.compression import tokens

_SHOWN: Final = ("name", "description", "inputSchema")


@dataclass(frozen=True, slots=True)
class Costs:
    """Tokens of one list in each form."""

    whole: int
    """As compact JSON, nothing left out."""
    shown: int
    """Name, description and `inputSchema` of each tool alone: what a model pays if its host leaves out the rest."""
    pruned: int
    pruned_shown: int
    """Of the pruned form, as `shown` of the whole one."""
    signatures: int


def pruned(text: str) -> str:
    """The list in the same form with all that a call needs: names, parameters, types, enums, limits, defaults,
    descriptions. Raises ValueError for what is no list of tools."""
    return _told(_core.prune_tools(text))


def signatures(text: str) -> str:
    """The list as a line a tool, `name(path, limit?:int=100, mode:a|b) - First sentence`, after one that explains them.
    Raises ValueError for what is no list of tools."""
    return _told(_core.tool_signatures(text))


def costs(tools: Sequence[Mapping[str, Any]]) -> Costs:
    """What these tools cost in each form; all 0 for none. Raises ValueError if one is no tool."""
    if not tools:
        return Costs(0, 0, 0, 0, 0)
    text = written(tools)
    short = pruned(text)
    return Costs(
        whole=tokens.count(text),
        shown=tokens.count(shown(tools)),
        pruned=tokens.count(short),
        pruned_shown=tokens.count(shown(json.loads(short)["tools"])),
        signatures=tokens.count(signatures(text)),
    )


def written(tools: Sequence[Mapping[str, Any]]) -> str:
    """Tools as the JSON that servers send: compact, characters as themselves."""
    text = json.dumps({"tools": tools}, ensure_ascii=False, separators=(",", ":"))
    # A lone surrogate is no character, and no vocabulary knows it.
    return text.encode("utf-8", "replace").decode()


def shown(tools: Sequence[Mapping[str, Any]]) -> str:
    """The same with the members alone that hosts hand on to models."""
    return written([{key: tool[key] for key in _SHOWN if key in tool} for tool in tools])


def _told(text: str | None) -> str:
    if text is None:
        raise ValueError("this is no list of tools: each needs a name and an inputSchema")
    return text
