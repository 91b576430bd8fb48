"""Texts that say the same again in other words, and questions put in other words than the text.

They count apart, under kinds of their own: nothing else is made of them. The wordings were written before anything was
measured on them; they differ in words, in order, or in both, as people and programs differ.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from benches.compression.corpus import words
from benches.compression.document import Document, Ledger, Question


class Topic(NamedTuple):
    """One thing to say of a name and a value: how it may be said, and how it may be asked in other words."""

    wordings: tuple[str, ...]
    asked: str
    value: Callable[[random.Random], str]


def _money(rng: random.Random) -> str:
    return f"${rng.randint(10, 999)},{rng.randint(100, 999)}.{rng.randint(10, 99)}"


def _day(rng: random.Random) -> str:
    return f"{words.moment(rng):%Y-%m-%d}"


def _hours(rng: random.Random) -> str:
    return f"{rng.randint(14, 97)} hours"


def _degrees(rng: random.Random) -> str:
    return f"{rng.randint(21, 95)} °C"


def _path(rng: random.Random) -> str:
    return words.path(rng, ".tar.zst")


TOPICS = (
    Topic(
        (
            "A customer of {who} who is not satisfied gets his money back within {value}.",
            "Buyers at {who} that are unhappy receive a reimbursement within {value}.",
            "At {who}, repayment to a dissatisfied customer takes place within {value}.",
        ),
        "How quickly are refunds paid out by {who}?",
        _hours,
    ),
    Topic(
        (
            "The yearly rent of the {who} building comes to {value}.",
            "For the {who} building the landlord charges {value} a year.",
            "Leasing the {who} premises costs {value} annually.",
        ),
        "What does the tenant pay for the house of {who}?",
        _money,
    ),
    Topic(
        (
            "The fire inspection of {who} is planned for {value}.",
            "Inspectors look at the fire safety of {who} on {value}.",
            "The check of the fire protection at {who} is scheduled for {value}.",
        ),
        "When do the firemen visit {who}?",
        _day,
    ),
    Topic(
        (
            "The boiler of {who} switches itself off at {value}.",
            "When it reaches {value}, the boiler of {who} shuts down by itself.",
            "The heater of {who} turns itself off at {value}.",
        ),
        "How hot may the heating of {who} become?",
        _degrees,
    ),
    Topic(
        (
            "The nightly copies of {who} are stored under {value}.",
            "Each night the backup of {who} is written to {value}.",
            "The nightly snapshots of {who} are saved under {value}.",
        ),
        "Where are the backups of {who} kept?",
        _path,
    ),
    Topic(
        (
            "The driver of {who} was fined {value} for speeding.",
            "A penalty of {value} was given to the driver of {who} because he drove too fast.",
            "The chauffeur of {who} was charged {value} for driving too quickly.",
        ),
        "How large was the ticket that the car of {who} got?",
        _money,
    ),
    Topic(
        (
            "The contract with the supplier {who} ends on {value}.",
            "On {value} the agreement with the vendor {who} runs out.",
            "The deal with the supplier {who} expires on {value}.",
        ),
        "Until when does {who} deliver goods to us?",
        _day,
    ),
    Topic(
        (
            "Visitors of {who} may park their cars for {value}.",
            "Guests of {who} may leave their vehicles for {value}.",
            "For {value} the visitors of {who} may keep a car in the yard.",
        ),
        "How long can somebody who comes to see {who} leave an automobile there?",
        _hours,
    ),
    Topic(
        (
            "The medicine of {who} must be stored below {value}.",
            "Keep the drugs of {who} below {value}.",
            "The remedies of {who} must be kept below {value}.",
        ),
        "How cold should the pharmacy of {who} be?",
        _degrees,
    ),
    Topic(
        (
            "The insurance pays {who} up to {value} for damage by water.",
            "For a flood the insurer covers {who} up to {value}.",
            "Water damage of {who} is insured up to {value}.",
        ),
        "What compensation would {who} get after a burst pipe?",
        _money,
    ),
    Topic(
        (
            "The staff of {who} answers complaints within {value}.",
            "Complaints get a reply from the staff of {who} within {value}.",
            "The employees of {who} respond to grievances within {value}.",
        ),
        "How soon does someone at {who} react when people are angry?",
        _hours,
    ),
    Topic(
        (
            "The crash reports of {who} are collected in {value}.",
            "All dumps that {who} leaves behind when it dies are gathered in {value}.",
            "The failure reports of {who} are assembled in {value}.",
        ),
        "In which place do I find out why {who} stopped working?",
        _path,
    ),
)


def _section(rng: random.Random, count: int) -> list[str]:
    return [words.sentence(rng) for _ in range(count)]


def _document(kind: str, rng: random.Random, ledger: Ledger, sections: list[list[str]]) -> Document:
    parts = []
    for sentences in sections:
        parts.append(f"## {rng.choice(words.PARTS).title()} {rng.choice(words.NOUNS)}")
        parts += [" ".join(sentences[at : at + 6]) for at in range(0, len(sentences), 6)]
    return ledger.document(kind, "\n\n".join(parts) + "\n", rng.choice(ledger.questions).text)


def restated(rng: random.Random, size: int) -> Document:
    """A report, put together of several: each says of its subjects what the others say, in other words."""
    ledger = Ledger()
    sections = []
    for _ in range(max(1, size // 60)):
        sentences = _section(rng, 24)
        for topic in rng.sample(TOPICS, 9):
            who, value = words.name(rng), topic.value(rng)
            ledger.fact(who, value)
            ledger.questions.append(Question(topic.asked.format(who=who), value))
            sentences += [wording.format(who=who, value=value) for wording in topic.wordings]
        rng.shuffle(sentences)
        sections.append(sentences)
    return replace(_document("restated", rng, ledger, sections), query="What holds for each of them?")


def otherwise(rng: random.Random, size: int) -> Document:
    """A report that says each thing once; the question names the subject's matter in other words, and not its name."""
    ledger = Ledger()
    sections = []
    for at in range(max(1, size // 60)):
        sentences = _section(rng, 44)
        for topic in rng.sample(TOPICS, 9) if at == 0 else []:
            who, value = words.name(rng), topic.value(rng)
            ledger.fact(who, value)
            ledger.questions.append(Question(topic.asked.format(who="them"), value))
            sentences.append(topic.wordings[0].format(who=who, value=value))
        # Other values, so that what is asked for does not stand out by having one.
        for _ in range(9):
            what, value = words.value(rng)
            sentences.append(f"For {words.name(rng)} the {what} is {value}.")
        rng.shuffle(sentences)
        sections.append(sentences)
    document = _document("otherwise", rng, ledger, sections)
    (question,) = (one for one in ledger.questions if one.text == document.query)
    return replace(document, questions=(question,))


EVENTS = (
    ("the connection to {who} was lost", "lost the link to {who}", "connection to {who} broke off"),
    (
        "job of {who} finished successfully",
        "successfully completed the job of {who}",
        "the job of {who} is done",
    ),
    ("{who} asks for more memory", "more memory is wanted by {who}", "{who} demands additional memory"),
    (
        "the disk of {who} is nearly full",
        "little space is left on the disk of {who}",
        "disk of {who} almost full",
    ),
)


def told(rng: random.Random, size: int) -> Document:
    """A log to which several programs write; each tells the same events in its own words."""
    ledger = Ledger()
    hosts = [words.name(rng) for _ in range(max(3, size // 40))]
    planted = set(words.places(rng, size, 6))
    lines = []
    for at, moment in enumerate(words.clock(rng, size)):
        if at in planted:
            who = words.name(rng)
            what, value = words.value(rng)
            message = f"{what} of {who} is now {ledger.fact(who, value)}"
            ledger.questions.append(Question(f"What is the {what} of {who}?", value))
        else:
            message = rng.choice(rng.choice(EVENTS)).format(who=rng.choice(hosts))
        lines.append(f"{moment:%Y-%m-%d %H:%M:%S},{moment.microsecond // 1000:03d} INFO  {message}")
    return ledger.document("told", "\n".join(lines) + "\n", rng.choice(ledger.questions).text)


MAKERS = (restated, otherwise, told)
