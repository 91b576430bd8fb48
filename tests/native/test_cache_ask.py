"""The cache's semantic level: other words, the same answer, and only where that was shown."""

from __future__ import annotations

import json
import struct
from functools import partial
from pathlib import Path

import pytest

from omnimind import encoder
from omnimind.cache import MSGPACK, Cache

ENOUGH = 459 + 3
"""Pairs that have to agree before an answer is given to other words, and three for the change of words itself."""
LETTERS = "bcdfghjklmnpqrst"


def small_encoder(folder: Path) -> None:
    """An installed package whose every byte is a token of nearly the same direction: all texts are alike."""
    (folder / "wordllama-0.4.0.dist-info").mkdir()
    (folder / "wordllama-0.4.0.dist-info/METADATA").write_text(
        "Metadata-Version: 2.1\nName: wordllama\nVersion: 0.4.0\n"
    )
    weights, tokenizer = folder / encoder.WEIGHTS, folder / encoder.TOKENIZER
    weights.parent.mkdir(parents=True)
    tokenizer.parent.mkdir(parents=True)
    vocabulary = {f"<0x{byte:02X}>": byte for byte in range(256)} | {"▁": 256}
    steps = [
        {"type": "Prepend", "prepend": "▁"},
        {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
    ]
    description: dict[str, object] = {
        "version": "1.0",
        "added_tokens": [],
        "normalizer": {"type": "Sequence", "normalizers": steps},
        "pre_tokenizer": None,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": "<unk>",
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": True,
            "byte_fallback": True,
            "ignore_merges": False,
            "vocab": vocabulary,
            "merges": [],
        },
    }
    tokenizer.write_text(json.dumps(description))
    rows = b"".join(struct.pack("<4e", 1, 1, 1, 1 + token % 7 / 64) for token in range(257))
    table = {"embedding.weight": {"dtype": "F16", "shape": [257, 4], "data_offsets": [0, len(rows)]}}
    head = json.dumps(table).encode()
    weights.write_bytes(struct.pack("<Q", len(head)) + head + rows)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    small_encoder(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def thing(number: int) -> str:
    return "lamp" + "".join(LETTERS[number >> shift & 15] for shift in (8, 4, 0)) + "ish"


class Shop:
    """Answers questions about things, and counts them."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def answer(self, text: str) -> str:
        self.asked.append(text)
        return f"in stock: {text.rsplit(' ', 1)[1]}"


def ask(cache: Cache[str, str], shop: Shop, text: str, scope: str = "") -> str:
    return cache.ask(text, lambda: shop.answer(text), scope=scope)


def taught(pairs: int) -> tuple[Cache[str, str], Shop]:
    """A cache that has seen so many things asked for in two wordings."""
    cache: Cache[str, str] = Cache(("ram", "semantic"), max_items=10_000)
    shop = Shop()
    for number in range(pairs):
        # In scopes of their own, so that of all these alike texts only the pair meets.
        for words in ("show the", "list the"):
            ask(cache, shop, f"{words} {thing(number)}", scope=str(number))
    return cache, shop


@pytest.mark.usefixtures("installed")
def test_other_words_are_answered_without_the_loader_once_that_was_shown_to_be_right() -> None:
    cache, shop = taught(ENOUGH + 40)
    assert len(shop.asked) > 2 * ENOUGH
    served = []
    # One in fifty is asked all the same.
    for number in range(3_000, 3_020):
        known = ask(cache, shop, f"show the {thing(number)}", scope=str(number))
        before = len(shop.asked)
        assert ask(cache, shop, f"list the {thing(number)}", scope=str(number)) == known
        served.append(len(shop.asked) == before)
    assert sum(served) >= 15
    stats = cache.stats()["semantic"]
    assert stats.off is None
    assert stats.hits >= sum(served)
    assert stats.hits + stats.misses == 2 * (ENOUGH + 40 + 20)


@pytest.mark.usefixtures("installed")
def test_until_it_was_shown_each_wording_is_loaded_and_then_known_exactly() -> None:
    cache, shop = taught(20)
    assert len(shop.asked) == 40
    for number in range(20):
        ask(cache, shop, f"list the {thing(number)}", scope=str(number))
    assert len(shop.asked) == 40
    assert cache.stats()["semantic"].hits == 0


@pytest.mark.usefixtures("installed")
def test_nothing_is_answered_across_scopes_or_after_everything_was_taken_out() -> None:
    cache, shop = taught(ENOUGH + 40)
    ask(cache, shop, f"show the {thing(3_000)}", scope="a")
    before = len(shop.asked)
    ask(cache, shop, f"list the {thing(3_000)}", scope="b")
    assert len(shop.asked) == before + 1
    cache.clear()
    ask(cache, shop, f"list the {thing(3_000)}", scope="a")
    assert len(shop.asked) == before + 2


@pytest.mark.usefixtures("installed")
def test_an_answer_that_other_words_change_is_never_given_to_them() -> None:
    cache: Cache[str, str] = Cache(("ram", "semantic"), max_items=10_000)
    for number in range(ENOUGH + 60):
        for words in ("show the", "list the"):
            text = f"{words} {thing(number)}"
            assert cache.ask(text, partial(str, text), scope=str(number)) == text
    assert cache.stats()["semantic"].hits == 0


@pytest.mark.usefixtures("installed")
def test_answers_are_text_or_bytes_or_spelled_by_a_codec() -> None:
    plain: Cache[str, object] = Cache(("ram", "semantic"))
    with pytest.raises(TypeError, match="pass a codec"):
        plain.ask("a question", lambda: ["a"])
    assert len(plain) == 0
    for levels in (("ram", "semantic"), ("ram", "compressed", "semantic")):
        spelled: Cache[str, object] = Cache(levels, codec=MSGPACK)
        assert spelled.ask("a question", lambda: ["a"]) == ["a"]
        assert spelled.ask("a question", lambda: ["b"]) == ["a"]


def test_without_an_encoder_the_level_is_refused_with_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    with pytest.raises(ImportError, match=r"semantic level is off: .* pip install --no-deps wordllama"):
        Cache(("ram", "semantic"))


def test_files_that_are_no_encoder_are_refused(installed: Path) -> None:
    (installed / encoder.WEIGHTS).write_bytes(b"x")
    with pytest.raises(ValueError, match="not of the expected form"):
        Cache(("ram", "semantic"))


def test_a_cache_without_the_level_does_not_answer_questions() -> None:
    with pytest.raises(ValueError, match="no level 'semantic'"):
        Cache[str, str]().ask("a question", lambda: "an answer")
