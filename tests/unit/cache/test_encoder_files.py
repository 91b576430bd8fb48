"""The encoder's files are found in an installed package, or it is said why not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from omnimind.encoder import TOKENIZER, WEIGHTS, EncoderFiles, NoEncoder, find_encoder


def installed(folder: Path, *files: str) -> list[str]:
    about = folder / "wordllama-0.4.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: wordllama\nVersion: 0.4.0\n")
    (folder / "wordllama").mkdir()
    (folder / "wordllama" / "__init__.py").write_text("raise RuntimeError('imported')\n")
    for name in files:
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_bytes(b"x")
    return [str(folder)]


def test_files_are_found_without_importing_the_package(tmp_path: Path) -> None:
    found = find_encoder(installed(tmp_path, WEIGHTS, TOKENIZER))
    assert found == EncoderFiles(tmp_path / WEIGHTS, tmp_path / TOKENIZER, "wordllama 0.4.0")


def test_without_the_package_the_reason_says_how_to_get_it(tmp_path: Path) -> None:
    missing = find_encoder([str(tmp_path)])
    assert isinstance(missing, NoEncoder)
    assert missing.reason.startswith("the package wordllama is not installed")
    assert missing.reason.endswith("pip install --no-deps wordllama")


def test_a_package_without_the_files_is_named_with_what_it_lacks(tmp_path: Path) -> None:
    missing = find_encoder(installed(tmp_path, WEIGHTS))
    assert isinstance(missing, NoEncoder)
    assert "wordllama 0.4.0 has no l2_supercat_tokenizer_config.json" in missing.reason


def test_looking_for_it_imports_nothing_heavy() -> None:
    code = (
        "import sys; from omnimind.encoder import find_encoder; find_encoder(); "
        "print(sorted({'numpy', 'wordllama', 'tokenizers', 'requests', 'pydantic'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
