"""What kind of bytes a file holds: by what they begin with, else by its name.

A model's API refuses an image that is called PNG and holds a JPEG, so the bytes are believed before the name.
What neither tells is `application/octet-stream`. No table of the machine is asked: the same file has the same
kind everywhere.
"""

from __future__ import annotations

from typing import Final

UNKNOWN: Final = "application/octet-stream"

_BEGINNINGS: Final[tuple[tuple[bytes, str], ...]] = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
    (b"ID3", "audio/mpeg"),
    (b"OggS", "audio/ogg"),
    (b"fLaC", "audio/flac"),
    (b"MThd", "audio/midi"),
    (b"%PDF-", "application/pdf"),
)
_IN_RIFF: Final = {b"WEBP": "image/webp", b"WAVE": "audio/wav"}
_BRANDS: Final = {b"avif": "image/avif", b"heic": "image/heic", b"M4A ": "audio/mp4", b"M4B ": "audio/mp4"}
_ENDINGS: Final = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".bmp": "image/bmp",
    ".svg": "image/svg+xml",
    ".mp3": "audio/mpeg",
    ".wav": "audio/wav",
    ".ogg": "audio/ogg",
    ".flac": "audio/flac",
    # What follows the reference server does not know.
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".ico": "image/x-icon",
    ".avif": "image/avif",
    ".heic": "image/heic",
    ".m4a": "audio/mp4",
    ".aac": "audio/aac",
    ".opus": "audio/ogg",
    ".mid": "audio/midi",
    ".pdf": "application/pdf",
}


def mime_type(name: str, data: bytes) -> str:
    """The MIME type of a file of this name that holds this."""
    for beginning, kind in _BEGINNINGS:
        if data.startswith(beginning):
            return kind
    if data.startswith(b"RIFF") and data[8:12] in _IN_RIFF:
        return _IN_RIFF[data[8:12]]
    if data[4:8] == b"ftyp" and data[8:12] in _BRANDS:
        return _BRANDS[data[8:12]]
    dot = name.rfind(".")
    return _ENDINGS.get(name[dot:].lower(), UNKNOWN) if dot > 0 else UNKNOWN
