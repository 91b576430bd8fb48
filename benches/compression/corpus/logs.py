"""What programs print while they run: logs of several styles and languages, builds, stack traces."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime

from benches.compression.corpus import words
from benches.compression.corpus.structured import asked
from benches.compression.document import Document, Ledger, Question, Template

Style = Callable[[datetime, str, str, random.Random], str]
Message = tuple[tuple[str, ...], Callable[[random.Random, Ledger], str]]


def application(moment: datetime, level: str, message: str, rng: random.Random) -> str:
    where = rng.choice(("app.jobs", "app.http", "app.store"))
    return f"{moment:%Y-%m-%d %H:%M:%S},{moment.microsecond // 1000:03d} {level:<5} [{where}] {message}"


def system(moment: datetime, level: str, message: str, rng: random.Random) -> str:
    program = rng.choice(("courierd", "ledgerd"))
    shown = message if level == "INFO" else f"{level.lower()}: {message}"
    return (
        f"{moment:%b} {moment.day:2d} {moment:%H:%M:%S} host-7 {program}[{rng.choice((811, 4127))}]: {shown}"
    )


def keyed(moment: datetime, level: str, message: str, rng: random.Random) -> str:
    return f'time={moment:%Y-%m-%dT%H:%M:%SZ} level={level.lower()} shard={rng.randint(1, 4)} msg="{message}"'


ENGLISH: tuple[Message, ...] = (
    (
        ("accepted", "connection", "from"),
        lambda rng, _: f"accepted connection from {words.address(rng)}:{rng.randint(1024, 60000)}",
    ),
    (
        ("request", "finished", "in"),
        lambda rng, led: (
            f"request {led.identifier(words.digest(rng, 16))} finished in {rng.randint(2, 90)} ms"
        ),
    ),
    (
        ("worker", "took", "job"),
        lambda rng, led: f"worker {rng.randint(1, 8)} took job {led.identifier(words.ticket(rng))}",
    ),
    (
        ("flushed", "entries", "to"),
        lambda rng, _: f"flushed {rng.randint(10, 400)} entries to {words.path(rng)}",
    ),
    (("user", "signed", "in"), lambda rng, _: f"user {rng.choice(words.PEOPLE).lower()} signed in"),
    (("heartbeat", "ok"), lambda rng, _: f"heartbeat ok lag={rng.randint(0, 9)}"),
)
RUSSIAN: tuple[Message, ...] = (
    (("соединение", "принято", "от"), lambda rng, _: f"соединение принято от {words.address(rng)}"),
    (
        ("запрос", "выполнен", "за"),
        lambda rng, led: (
            f"запрос {led.identifier(words.digest(rng, 16))} выполнен за {rng.randint(2, 90)} мс"
        ),
    ),
    (
        ("очередь", "сброшена", "на", "диск"),
        lambda rng, _: f"очередь сброшена на диск, записей {rng.randint(10, 400)}",
    ),
    (("проверка", "прошла"), lambda _rng, _: "проверка прошла"),
)
CHINESE: tuple[Message, ...] = (
    (("接受连接",), lambda rng, _: f"接受连接 {words.address(rng)}"),
    (
        ("请求", "完成"),
        lambda rng, led: f"请求 {led.identifier(words.digest(rng, 16))} 完成 耗时 {rng.randint(2, 90)} 毫秒",
    ),
    (
        ("任务", "已分配"),
        lambda rng, led: f"任务 {led.identifier(words.ticket(rng))} 已分配 工作者 {rng.randint(1, 8)}",
    ),
    (("心跳", "正常"), lambda _rng, _: "心跳 正常"),
)
RARE = (
    ("schema migrated to generation {}", ("schema", "migrated", "to", "generation")),
    ("clock stepped back by {} ms", ("clock", "stepped", "back", "by")),
    ("leadership passed to node {}", ("leadership", "passed", "to", "node")),
)
FAILURES = {
    "en": ("could not reach {} : connection refused", "write to {} failed: no space left on device"),
    "ru": ("не удалось подключиться к {} : отказано в соединении", "ошибка записи в {} : нет места на диске"),
    "zh": ("无法连接 {} : 连接被拒绝", "写入 {} 失败 : 磁盘空间不足"),
}


def log(
    kind: str, style: Style, messages: tuple[Message, ...], language: str
) -> Callable[[random.Random, int], Document]:
    """A maker of logs of one style in one language."""

    def make(rng: random.Random, size: int) -> Document:
        ledger = Ledger()
        weights = [rng.randint(1, 12) for _ in messages]
        special = list(words.places(rng, size, 10))
        rng.shuffle(special)
        planted, rare, failed = special[:3], special[3:6], special[6:]
        counts = dict.fromkeys(range(len(messages)), 0)
        lines = []
        for at, moment in enumerate(words.clock(rng, size)):
            level = "INFO"
            if at in planted:
                who = words.name(rng)
                what, value = words.value(rng)
                message = f"{what} of {who} is now {ledger.fact(who, value)}"
                ledger.questions.append(Question(f"What is the {what} of {who}?", value))
            elif at in rare:
                message = RARE[rare.index(at)][0].format(rng.randint(2, 90))
            elif at in failed:
                level = "ERROR"
                message = rng.choice(FAILURES[language]).format(words.path(rng))
                ledger.errors.append(message)
            else:
                chosen = rng.choices(range(len(messages)), weights)[0]
                counts[chosen] += 1
                message = messages[chosen][1](rng, ledger)
            lines.append(style(moment, level, message, rng))
        templates = [Template(messages[at][0], count) for at, count in counts.items() if count]
        templates += [Template(fixed, 1) for _, fixed in RARE]
        return ledger.document(kind, "\n".join(lines) + "\n", asked(rng, ledger), tuple(templates))

    return make


def build(rng: random.Random, size: int) -> Document:
    """A compiler and a test runner, with progress and a few things gone wrong."""
    ledger = Ledger()
    lines = [f"$ make -j{rng.randint(2, 16)} all"]
    failing = set(words.places(rng, size, 4))
    for at in range(size):
        unit = f"src/{rng.choice(words.SERVICES)}/{rng.choice(words.NOUNS)}_{rng.randint(1, 400)}.cc"
        if at in failing:
            row, column = rng.randint(10, 900), rng.randint(1, 80)
            symbol = f"{rng.choice(words.PARTS)}_{rng.choice(words.NOUNS)}"
            problem = rng.choice(
                (
                    f"error: use of undeclared identifier '{symbol}'",
                    f"error: no matching function for call to '{symbol}'",
                )
            )
            lines.append(f"{unit}:{row}:{column}: {problem}")
            lines.append(f"   {row} |     {symbol}(value, {rng.randint(1, 9)});")
            lines.append("       |     ^~~~")
            ledger.errors.append(problem)
            ledger.fact(f"{unit}:{row}", symbol)
            ledger.questions.append(Question(f"What is wrong in {unit}?", symbol))
        elif rng.random() < 0.05:
            lines.append(
                f"{unit}:{rng.randint(10, 900)}:5: warning: unused variable 'tmp' [-Wunused-variable]"
            )
        else:
            lines.append(f"[{100 * at // size:3d}%] Building CXX object {unit.replace('.cc', '.o')}")
    code = rng.randint(1, 120)
    lines.append(f"make: *** [all] Error {code}")
    ledger.fact("make: *** [all]", f"Error {code}")
    return ledger.document("build", "\n".join(lines) + "\n", asked(rng, ledger))


def traces(rng: random.Random, size: int) -> Document:
    """A service that fails in a few ways, again and again."""
    ledger = Ledger()
    modules = [f"/srv/app/{rng.choice(words.SERVICES)}/{noun}.py" for noun in rng.sample(words.NOUNS, 6)]
    kinds = []
    for kind in rng.sample(("ValueError", "KeyError", "TimeoutError", "PermissionError", "OSError"), 3):
        frames = [
            (
                rng.choice(modules),
                rng.randint(10, 400),
                f"{rng.choice(('load', 'store', 'send', 'check'))}_{rng.choice(words.NOUNS)}",
            )
            for _ in range(rng.randint(5, 11))
        ]
        kinds.append((kind, frames))
    lines = []
    for at, moment in enumerate(words.clock(rng, max(6, size // 14))):
        kind, frames = kinds[at % 3]
        request = ledger.identifier(words.digest(rng, 16))
        lines.append(f"{moment:%Y-%m-%d %H:%M:%S} ERROR request {request} failed")
        lines.append("Traceback (most recent call last):")
        for module, row, function in frames:
            lines.append(f'  File "{module}", line {row}, in {function}')
            lines.append(f"    return {function.split('_')[0]}(item, retries={row % 5})")
        what, value = words.value(rng)
        if at < 3:
            who = words.name(rng)
            lines.append(f"{kind}: {who} was given the {what} {ledger.fact(who, value)}")
            ledger.questions.append(Question(f"Which {what} was {who} given?", value))
        else:
            lines.append(f"{kind}: item {rng.randint(1, 999)} of the {rng.choice(words.NOUNS)} is not there")
        ledger.errors.append(f"{kind}:")
    return ledger.document("trace", "\n".join(lines) + "\n", asked(rng, ledger))


MAKERS = (
    log("log", application, ENGLISH, "en"),
    log("syslog", system, ENGLISH, "en"),
    log("logfmt", keyed, ENGLISH, "en"),
    log("log-ru", application, RUSSIAN, "ru"),
    log("log-zh", application, CHINESE, "zh"),
    build,
    traces,
)
