"""Documents with a grammar: JSON of several shapes, JSON lines, CSV, columns of fixed width, a list of tools."""

from __future__ import annotations

import csv
import io
import json
import random
from typing import Any

from benches.compression.corpus import words
from benches.compression.document import Document, Ledger, Question


def api_list(rng: random.Random, size: int) -> Document:
    """What a web API answers: equal objects, most of them ordinary."""
    ledger = Ledger()
    planted = set(words.places(rng, size, 3))
    rows: list[dict[str, Any]] = []
    region = rng.choice(words.PLACES)
    for at in range(size):
        owner = words.name(rng)
        row: dict[str, Any] = {
            "id": ledger.identifier(words.uuid(rng)),
            "name": owner,
            "state": "active",
            "region": region,
            "owner": {"login": words.person(rng), "team": rng.choice(words.SERVICES)},
            "latency_ms": round(rng.gauss(40, 4), 1),
            "labels": rng.sample(words.NOUNS, 2),
            "archived": False,
            "note": None,
        }
        if at in planted:
            what, value = words.value(rng)
            row["note"] = f"{what} {ledger.fact(owner, value)}"
            ledger.questions.append(Question(f"Which {what} does {owner} have?", value))
        if rng.random() < 0.02:
            row["state"] = "failed"
            row["error"] = f"ConnectionResetError: {words.address(rng)} closed the stream"
            ledger.errors.append(row["error"])
        rows.append(row)
    text = json.dumps(
        {"page": 1, "total": size, "items": rows}, indent=rng.choice((None, 2)), ensure_ascii=False
    )
    return ledger.document("json", text, asked(rng, ledger))


def nested(rng: random.Random, size: int) -> Document:
    """A configuration: a tree, no two branches quite alike."""
    ledger = Ledger()
    planted = set(words.places(rng, size, 3))
    tree: dict[str, Any] = {
        "version": 3,
        "generated": f"{words.moment(rng):%Y-%m-%dT%H:%M:%SZ}",
        "services": {},
    }
    for at in range(size):
        service = words.name(rng)
        while service in tree["services"]:
            service = words.name(rng)
        branch: dict[str, Any] = {
            "image": f"registry/{rng.choice(words.SERVICES)}:{rng.randint(1, 9)}.{rng.randint(0, 30)}",
            "replicas": rng.randint(1, 5),
            "environment": {"LOG_LEVEL": "info", "REGION": rng.choice(words.PLACES)},
            "digest": ledger.identifier(f"sha256:{words.digest(rng, 24)}"),
            "health": {"path": "/healthz", "interval": "10s", "retries": 3},
        }
        if at in planted:
            what, value = words.value(rng)
            branch["environment"][what.upper().replace(" ", "_")] = ledger.fact(service, value)
            ledger.questions.append(Question(f"Which {what} is set for {service}?", value))
        tree["services"][service] = branch
    return ledger.document("json-tree", json.dumps(tree, indent=2), asked(rng, ledger))


def events(rng: random.Random, size: int) -> Document:
    """JSON lines of a few kinds."""
    ledger = Ledger()
    planted = set(words.places(rng, size, 4))
    lines = []
    for at, moment in enumerate(words.clock(rng, size)):
        event: dict[str, Any] = {
            "ts": f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z",
            "level": "info",
            "service": rng.choice(words.SERVICES[:4]),
            "event": rng.choice(("request.done", "cache.hit", "job.queued")),
            "trace": ledger.identifier(words.digest(rng, 16)),
            "ms": rng.randint(1, 60),
        }
        if at in planted:
            who = words.name(rng)
            what, value = words.value(rng)
            event |= {
                "event": "config.changed",
                "subject": who,
                what.replace(" ", "_"): ledger.fact(who, value),
            }
            ledger.questions.append(Question(f"What {what} was set for {who}?", value))
        elif rng.random() < 0.015:
            event |= {
                "level": "error",
                "event": "job.failed",
                "reason": f"TimeoutError after {rng.randint(9, 40)}00 ms",
            }
            ledger.errors.append(event["reason"])
        lines.append(json.dumps(event, separators=(",", ":")))
    return ledger.document("jsonl", "\n".join(lines) + "\n", asked(rng, ledger))


def sheet(rng: random.Random, size: int) -> Document:
    """Comma-separated values."""
    ledger = Ledger()
    planted = set(words.places(rng, size, 3))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("order", "customer", "country", "currency", "amount", "status", "remark"))
    for at in range(size):
        customer = words.name(rng)
        remark = ""
        if at in planted:
            what, value = words.value(rng)
            remark = f"{what}: {ledger.fact(customer, value)}"
            ledger.questions.append(Question(f"What {what} does {customer} have?", value))
        order = ledger.identifier(words.ticket(rng))
        writer.writerow((order, customer, "PT", "EUR", f"{rng.uniform(5, 90):.2f}", "shipped", remark))
    return ledger.document("csv", out.getvalue(), asked(rng, ledger))


def listing(rng: random.Random, size: int) -> Document:
    """What a command prints in columns."""
    ledger = Ledger()
    planted = set(words.places(rng, size, 3))
    lines = [f"{'NAME':<34}{'READY':<8}{'STATUS':<20}{'RESTARTS':<11}{'AGE':<7}NODE"]
    for at in range(size):
        suffix = "".join(rng.choices("bcdfghjkmnpqrstvwxz2456789", k=5))
        pod = ledger.identifier(f"{words.name(rng)}-{suffix}")
        ready, status, restarts = "1/1", "Running", "0"
        if at in planted:
            ready, status, restarts = (
                "0/1",
                rng.choice(("CrashLoopBackOff", "OOMKilled", "Evicted")),
                str(rng.randint(40, 900)),
            )
            ledger.fact(pod, status)
            ledger.questions.append(Question(f"What is the status of {pod}?", status))
        age = f"{rng.randint(1, 40)}d"
        lines.append(f"{pod:<34}{ready:<8}{status:<20}{restarts:<11}{age:<7}node-{rng.randint(1, 6)}")
    return ledger.document("columns", "\n".join(lines) + "\n", asked(rng, ledger))


def tools(rng: random.Random, size: int) -> Document:
    """The answer to `tools/list`, as servers of several frameworks write it."""
    ledger = Ledger()
    found = []
    for _ in range(max(4, size // 12)):
        noun, verb = rng.choice(words.NOUNS), rng.choice(("get", "list", "update", "remove", "search"))
        tool = ledger.identifier(f"{verb}_{noun}_{rng.randint(100, 999)}")
        properties: dict[str, Any] = {
            "id": {"type": "string", "title": "Id", "description": f"The {noun} to {verb}."},
            "limit": {"type": "integer", "title": "Limit", "default": rng.randint(5, 50), "minimum": 1},
            "mode": {
                "type": "string",
                "enum": rng.sample(("fast", "safe", "full", "dry"), 2),
                "title": "Mode",
            },
        }
        mode = "|".join(properties["mode"]["enum"])
        ledger.fact(tool, properties["mode"]["enum"][0])
        ledger.questions.append(
            Question(f"Which modes does {tool} know ({mode})?", properties["mode"]["enum"][1])
        )
        found.append(
            {
                "name": tool,
                "title": tool.replace("_", " ").title(),
                "description": f"{verb.title()} a {noun}.\n\n{words.sentence(rng)} {words.sentence(rng)}",
                "inputSchema": {
                    "$schema": "http://json-schema.org/draft-07/schema#",
                    "type": "object",
                    "title": f"{tool}Arguments",
                    "properties": properties,
                    "required": ["id"],
                    "additionalProperties": False,
                },
                "outputSchema": {
                    "type": "object",
                    "properties": {"result": {"type": "string", "title": "Result"}},
                },
                "annotations": {"readOnlyHint": verb != "remove", "openWorldHint": False},
            }
        )
    return ledger.document(
        "tools", json.dumps({"tools": found}, indent=rng.choice((None, 2))), asked(rng, ledger)
    )


def asked(rng: random.Random, ledger: Ledger) -> str:
    """The query that comes with a call: one of the questions, as an agent would put it."""
    return rng.choice(ledger.questions).text if ledger.questions else "What is worth knowing here?"
