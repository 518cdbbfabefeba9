"""The device under check: what it is, how its time and memory are taken, and figures of it."""

import time
from typing import Any

import torch

from benchmarks.figures import Figure


class Skipped(Exception):
    """This part, or what is left of it, cannot be done here; the message says why."""


def describe(device: torch.device) -> dict[str, Any]:
    """The device that figures are of, and the libraries between it and us."""
    if device.type != "cuda":
        return {"name": "CPU", "torch": torch.__version__}
    properties = torch.cuda.get_device_properties(device)
    return {
        "name": properties.name,
        "memory_gb": round(properties.total_memory / 1e9, 1),
        "capability": f"{properties.major}.{properties.minor}",
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),  # type: ignore[no-untyped-call]
        "nccl": ".".join(map(str, torch.cuda.nccl.version())),  # type: ignore[no-untyped-call]
    }


def exact() -> None:
    """No TensorFloat-32 in what is called float32: its ten bits of fraction would hide a fault of a thousandth."""
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False


class Lap:
    """Seconds since it was made, once the device has done what it was told."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._began = self._now()

    def _now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()

    def read(self) -> float:
        return self._now() - self._began


def peak_memory(device: torch.device) -> list[Figure]:
    """The most that tensors have taken since the process began; nothing on a CPU."""
    if device.type != "cuda":
        return []
    return [figure("peak memory", torch.cuda.max_memory_allocated() / 2**20, "MiB")]


def figure(name: str, measured: float, unit: str = "", bar: str = "", **details: Any) -> Figure:
    return {"figure": name, "measured": float(measured), "unit": unit, "bar": bar, "details": details}
