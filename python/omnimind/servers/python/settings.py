"""What the operator says about running code, in the server's arguments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, get_args

from omnimind.servers.problem import Problem
from omnimind.servers.python.jail import Limits
from omnimind.servers.python.jail.job import MIB

Engine = Literal["auto", "jail", "monty"]
_NUMBERS: Final = {
    "--memory-mb=": ("memory_mb", 128, 1024 * 1024),
    "--disk-mb=": ("disk_mb", 1, 1024 * 1024),
    "--timeout-s=": ("timeout_s", 1, 86_400),
    "--max-timeout-s=": ("max_timeout_s", 1, 86_400),
    "--at-once=": ("at_once", 1, 256),
    "--sessions=": ("sessions", 0, 256),
}
_ENGINE: Final = "--engine="


@dataclass(frozen=True, slots=True)
class Settings:
    """Limits of running code; every figure can be set by the option of its name."""

    memory_mb: int = 512
    disk_mb: int = 256
    timeout_s: int = 30
    max_timeout_s: int = 300
    at_once: int = 4
    sessions: int = 4
    """For each principal; all together may have four times as many."""
    engine: Engine = "auto"
    idle_s: float = 600.0

    def limits(self, timeout_s: float | None) -> Limits:
        """What one run gets. Raises Problem for more time than the most."""
        most = max(self.max_timeout_s, self.timeout_s)
        if timeout_s is not None and timeout_s > most:
            raise Problem(
                f"timeout_s can be {most} here, not {timeout_s:g}; split the work, or have the operator raise it "
                "with --max-timeout-s=N in the args of this server"
            )
        wall_s = self.timeout_s if timeout_s is None else timeout_s
        return Limits(wall_s=float(wall_s), memory_bytes=self.memory_mb * MIB, disk_bytes=self.disk_mb * MIB)

    def figures(self) -> dict[str, float]:
        """The limits by name, for whoever asks what they are."""
        return {
            "memory_mb": self.memory_mb,
            "disk_mb": self.disk_mb,
            "timeout_s": self.timeout_s,
            "max_timeout_s": self.max_timeout_s,
            "at_once": self.at_once,
            "sessions": self.sessions,
            "session_idle_s": self.idle_s,
        }


def settings(args: Sequence[str]) -> tuple[Settings, list[str]]:
    """The settings in the arguments, and the arguments that are about something else. Raises ValueError."""
    found = Settings()
    rest: list[str] = []
    for argument in args:
        option = next((option for option in _NUMBERS if argument.startswith(option)), None)
        if option is not None:
            name, least, most = _NUMBERS[option]
            text = argument.removeprefix(option)
            if not text.isdecimal() or not least <= int(text) <= most:
                raise ValueError(f"{option} takes a whole number from {least} to {most:,}, not {text!r}")
            found = replace(found, **{name: int(text)})  # type: ignore[arg-type]
        elif argument.startswith(_ENGINE):
            engine = argument.removeprefix(_ENGINE)
            if engine not in get_args(Engine):
                raise ValueError(f"{_ENGINE} takes one of {', '.join(get_args(Engine))}, not {engine!r}")
            found = replace(found, engine=engine)  # type: ignore[arg-type]
        else:
            rest.append(argument)
    return found, rest
