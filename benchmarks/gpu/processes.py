"""`ddp` and `fsdp` with one process: the library that connects GPUs, as far as one GPU can show it."""

import os
import socket
from collections.abc import Iterator

import torch
import torch.distributed as dist

from agentlab_runner.runners.errors import RunFailed
from agentlab_runner.runners.processes.trainer import Trainer
from benchmarks.figures import Figure
from benchmarks.gpu import works
from benchmarks.gpu.device import exact, figure
from benchmarks.gpu.equal import apart, gradient


def check(device: torch.device, quick: bool) -> Iterator[Figure]:
    """A gradient through each strategy against that of `single`, and what processes send each other."""
    exact()
    kind = "cuda" if device.type == "cuda" else "cpu"
    with works.phone_model() as folder:
        work = works.phone(folder, 4)
        alone = gradient(Trainer(device=kind), work)  # type: ignore[arg-type]
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        os.environ |= {"WORLD_SIZE": "1", "RANK": "0", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1"}
        os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        try:
            trainer = Trainer(device=kind, strategy="ddp")  # type: ignore[arg-type]
            backend = dist.get_backend()
            if backend != ("nccl" if kind == "cuda" else "gloo"):
                raise RunFailed(f"the processes of a {kind} trainer speak {backend}")
            loss, grad = apart(gradient(trainer, work), alone)
            yield figure(f"ddp over {backend}, loss", loss, bar="<= 1e-5")
            yield figure(f"ddp over {backend}, gradient", grad, bar="<= 1e-5")
            yield figure(f"objects and rows sent over {backend}", _sent(trainer.device), "of 4", ">= 4")
            grad = _split(kind, work, alone)
            yield figure(f"fsdp over {backend}, gradient's norm", grad, bar="<= 1e-5")
        finally:
            if dist.is_initialized():
                dist.destroy_process_group()


def _sent(device: torch.device) -> int:
    """How many of the kinds of message that a run sends arrive as they were."""
    told: list[object] = [{"episode": b"\x00" * 100_000, "names": ["a", "b"]}]
    objects: list[object] = [None]
    dist.all_gather_object(objects, told[0])
    box = list(told)
    dist.broadcast_object_list(box, src=0)
    arrived = [objects == told, box == told]
    for rows in (torch.rand(5, 3, device=device), torch.rand(5, 3, device=device) > 0.5):  # log-probabilities, a mask
        parts = [torch.empty_like(rows)]
        dist.all_gather(parts, rows)
        arrived.append(torch.equal(parts[0], rows))
    return sum(arrived)


def _split(kind: str, work: works.Work, alone: tuple[float, torch.Tensor]) -> float:
    """Relative difference of the gradient's norm where weights are split, over all processes, of which there is one."""
    trainer = Trainer(device=kind, strategy="fsdp")  # type: ignore[arg-type]
    module, loss = work(trainer.device)
    trainer.prepare(module)
    parameters = [p for p in module.parameters() if p.requires_grad]
    norm = trainer.step(torch.optim.SGD(parameters, lr=0.0), (loss() for _ in range(1)), parameters)
    return abs(norm / float(alone[1].norm()) - 1.0)
