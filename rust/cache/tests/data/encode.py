"""Writes what the installed `wordllama` makes of our texts, for the Rust encoder's tests.

Usage: `python rust/cache/tests/data/encode.py FOLDER`, with an interpreter that has the package; FOLDER is this one.
It writes `encoded.tsv` (a text as JSON and its tokens a line) and `encoded.bin` (256 signed bytes a text, scaled
to 127).
"""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
from wordllama import WordLlama

ODD = [
    "",
    " ",
    "a",
    "  two  spaces  ",
    "tab\tinside",
    "line\nbreak",
    "caf\u00e9 na\u00efve stra\u00dfe",
    "\u041f\u0440\u0438\u0432\u0435\u0442, \u043c\u0438\u0440",
    "\u663e\u793a\u6253\u5f00\u7684\u95ee\u9898",
    "\U0001f600 smile \U0001f680",
    "\u2581 the sign itself",
    "zero\u200bwidth",
    "e\u0301 combined",
    "SELECT a, b FROM t WHERE x >= 10;",
    "https://example.com/a/b?c=d#e",
    "x" * 300,
    "internationalization " * 20,
    "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35",
    "\x00 nul",
    "1234567890 3.14159 1e-9",
]


def main(folder: Path) -> None:
    files = [folder / f"{name}_questions.tsv" for name in ("other", "same")]
    rows = [line.split("\t") for file in files for line in file.read_text().splitlines()]
    texts = list(dict.fromkeys(text for row in rows for text in row[1:]))[::4] + ODD
    package = importlib.util.find_spec("wordllama")
    assert package is not None
    assert package.origin is not None
    model = WordLlama.load(cache_dir=Path(package.origin).parent, dim=256, disable_download=True)
    model.tokenizer.no_padding()
    tokens = [model.tokenizer.encode(text, add_special_tokens=False).ids for text in texts]
    vectors = np.stack(
        [model.embedding[ids].mean(axis=0) if ids else np.zeros(256, np.float32) for ids in tokens]
    )
    model.tokenizer.enable_padding()
    through = model.embed(texts)
    assert np.allclose(vectors, through, atol=1e-5), "the package pools in another way"
    largest = np.maximum(np.abs(vectors).max(axis=1, keepdims=True), 1e-30)
    (folder / "encoded.bin").write_bytes(np.round(vectors / largest * 127).astype(np.int8).tobytes())
    lines = (
        f"{json.dumps(text)}\t{' '.join(map(str, ids))}\n" for text, ids in zip(texts, tokens, strict=True)
    )
    (folder / "encoded.tsv").write_text("".join(lines))
    sys.stdout.write(f"{len(texts)} texts\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
