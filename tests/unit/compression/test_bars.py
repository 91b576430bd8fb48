"""What is kept at a quarter of the tokens, on documents that nobody has seen; in full by `make bar-compression`."""

from __future__ import annotations

import random

import pytest

from benches.compression import corpus
from benches.compression.__main__ import RATIO, measure, table
from benches.compression.bars import missed
from benches.compression.contenders import HeadAndTail, Ours, Ranked, Whole
from benches.compression.document import Document, Fact, Question, Template
from benches.compression.metrics import MEASURES, score

SEEDS = 3


@pytest.mark.bar
@pytest.mark.timeout(120)
def test_a_quarter_of_the_tokens_has_what_matters() -> None:
    seeds = [random.randrange(1_000_000) for _ in range(SEEDS)]
    documents = [document for seed in seeds for document in corpus.documents(seed)]
    found = {
        contender.name: {
            kind: result.summary() for kind, result in measure(contender, documents, RATIO).items()
        }
        for contender in (Ours(), Whole(), HeadAndTail(), Ranked())
    }
    assert len(documents) == SEEDS * len(corpus.MAKERS) * len(corpus.SIZES)
    ours, whole = found["omnimind"]["all"], found["omnimind, lossless"]["all"]
    told = f"seeds {seeds}\n" + table({name: kinds["all"] for name, kinds in found.items()})
    assert not missed(found), told
    # What looks at no structure does not come near: the documents are not easy.
    for simple in ("head + tail", "BM25 lines"):
        assert all(found[simple]["all"][name] < ours[name] - 0.1 for name in ("facts", "errors", "rare")), (
            told
        )
    # A number may stand in a column, its unit in the template.
    assert whole["facts"] >= 0.98, told


def test_each_measure_can_fail() -> None:
    document = Document(
        kind="log",
        text="",
        query="",
        facts=(Fact("amber-1", "v1.2.3"),),
        identifiers=("ab12",),
        errors=("disk is full",),
        templates=(Template(("job", "done"), 1),),
        questions=(Question("Which?", "v1.2.3"),),
    )
    everything = "amber-1 has v1.2.3\nab12\ndisk is really full\njob 7 done\n"
    kept = score(document, everything)
    assert {name: kept.share(name) for name in MEASURES} == dict.fromkeys(MEASURES, 1.0)
    for name, without in {
        "facts": everything.replace("v1.2.3", "v1.2"),
        "anchored": "v1.2.3\n" + "x\n" * 30 + "amber-1",
        "identifiers": everything.replace("ab12", "ab-12"),
        "errors": everything.replace(" full", "\nfull"),
        "templates": everything.replace("done", ""),
        "rare": everything.replace("job", ""),
        "answers": "amber-1",
    }.items():
        assert score(document, without).share(name) == 0.0, name


def test_what_was_planted_stands_in_the_document() -> None:
    for document in corpus.documents(random.randrange(1_000_000)):
        found = score(document, document.text)
        assert {name for name in MEASURES if found.share(name) not in (None, 1.0)} <= {"anchored"}
        assert document.questions, document.kind
