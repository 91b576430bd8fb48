"""What people write: prose, code, changes to code, pages; and what a search in code finds."""

from __future__ import annotations

import random

from benches.compression.corpus import words
from benches.compression.corpus.structured import asked
from benches.compression.document import Document, Ledger, Question


def prose(rng: random.Random, size: int) -> Document:
    """A report with headings; a few of its sentences say something."""
    ledger = Ledger()
    planted = set(words.places(rng, size, 5))
    parts: list[str] = []
    paragraph: list[str] = []
    for at in range(size):
        if at % 24 == 0:
            parts.append(f"## {rng.choice(words.PARTS).title()} {rng.choice(words.NOUNS)}")
        if at in planted:
            who = words.name(rng)
            what, value = words.value(rng)
            paragraph.append(
                f"For {who} the {what} is {ledger.fact(who, value)}, and it must not be passed on."
            )
            ledger.questions.append(Question(f"What is the {what} for {who}?", value))
        else:
            paragraph.append(words.sentence(rng))
        if len(paragraph) >= rng.randint(4, 7):
            parts.append(" ".join(paragraph))
            paragraph = []
    parts.append(" ".join(paragraph))
    return ledger.document("prose", "\n\n".join(parts) + "\n", asked(rng, ledger))


def code(rng: random.Random, size: int) -> Document:
    """A Python module; its signatures are what a reader needs first."""
    ledger = Ledger()
    lines = [
        '"""Keeps the books of the house."""',
        "",
        "from __future__ import annotations",
        "",
        "import logging",
        "",
    ]
    for _ in range(max(5, size // 14)):
        function = ledger.identifier(
            f"{rng.choice(('load', 'merge', 'check', 'send'))}_{rng.choice(words.NOUNS)}_{rng.randint(10, 999)}"
        )
        argument = rng.choice(words.NOUNS)
        signature = f"def {function}({argument}: str, retries: int = {rng.randint(1, 9)}) -> bool:"
        ledger.fact(function, f"({argument}: str, retries: int")
        ledger.questions.append(Question(f"What does {function} take?", argument))
        lines += ["", signature, f'    """{words.sentence(rng)}"""']
        for step in range(rng.randint(5, 14)):
            lines.append(
                f"    {rng.choice(words.PARTS)}_{step} = moved({argument}, {step}, mode={rng.choice(words.VERBS)!r})"
            )
        if rng.random() < 0.2:
            most = rng.randint(1000, 9000)
            lines.append(f"    if len({argument}) > {most}:")
            lines.append(f"        raise ValueError('{argument} must not be longer than {most}')")
        lines.append(f"    return bool({argument})")
    return ledger.document("code", "\n".join(lines) + "\n", asked(rng, ledger))


def diff(rng: random.Random, size: int) -> Document:
    """A change of several files."""
    ledger = Ledger()
    lines = []
    for _ in range(max(3, size // 30)):
        file = f"{rng.choice(words.SERVICES)}/{rng.choice(words.NOUNS)}_{rng.randint(1, 99)}.py"
        lines += [
            f"diff --git a/{file} b/{file}",
            f"index {words.digest(rng, 8)}..{words.digest(rng, 8)} 100644",
        ]
        lines += [f"--- a/{file}", f"+++ b/{file}"]
        start = 1
        for _ in range(rng.randint(1, 4)):
            start += rng.randint(20, 90)
            lines.append(
                f"@@ -{start},8 +{start},8 @@ def {rng.choice(words.VERBS)}_{rng.choice(words.NOUNS)}():"
            )
            before = [f"     {words.sentence(rng)}" for _ in range(3)]
            name = words.name(rng).replace("-", "_")
            old, new = rng.randint(10, 999), rng.randint(1000, 9999)
            ledger.fact(name, str(new))
            ledger.questions.append(Question(f"What is {name} now?", str(new)))
            lines += [*before, f"-    {name} = {old}", f"+    {name} = {new}"]
            lines += [f"     {words.sentence(rng)}" for _ in range(4)]
    return ledger.document("diff", "\n".join(lines) + "\n", asked(rng, ledger))


def search(rng: random.Random, size: int) -> Document:
    """What grep prints, file after file."""
    ledger = Ledger()
    planted = set(words.places(rng, size, 3))
    lines: list[str] = []
    while len(lines) < size:
        file = f"services/{rng.choice(words.SERVICES)}/src/{rng.choice(words.NOUNS)}/{words.name(rng)}.ts"
        for row in sorted(rng.sample(range(1, 900), rng.randint(2, 12))):
            if len(lines) in planted:
                who = words.name(rng)
                what, value = words.value(rng)
                lines.append(f"{file}:{row}:  // {who}: {what} {ledger.fact(who, value)}")
                ledger.questions.append(Question(f"Which {what} is noted for {who}?", value))
            else:
                lines.append(
                    f"{file}:{row}:    const {rng.choice(words.NOUNS)} = await client.ask({rng.choice(words.VERBS)!r});"
                )
    return ledger.document("search", "\n".join(lines) + "\n", asked(rng, ledger))


def page(rng: random.Random, size: int) -> Document:
    """A page with a menu, scripts and, in between, what it is about."""
    ledger = Ledger()
    planted = set(words.places(rng, size, 4))
    menu = "".join(
        f'<li class="nav-item"><a class="nav-link" href="/{noun}">{noun.title()}</a></li>'
        for noun in words.NOUNS
    )
    parts = [
        "<!DOCTYPE html>\n<html><head><title>Notes</title>",
        f"<style>.a{{margin:0}}.b{{padding:{rng.randint(1, 9)}px}}</style>",
        f"<script>window.t={{id:'{words.token(rng)}'}};function go(){{return 1}}</script></head>",
        f"<body><nav><ul>{menu}</ul></nav><main>",
    ]
    for at in range(size):
        if at % 15 == 0:
            parts.append(f"<h2>{rng.choice(words.PARTS).title()}</h2>")
        text = words.sentence(rng)
        if at in planted:
            who = words.name(rng)
            what, value = words.value(rng)
            text = f"The {what} of {who} is {ledger.fact(who, value)}."
            ledger.questions.append(Question(f"What is the {what} of {who}?", value))
        parts.append(f'<p class="text-body mb-{rng.randint(1, 4)}">{text}</p>')
    parts.append("</main><footer>All pages</footer></body></html>")
    return ledger.document("html", "\n".join(parts) + "\n", asked(rng, ledger))


MAKERS = (prose, code, diff, search, page)
