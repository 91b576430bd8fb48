"""Where the encoder of texts is: two files of an installed package, read by the Rust core.

The cache's semantic level reads texts with it, and a compressor that is to know sentences in other words.

Nothing is fetched and the package is not imported (it would bring numpy, a tokenizer and a client for downloads): it
is found by its metadata, as data. Its code is under the MIT licence. Its weights are derived from the token tables of
other models (Llama 2 70B, phi 3 medium); its licence file does not speak of those. Whoever installs it decides whether
that suits them, which is why it is not a dependency.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution
from pathlib import Path
from typing import Final

PACKAGE: Final = "wordllama"
WEIGHTS: Final = "wordllama/weights/l2_supercat_256.safetensors"
TOKENIZER: Final = "wordllama/tokenizers/l2_supercat_tokenizer_config.json"
# Only the two files are read, so what the package needs to run is not needed here.
INSTALL: Final = (
    "install the extra: pip install '.[semantic]' in the checkout, or its files alone: "
    f"pip install --no-deps {PACKAGE}"
)


@dataclass(frozen=True, slots=True)
class EncoderFiles:
    """The files of an encoder, and which package they are of."""

    weights: Path
    tokenizer: Path
    package: str


@dataclass(frozen=True, slots=True)
class NoEncoder:
    """Why there is none, and what to install."""

    reason: str


def find_encoder(path: Sequence[str] | None = None) -> EncoderFiles | NoEncoder:
    """The encoder of the installed package; `path` lists where packages are looked for (default: `sys.path`)."""
    options = {"name": PACKAGE} if path is None else {"name": PACKAGE, "path": list(path)}
    found = next(iter(Distribution.discover(**options)), None)
    if found is None:
        return _none(f"the package {PACKAGE} is not installed")
    weights, tokenizer = (Path(str(found.locate_file(name))) for name in (WEIGHTS, TOKENIZER))
    for file in (weights, tokenizer):
        if not file.is_file():
            return _none(f"{PACKAGE} {found.version} has no {file.name} where it should be ({file.parent})")
    return EncoderFiles(weights, tokenizer, f"{PACKAGE} {found.version}")


def _none(reason: str) -> NoEncoder:
    return NoEncoder(f"{reason}; {INSTALL}")
