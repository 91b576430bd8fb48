"""Embeddings: what says the same in other words is one, what differs in a value, a name or a negation never is.

With the real encoder (`make .tools/encoder/wordllama`, or the extra `semantic`); without it these are skipped, but
those that say what happens without it.
"""

from __future__ import annotations

import random
import re
import sys
from pathlib import Path

import pytest

from benches.compression import corpus
from benches.compression.contenders import Ours, find_encoder
from benches.compression.corpus import words
from omnimind import Compressor, cli
from omnimind.compression import handles, tokens
from omnimind.encoder import NoEncoder
from omnimind.encoder import find_encoder as installed

SAME = (
    (
        "The movie about alpha-7 was filmed in the mountains.",
        "The film about alpha-7 was shot in the mountains.",
    ),
    (
        "The automobile of alpha-7 was repaired by a mechanic for $900.",
        "The car of alpha-7 was fixed by a mechanic for $900.",
    ),
)
CHANGES = (
    ("alpha-7", "alpha-8"),
    ("alpha-7", "Rome"),
    ("alpha-7", "alpha-7 and beta-9"),
    ("alpha-7", "all alpha-7"),
    ("alpha-7", "Ada at alpha-7"),
    ("alpha-7", 'the "old" alpha-7'),
    ("alpha-7", "alpha-7 v1.2.3"),
    (" was ", " was not "),
    (" was ", " was never "),
    (" was ", " was hardly "),
    (" was ", " must be "),
    (" was ", " was only "),
    (" was ", " was twice "),
    (" was ", " was on 2026-05-01 "),
    (" was ", " was without exception "),
    (" was ", " was at most once "),
    (" in the ", " outside the "),
    (" in the ", " before the "),
    ("$900", "$901"),
    ("$900", "900 EUR"),
    ("$900", "up to $900"),
    ("$900", "$900 to $950"),
    ("$900", "less than $900"),
)
"""Each makes one of two that say the same say something else."""
OTHERS = (
    ("The door of the archive was closed at noon.", "The door of the archive was closed at night."),
    ("The worker calls the gateway before it writes.", "The gateway calls the worker before it writes."),
    ("Send the parcel from Rome to Oslo by train.", "Send the parcel from Oslo to Rome by train."),
    ("The cache is enabled for guests in the hall.", "The cache is disabled for guests in the hall."),
    ("Ada approved the plan of the new bridge.", "Bob approved the plan of the new bridge."),
    ("The likely winner of the race is a German.", "The unlikely winner of the race is a German."),
    ("Uploads of the client fail on Monday.", "Downloads of the client fail on Monday."),
    ("The red lamp of the boiler stands for danger.", "The green lamp of the boiler stands for danger."),
)


def hard_negatives() -> list[tuple[str, str]]:
    pairs = list(OTHERS)
    for one, other in SAME:
        changed = [(one.replace(*change), other) for change in CHANGES if change[0] in one]
        changed += [(one, other.replace(*change)) for change in CHANGES if change[0] in other]
        pairs += changed + [(second, first) for first, second in changed]
    return pairs


@pytest.fixture(scope="module")
def compressor() -> Compressor:
    find_encoder()
    if isinstance(installed(), NoEncoder):
        pytest.skip("the encoder is not there (make .tools/encoder/wordllama)")
    return Compressor(embeddings=True)


def filler(count: int, seed: int = 1) -> str:
    rng = random.Random(seed)
    return " ".join(words.sentence(rng) for _ in range(count))


def pressed(compressor: Compressor, *sentences: str) -> str:
    text = f"# Notes\n\n{filler(40)}\n\n{' '.join(sentences)}\n\n{filler(40, 2)}\n"
    return compressor.compress(text, tokens.count(text) // 3, query=sentences[0]).content


def is_merged(compressor: Compressor, *pair: str) -> bool:
    content = pressed(compressor, *pair)
    return any(f"{sentence} […" in content for sentence in pair)


def test_the_same_in_other_words_is_told_once_with_how_often_and_every_byte_is_there(
    compressor: Compressor,
) -> None:
    for pair in SAME:
        content = pressed(compressor, *pair)
        assert f"{pair[0]} […1 alike]" in content, content
        assert pair[1] not in content
    text = (
        f"# Notes\n\n{filler(60)}\n\n"
        + " ".join(one for pair in SAME for one in pair)
        + f"\n\n{filler(60, 2)}\n"
    )
    found = compressor.compress(text, tokens.count(text) // 3, query="alpha-7")
    for _, other in SAME:
        start = text.encode().index(other.encode())
        assert other in found.content or any(
            gap.bytes[0] <= start and start + len(other.encode()) <= gap.bytes[1] for gap in found.omissions
        )
    marks = re.findall(r"\[…(?:\d+ of )?L(\d+)-(\d+)", found.content)
    (at,) = [n for n, line in enumerate(text.splitlines(), 1) if SAME[0][1] in line]
    assert any(int(first) <= at <= int(last) for first, last in marks)
    assert SAME[0][1] in handles.expand(text, at=handles.place(f"L{at}")).text


def test_more_than_a_hundred_pairs_that_differ_in_something_that_counts_stay_two(
    compressor: Compressor,
) -> None:
    pairs = hard_negatives()
    assert len(pairs) >= 100
    merged = [pair for pair in pairs if is_merged(compressor, *pair)]
    assert merged == []


def test_the_target_is_met_and_the_same_bytes_come_each_time(compressor: Compressor) -> None:
    for document in corpus.in_other_words(random.randrange(1_000_000)):
        target = tokens.count(document.text) // 4
        found = compressor.compress(document.text, target, query=document.query)
        assert tokens.count(found.content) == found.tokens_after <= target
        again = Compressor(embeddings=True).compress(document.text, target, query=document.query)
        assert again.content == found.content


def test_embeddings_find_more_answers_to_questions_in_other_words(compressor: Compressor) -> None:
    documents = [one for seed in range(6) for one in corpus.in_other_words(seed) if one.kind == "otherwise"]

    def answered(contender: Ours) -> int:
        texts = (contender.compress(one, tokens.count(one.text) // 4, 0.25)[0] for one in documents)
        return sum(one.questions[0].answer in text for one, text in zip(documents, texts, strict=True))

    assert answered(Ours(embeddings=True)) > answered(Ours())


def test_without_the_package_it_is_said_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = [folder for folder in sys.path if not (Path(folder) / "wordllama").exists()]
    monkeypatch.setattr(sys, "path", folders)
    with pytest.raises(ImportError, match=r"wordllama is not installed; .*pip install '\.\[semantic\]'"):
        Compressor(embeddings=True)
    file = tmp_path / "notes.txt"
    file.write_text(filler(20))
    assert cli.main(["compress", str(file), "--embeddings", "--state", str(tmp_path)]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert "error[OM0802]" in told.err
    assert "pip install '.[semantic]'" in told.err


def test_the_command_takes_them(
    compressor: Compressor, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "notes.txt"
    file.write_text(f"# Notes\n\n{filler(40)}\n\n{' '.join(SAME[0])}\n\n{filler(40, 2)}\n")
    command = ["compress", str(file), "--embeddings", "--query", SAME[0][0], "--state", str(tmp_path)]
    assert cli.main(command) == 0
    assert f"{SAME[0][0]} […1 alike]" in capsys.readouterr().out
