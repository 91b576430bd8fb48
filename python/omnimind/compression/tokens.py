"""What a text costs a model, in tokens: counted with a vocabulary, never estimated from its length.

The vocabulary is embedded in the Rust core, so nothing is downloaded. Models of other houses count differently;
a figure is therefore shown together with `TOKENIZER`.
"""

from __future__ import annotations

from typing import Final

from omnimind._core import count_tokens

TOKENIZER: Final = "o200k_base"


def count(text: str) -> int:
    """The tokens of a text; a lone surrogate, which no vocabulary knows, counts as a replacement character."""
    try:
        return count_tokens(text)
    except UnicodeEncodeError:
        return count_tokens(text.encode("utf-8", "replace").decode())
