"""The MCP face of the filesystem server: the fourteen tools of the reference server, same names, same
parameters, same texts.

Arguments of the server: the allowed directories, and `--allow-credentials` to serve credential files too.
Without a directory it gets a folder of its own in the state folder, never the home folder.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.types import (
    AudioContent,
    BlobResourceContents,
    CallToolResult,
    ContentBlock,
    EmbeddedResource,
    ImageContent,
)
from pydantic import BaseModel, ConfigDict, Field

from omnimind.servers import ServerContext
from omnimind.servers.depends import FILES, REQUEST
from omnimind.servers.filesystem import edit, files, limits, listing
from omnimind.servers.filesystem.roots import Roots, open_roots
from omnimind.servers.tools import (
    CHANGES,
    ENSURES,
    READS,
    REPLACES,
    Toolbox,
    content_result,
    in_thread,
    new_server,
    progress_of,
    text_result,
)

_ALLOW_CREDENTIALS = "--allow-credentials"

AnyPath = Annotated[str, Field(description="Absolute path, or relative to an allowed directory")]
Tail = Annotated[int | None, Field(ge=0, description="Only the last N lines")]
Head = Annotated[int | None, Field(ge=0, description="Only the first N lines")]
Entries = Annotated[int, Field(ge=1, le=limits.ENTRIES)]
Skipped = Annotated[int, Field(ge=0)]
Globs = Annotated[list[str], Field(description="Glob patterns of what to leave out")]


class FileEdit(BaseModel):
    """One replacement of edit_file."""

    model_config = ConfigDict(populate_by_name=True)

    old_text: str = Field(alias="oldText", description="The passage as it stands in the file")
    new_text: str = Field(alias="newText", description="What to put in its place")


def build(context: ServerContext) -> MCPServer:
    """The filesystem server for these directories."""
    roots = _roots(context.state_dir, context.args)
    box = Toolbox()
    _add_reading(box, roots)
    _add_listing(box, roots)
    _add_writing(box, roots)
    return new_server(
        context,
        box,
        title="Filesystem",
        instructions=f"Reads and changes files beneath {roots.shown()}. Nothing outside is reachable.",
    )


def _roots(state_dir: Path, args: Sequence[str]) -> Roots:
    options = [argument for argument in args if argument.startswith("--")]
    unknown = [option for option in options if option != _ALLOW_CREDENTIALS]
    if unknown:
        raise ValueError(f"unknown argument {unknown[0]}; there are directories and {_ALLOW_CREDENTIALS}")
    folders = [argument for argument in args if not argument.startswith("--")]
    if not folders:
        workspace = state_dir / "workspace"
        workspace.mkdir(mode=0o700, parents=True, exist_ok=True)
        folders = [str(workspace)]
    return open_roots(
        folders, closed=(str(state_dir.resolve()),), secrets_allowed=_ALLOW_CREDENTIALS in options
    )


def _add_reading(box: Toolbox, roots: Roots) -> None:
    async def read_text(path: str, tail: int | None, head: int | None) -> CallToolResult:
        return text_result(await in_thread(files.read_text, roots, path, head, tail))

    @box.tool("Read File (Deprecated)", READS, FILES)
    async def read_file(path: AnyPath, tail: Tail = None, head: Head = None) -> CallToolResult:
        """The same as read_text_file, under its old name."""
        return await read_text(path, tail, head)

    @box.tool("Read Text File", READS, FILES)
    async def read_text_file(path: AnyPath, tail: Tail = None, head: Head = None) -> CallToolResult:
        """Read a text file, or only its first (`head`) or last (`tail`) lines. Up to 4 MiB at a time."""
        return await read_text(path, tail, head)

    @box.tool("Read Media File", READS, FILES)
    async def read_media_file(path: AnyPath) -> CallToolResult:
        """Read a file's bytes: an image or audio block, or an embedded resource for any other type.
        Up to 8 MiB."""
        media = await in_thread(files.read_media, roots, path)
        return await in_thread(_media_result, media)

    @box.tool("Read Multiple Files", READS, FILES)
    async def read_multiple_files(
        paths: Annotated[
            list[str], Field(min_length=1, description=f"Paths of the files, at most {limits.FILES}")
        ],
    ) -> CallToolResult:
        """Read several text files at once, each under its path. One that cannot be read does not stop the
        others."""
        return text_result(await in_thread(files.read_many, roots, paths))


def _media_result(media: files.Media) -> CallToolResult:
    encoded = base64.b64encode(media.data).decode()
    block: ContentBlock
    if media.mime_type.startswith("image/"):
        block = ImageContent(type="image", data=encoded, mime_type=media.mime_type)
    elif media.mime_type.startswith("audio/"):
        block = AudioContent(type="audio", data=encoded, mime_type=media.mime_type)
    else:
        contents = BlobResourceContents(uri=media.uri, mime_type=media.mime_type, blob=encoded)
        block = EmbeddedResource(type="resource", resource=contents)
    structured = block.model_dump(by_alias=True, mode="json", exclude_none=True)
    return content_result([block], [structured], len(encoded))


def _add_listing(box: Toolbox, roots: Roots) -> None:
    @box.tool("List Directory", READS, FILES)
    async def list_directory(
        path: AnyPath, limit: Entries = limits.ENTRIES, offset: Skipped = 0
    ) -> CallToolResult:
        """List a directory, one entry a line, each marked [FILE] or [DIR]."""
        return text_result(await in_thread(listing.plain, roots, path, limit, offset))

    @box.tool("List Directory with Sizes", READS, FILES)
    async def list_directory_with_sizes(
        path: AnyPath,
        sortBy: Annotated[
            Literal["name", "size"], Field(description="Sort by name, or by size with the largest first")
        ] = "name",
        limit: Entries = limits.ENTRIES,
        offset: Skipped = 0,
    ) -> CallToolResult:
        """List a directory with the sizes of its files and their sum."""
        return text_result(await in_thread(listing.with_sizes, roots, path, sortBy, limit, offset))

    @box.tool("Directory Tree", READS, FILES)
    async def directory_tree(
        path: AnyPath,
        ctx: Context,
        excludePatterns: Globs = [],  # noqa: B006
        maxDepth: Annotated[
            int | None, Field(ge=1, description="Only so many levels; folders of the last have no children")
        ] = None,
    ) -> CallToolResult:
        """A directory and everything below it as JSON: name, type (file or directory), children."""
        check = progress_of(ctx, "entries")
        return text_result(await in_thread(listing.tree, roots, path, excludePatterns, check, maxDepth))

    @box.tool("Search Files", READS, FILES)
    async def search_files(
        path: AnyPath,
        pattern: Annotated[
            str, Field(description="Glob relative to path: `*.py` here, `**/*.py` in all folders below")
        ],
        ctx: Context,
        excludePatterns: Globs = [],  # noqa: B006
        limit: Annotated[int, Field(ge=1, le=limits.MOST_MATCHES)] = limits.MATCHES,
        offset: Skipped = 0,
    ) -> CallToolResult:
        """Find files and directories whose path matches a glob pattern; returns full paths."""
        check = progress_of(ctx, "entries")
        return text_result(
            await in_thread(listing.search, roots, path, pattern, excludePatterns, check, limit, offset)
        )

    @box.tool("Get File Info", READS)
    async def get_file_info(path: AnyPath) -> CallToolResult:
        """Size, times, type and permissions of a file or directory."""
        return text_result(_info_text(await in_thread(files.info, roots, path)))

    @box.tool("List Allowed Directories", READS, REQUEST)
    async def list_allowed_directories() -> CallToolResult:
        """The directories that this server may touch, with all that is beneath them."""
        return text_result("Allowed directories:\n" + "\n".join(root.named for root in roots.roots))


def _info_text(info: files.FileInfo) -> str:
    created = info.created or info.modified
    facts = {
        "size": str(info.size),
        "created": _written(created),
        "modified": _written(info.modified),
        "accessed": _written(info.accessed),
        "isDirectory": str(info.is_directory).lower(),
        "isFile": str(info.is_file).lower(),
        "permissions": info.permissions,
    }
    return "\n".join(f"{name}: {value}" for name, value in facts.items())


def _written(moment: datetime) -> str:
    """As JavaScript prints a date, because clients of the reference server parse that."""
    return moment.strftime("%a %b %d %Y %H:%M:%S GMT+0000 (Coordinated Universal Time)")


def _add_writing(box: Toolbox, roots: Roots) -> None:
    @box.tool("Write File", REPLACES)
    async def write_file(
        path: AnyPath, content: Annotated[str, Field(description="The whole new content, up to 8 MiB")]
    ) -> CallToolResult:
        """Create a file or replace its whole content. Readers see the old or the new, never a part."""
        await in_thread(files.write_text, roots, path, content)
        return text_result(f"Successfully wrote to {path}")

    @box.tool("Edit File", CHANGES)
    async def edit_file(
        path: AnyPath,
        edits: Annotated[list[FileEdit], Field(description="Applied in this order; all of them or none")],
        dryRun: Annotated[bool, Field(description="Show the diff and change nothing")] = False,
    ) -> CallToolResult:
        """Replace passages of a text file and return the diff. Each oldText is replaced where it first
        occurs; differing indentation is tolerated."""
        wanted = [edit.Edit(one.old_text, one.new_text) for one in edits]
        return text_result(await in_thread(edit.edit_file, roots, path, wanted, dryRun))

    @box.tool("Create Directory", ENSURES)
    async def create_directory(path: AnyPath) -> CallToolResult:
        """Create a directory, with those above it that are missing. One that exists is fine."""
        await in_thread(files.make_directory, roots, path)
        return text_result(f"Successfully created directory {path}")

    @box.tool("Move File", CHANGES)
    async def move_file(source: AnyPath, destination: AnyPath) -> CallToolResult:
        """Move or rename a file or directory. The destination must not exist."""
        await in_thread(files.move, roots, source, destination)
        return text_result(f"Successfully moved {source} to {destination}")
