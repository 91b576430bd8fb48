"""Names, words and values that documents are made of: ours, plain, and different for every seed."""

from __future__ import annotations

import random
import string
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

PARTS = (
    "amber",
    "birch",
    "cobalt",
    "delta",
    "ember",
    "flint",
    "garnet",
    "harbor",
    "indigo",
    "juniper",
    "kestrel",
)
PLACES = (
    "lagoon",
    "meadow",
    "nimbus",
    "orchid",
    "prairie",
    "quarry",
    "ridge",
    "summit",
    "tundra",
    "valley",
    "willow",
)
SERVICES = (
    "billing",
    "checkout",
    "courier",
    "ledger",
    "mailer",
    "pricing",
    "replica",
    "search",
    "stock",
    "uploads",
)
PEOPLE = (
    "Adaeze",
    "Bogdan",
    "Chiara",
    "Dmitri",
    "Elif",
    "Farah",
    "Goran",
    "Hana",
    "Ines",
    "Jonas",
    "Katya",
    "Linh",
)
FAMILIES = (
    "Okafor",
    "Petrov",
    "Rossi",
    "Sato",
    "Tanaka",
    "Umarov",
    "Virtanen",
    "Weber",
    "Xu",
    "Yilmaz",
    "Zhang",
)
VERBS = (
    "moves",
    "holds",
    "checks",
    "reads",
    "writes",
    "keeps",
    "signs",
    "packs",
    "counts",
    "sends",
    "joins",
    "drops",
)
NOUNS = (
    "queue",
    "ledger",
    "gateway",
    "archive",
    "worker",
    "window",
    "channel",
    "packet",
    "branch",
    "schema",
    "shelf",
)
PLAIN = (
    "the team agreed on this after a long talk",
    "nothing in the plan has changed since spring",
    "most readers will not need this part",
    "the same holds for the other rooms",
    "this is how it was done before",
    "the weather had no part in it",
    "a short walk through the hall shows why",
    "it is easy to see on a quiet morning",
    "several people asked about it",
    "the answer was the usual one",
    "work went on as it does every week",
    "we come back to it further down",
)


def name(rng: random.Random) -> str:
    """Two words and a number, unlikely to occur twice."""
    return f"{rng.choice(PARTS)}-{rng.choice(PLACES)}-{rng.randint(100, 9999)}"


def person(rng: random.Random) -> str:
    return f"{rng.choice(PEOPLE)} {rng.choice(FAMILIES)}"


def uuid(rng: random.Random) -> str:
    digits = f"{rng.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


def digest(rng: random.Random, length: int = 40) -> str:
    return f"{rng.getrandbits(4 * length):0{length}x}"


def token(rng: random.Random, length: int = 12) -> str:
    """Letters and digits, with at least one of each."""
    body = "".join(rng.choices(string.ascii_letters + string.digits, k=length - 2))
    return body + rng.choice(string.ascii_uppercase) + rng.choice(string.digits)


def ticket(rng: random.Random) -> str:
    return f"{''.join(rng.choices(string.ascii_uppercase, k=3))}-{rng.randint(1000, 99999)}"


def address(rng: random.Random) -> str:
    return f"10.{rng.randint(0, 255)}.{rng.randint(0, 255)}.{rng.randint(1, 254)}"


def path(rng: random.Random, suffix: str = "") -> str:
    return "/".join((rng.choice(("/srv", "/var/lib", "/opt")), rng.choice(SERVICES), name(rng))) + suffix


def moment(rng: random.Random) -> datetime:
    return datetime(2026, rng.randint(1, 9), rng.randint(1, 28), rng.randint(0, 20), tzinfo=UTC)


def clock(rng: random.Random, count: int) -> list[datetime]:
    """That many moments, one after the other."""
    at = moment(rng)
    found = []
    for _ in range(count):
        at += timedelta(milliseconds=rng.randint(1, 2500))
        found.append(at)
    return found


def value(rng: random.Random) -> tuple[str, str]:
    """A kind of planted value, and one of that kind: what an agent would have to copy to the letter."""
    return rng.choice(
        (
            ("access code", token(rng, 14)),
            ("limit", f"{rng.randint(101, 9999)} requests"),
            ("deadline", f"{moment(rng):%Y-%m-%d}"),
            ("threshold", f"{rng.randint(1, 99)}.{rng.randint(1, 99):02d} %"),
            ("budget", f"${rng.randint(10, 999)},{rng.randint(100, 999)}.{rng.randint(10, 99)}"),
            ("revision", f"v{rng.randint(1, 20)}.{rng.randint(0, 40)}.{rng.randint(1, 90)}"),
            ("transaction", uuid(rng)),
            ("ticket", ticket(rng)),
            ("endpoint", f"https://{rng.choice(SERVICES)}.example.net/{token(rng, 9)}"),
            ("archive", path(rng, ".tar.zst")),
        )
    )


def sentence(rng: random.Random) -> str:
    """Words that say nothing worth keeping."""
    one, other = rng.sample(NOUNS, 2)
    start = f"The {one} {rng.choice(VERBS)} the {other}"
    return f"{start}, and {rng.choice(PLAIN)}." if rng.random() < 0.6 else f"{start}."


def places(rng: random.Random, of: int, count: int) -> Sequence[int]:
    """Where to plant: so many places of `of`, none at the very ends."""
    return sorted(rng.sample(range(2, max(3 + count, of - 2)), count))
