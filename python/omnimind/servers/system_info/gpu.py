"""Graphics processors: NVIDIA's through NVML, others by what their driver shows under `/sys/class/drm`.

NVML opens device files that a confined server may not open later, so `connect` is called while the server is
built; on a machine without an NVIDIA driver that costs one look for a file and imports nothing.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from omnimind.servers.system_info.machine import Facts, Machine, Missing, missing, tried

DRIVER: Final = Path("/dev/nvidiactl")
_VENDORS: Final = {"0x10de": "nvidia", "0x1002": "amd", "0x8086": "intel"}


class Nvml:
    """NVIDIA's management library, opened."""

    def __init__(self, library: Any) -> None:
        self._library = library

    def cards(self) -> list[Facts]:
        """Every card. Raises Missing."""
        nvml = self._library
        count = self._asked(nvml.nvmlDeviceGetCount)
        return [self._card(self._asked(nvml.nvmlDeviceGetHandleByIndex, index)) for index in range(count)]

    def _card(self, card: Any) -> Facts:
        nvml = self._library
        return {
            "vendor": "nvidia",
            "name": tried(lambda: _text(self._asked(nvml.nvmlDeviceGetName, card))),
            "busy_percent": tried(lambda: int(self._asked(nvml.nvmlDeviceGetUtilizationRates, card).gpu)),
            "memory_total_bytes": tried(lambda: int(self._asked(nvml.nvmlDeviceGetMemoryInfo, card).total)),
            "memory_used_bytes": tried(lambda: int(self._asked(nvml.nvmlDeviceGetMemoryInfo, card).used)),
            "celsius": tried(self._asked, nvml.nvmlDeviceGetTemperature, card, nvml.NVML_TEMPERATURE_GPU),
            "watts": tried(lambda: self._asked(nvml.nvmlDeviceGetPowerUsage, card) / 1000),
        }

    def _asked(self, call: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return call(*arguments)
        except self._library.NVMLError as refusal:
            raise Missing(f"NVML says: {refusal}") from None


def connect(driver: Path = DRIVER) -> Nvml | str:
    """NVML if it can be used, else why not."""
    if not driver.exists():
        return f"{driver} does not exist: no NVIDIA driver is loaded"
    try:
        library = importlib.import_module("pynvml")
    except ImportError:
        return "nvidia-ml-py is not installed: pip install nvidia-ml-py"
    try:
        library.nvmlInit()
    except library.NVMLError as refusal:
        return f"NVML cannot be used: {refusal}"
    return Nvml(library)


def facts(machine: Machine, nvml: Nvml | str) -> Facts:
    """All cards, and why NVML has none to tell of if it has none."""
    others = _drm(machine, without="nvidia" if isinstance(nvml, Nvml) else None)
    found = tried(nvml.cards) if isinstance(nvml, Nvml) else missing(nvml)
    cards = [*(found if isinstance(found, list) else []), *others]
    return {
        "gpus": cards or missing(f"no card under {machine.sys / 'class/drm'}, and none known to NVML"),
        "nvml": found if isinstance(found, dict) else {"available": True},
    }


def _drm(machine: Machine, without: str | None) -> list[Facts]:
    found: list[Facts] = []
    for card in machine.folders(machine.sys / "class/drm", "card*"):
        device = card / "device"
        number = tried(machine.word, device / "vendor")
        if "-" in card.name or not isinstance(number, str):
            continue  # a connector of a card, or a display without a graphics processor
        vendor = _VENDORS.get(number, number)
        if vendor == without:
            continue
        found.append(
            {
                "vendor": vendor,
                "name": tried(_product, machine, device),
                "busy_percent": tried(machine.number, device / "gpu_busy_percent"),
                "memory_total_bytes": tried(machine.number, device / "mem_info_vram_total"),
                "memory_used_bytes": tried(machine.number, device / "mem_info_vram_used"),
                "celsius": missing("see sensor_readings"),
                "watts": missing("this driver's power is not read"),
            }
        )
    return found


def _product(machine: Machine, device: Path) -> str:
    try:
        return machine.word(device / "product_name")
    except Missing:
        return f"device {machine.word(device / 'device')}"


def _text(name: str | bytes) -> str:
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else name
