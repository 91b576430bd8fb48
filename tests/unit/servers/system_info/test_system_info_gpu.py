"""Graphics processors: NVML where it is, what drivers show where it is not, and why where neither is."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from omnimind.servers.system_info import gpu
from omnimind.servers.system_info.machine import Machine, is_missing

Lay = Callable[[dict[str, str]], Machine]


class NVMLError(Exception):
    """As the library has it."""


def refuse(*_: object) -> Any:
    raise NVMLError("Not Supported")


def library(**changes: Any) -> SimpleNamespace:
    calls: dict[str, Any] = {
        "NVMLError": NVMLError,
        "NVML_TEMPERATURE_GPU": 0,
        "nvmlInit": lambda: None,
        "nvmlDeviceGetCount": lambda: 1,
        "nvmlDeviceGetHandleByIndex": lambda index: index,
        "nvmlDeviceGetName": lambda _: b"A card",
        "nvmlDeviceGetUtilizationRates": lambda _: SimpleNamespace(gpu=42),
        "nvmlDeviceGetMemoryInfo": lambda _: SimpleNamespace(total=8 * 2**30, used=2**30),
        "nvmlDeviceGetTemperature": lambda *_: 61,
        "nvmlDeviceGetPowerUsage": lambda _: 75_500,
    }
    return SimpleNamespace(**{**calls, **changes})


@pytest.fixture
def driver(tmp_path: Path) -> Path:
    (tmp_path / "nvidiactl").touch()
    return tmp_path / "nvidiactl"


def test_a_card_is_asked_through_nvml(lay: Lay, driver: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", library(nvmlDeviceGetPowerUsage=refuse))
    nvml = gpu.connect(driver)
    assert isinstance(nvml, gpu.Nvml)
    vendor = {"sys/class/drm/card0/device/vendor": "0x10de"}
    (card,) = gpu.facts(lay(vendor), nvml)["gpus"]
    assert (card["name"], card["busy_percent"], card["celsius"]) == ("A card", 42, 61)
    assert (card["memory_total_bytes"], card["memory_used_bytes"]) == (8 * 2**30, 2**30)
    assert card["watts"]["why"] == "NVML says: Not Supported"


def test_why_nvml_cannot_be_used_is_said(
    lay: Lay, driver: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "no NVIDIA driver" in str(gpu.connect(tmp_path / "none"))
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert "pip install nvidia-ml-py" in str(gpu.connect(driver))
    monkeypatch.setitem(sys.modules, "pynvml", library(nvmlInit=refuse))
    assert "Not Supported" in str(gpu.connect(driver))
    found = gpu.facts(lay({}), "no driver")
    assert is_missing(found["gpus"])
    assert found["nvml"]["why"] == "no driver"


def test_nvml_that_fails_later_takes_no_other_card_with_it(
    lay: Lay, driver: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", library(nvmlDeviceGetCount=refuse))
    device = "sys/class/drm/card1/device/"
    files = {device + "vendor": "0x1002\n", device + "gpu_busy_percent": "7\n", device + "device": "0x744c",
             "sys/class/drm/card1-HDMI-A-1/status": "connected"}  # fmt: skip
    found = gpu.facts(lay(files), gpu.connect(driver))
    (card,) = found["gpus"]
    assert (card["vendor"], card["name"], card["busy_percent"]) == ("amd", "device 0x744c", 7)
    assert is_missing(card["memory_used_bytes"])
    assert "Not Supported" in found["nvml"]["why"]
