"""`torch.compile` on and off: a training step of the tiny policy, which nothing here compiles by itself."""

from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

from agentlab_runner.runners.processes.trainer import Trainer
from benchmarks.figures import Figure
from benchmarks.gpu import works
from benchmarks.gpu.device import Lap, exact, figure
from benchmarks.gpu.equal import apart, gradient

ROUNDS = 20


def check(device: torch.device, quick: bool) -> Iterator[Figure]:
    """Seconds of a step and of the first one, and the compiled gradient against the plain one."""
    exact()
    kind = "cuda" if device.type == "cuda" else "cpu"
    backend = "aot_eager" if quick else "inductor"
    with works.phone_model() as folder:
        plain, rows = works.phone(folder, 4 if quick else 16), {}

        def compiled(where: torch.device) -> tuple[nn.Module, Callable[[], Tensor]]:
            policy, loss = plain(where)
            whole: Any = policy
            whole.model.get_decoder().compile(backend=backend)
            return policy, loss

        for name, work in (("off", plain), ("on", compiled)):
            first = Lap(device)
            rows[name] = gradient(Trainer(device=kind), work)  # type: ignore[arg-type]
            yield figure(f"first step, torch.compile {name}", first.read(), "s", backend=backend)
            seconds = _seconds(device, kind, work, 2 if quick else ROUNDS)
            yield figure(f"a step, torch.compile {name}", 1000 * seconds, "ms")
        loss, grad = apart(rows["on"], rows["off"])
        yield figure("compiled against plain, loss", loss, bar="<= 1e-4")
        yield figure("compiled against plain, gradient", grad, bar="<= 1e-3")


def _seconds(device: torch.device, kind: str, work: works.Work, rounds: int) -> float:
    """Median seconds of a step."""
    trainer = Trainer(device=kind)  # type: ignore[arg-type]
    module, loss = work(trainer.device)
    trainer.prepare(module)
    parameters = list(module.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=1e-6)
    taken = []
    for _ in range(rounds + 1):
        lap = Lap(device)
        trainer.step(optimizer, (loss() for _ in range(1)), parameters)
        taken.append(lap.read())
    return median(taken[1:])
