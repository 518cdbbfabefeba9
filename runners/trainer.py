"""The device, precision and number of processes behind one optimiser step; no algorithm."""

import math
import os
from collections.abc import Iterable, Sequence
from typing import Any, Literal, cast

import torch
from accelerate import Accelerator  # type: ignore[import-untyped]
from accelerate.state import AcceleratorState  # type: ignore[import-untyped]
from torch import Tensor, nn
from torch.optim import Optimizer

from runners.errors import RunFailed, UserError


class Trainer:
    """Where and how precisely gradients are computed.

    Args:
        device: `cpu` or `cuda`; one GPU is chosen with CUDA_VISIBLE_DEVICES.
        precision: what the forward pass computes in; weights and optimiser stay as they are.
        strategy: `single`: one process. `ddp`: as many as `torchrun` started, each with its share of the samples and a
            copy of the weights, gradients averaged once a step. `fsdp`: the same with the weights split among them.

    Raises:
        UserError: if the machine or the way the program was started does not give what is asked for.
    """

    def __init__(
        self,
        device: Literal["cpu", "cuda"] = "cpu",
        precision: Literal["no", "bf16", "fp16"] = "no",
        strategy: Literal["single", "ddp", "fsdp"] = "single",
    ) -> None:
        if device == "cuda" and not torch.cuda.is_available():
            raise UserError(
                "trainer.device=cuda needs a CUDA GPU and a torch built for it, and torch sees none; use trainer=cpu"
            )
        if precision == "fp16" and device == "cpu":
            raise UserError("trainer.precision=fp16 needs a GPU; on the CPU use trainer.precision=no or bf16")
        processes = int(os.environ.get("WORLD_SIZE", "1"))
        if strategy == "single" and processes > 1:
            raise UserError(f"{processes} processes were started but trainer.strategy=single uses one; use trainer=ddp")
        if strategy != "single" and "WORLD_SIZE" not in os.environ:
            raise UserError(
                f"trainer.strategy={strategy} runs in several processes; start it with "
                "`torchrun --nproc-per-node=N -m runners.cli train ...`"
            )
        self.strategy = strategy
        if processes == 1:  # a second Trainer in this process (a sweep's next job) may want another device or precision
            AcceleratorState._reset_state(reset_partial_state=True)
        self.accelerator = Accelerator(cpu=device == "cpu", mixed_precision=precision)
        self.device: torch.device = self.accelerator.device

    @property
    def is_main(self) -> bool:
        """Whether this process is the one that writes the run folder."""
        return bool(self.accelerator.is_main_process)

    @property
    def processes(self) -> int:
        return int(self.accelerator.num_processes)

    def prepare(self, module: nn.Module, *optimizers: Optimizer) -> Any:
        """Move `module` to the device, in place, and make it equal on all processes.

        Make the optimisers afterwards: `fsdp` replaces the parameters. With `fsdp` a module must be used by calling it.

        Returns:
            The same module, or `(module, *optimizers)` if optimisers were given.
        """
        module.to(self.device)
        if self.processes > 1:
            for tensor in [*module.parameters(), *module.buffers()]:
                torch.distributed.broadcast(tensor.data, src=0)
        if self.strategy == "fsdp":
            _split(module)
        return (module, *optimizers) if optimizers else module

    def step(
        self,
        optimizer: Optimizer,
        losses: Iterable[Tensor],
        parameters: Iterable[nn.Parameter],
        max_grad_norm: float | None = None,
    ) -> float:
        """One optimiser step on the **sum** of `losses`.

        Each loss is back-propagated as the iterable yields it, so that one graph lives at a time; a generator that
        yields microbatch losses, each weighed by its share of the batch, gives the gradient of the whole batch.
        Processes exchange gradients once, after the last loss, and use their mean.

        Args:
            optimizer: steps and is zeroed.
            losses: scalars; what a generator computes for them is computed in the trainer's precision.
            parameters: those whose gradients are clipped together.
            max_grad_norm: largest allowed L2 norm of the gradient; None does not clip.

        Returns:
            The L2 norm of the gradient before clipping.

        Raises:
            RunFailed: if that norm is not finite; nothing was changed, so the last checkpoint is worth going back to.
        """
        parameters = list(parameters)
        iterator = iter(losses)
        while True:
            with self.accelerator.autocast():
                loss = next(iterator, None)
            if loss is None:
                break
            self.accelerator.backward(loss)
            del loss
        scaler = self.accelerator.scaler  # fp16 only
        if scaler is not None:
            scaler.unscale_(optimizer)
        if self.strategy == "ddp":
            self._average_gradients(parameters)
        norm = nn.utils.clip_grad_norm_(parameters, math.inf if max_grad_norm is None else max_grad_norm)
        if self.strategy == "fsdp":
            norm = cast(Any, norm).full_tensor()
        if scaler is not None:
            scaler.step(optimizer)  # leaves out a step whose gradients overflowed, and lowers the scale
            scaler.update()
        elif torch.isfinite(norm):
            optimizer.step()
        else:
            optimizer.zero_grad()
            raise RunFailed(
                f"the gradient norm is {float(norm)}: training diverged; go back to the last checkpoint with a smaller "
                "learning rate or gradient clip"
            )
        optimizer.zero_grad()
        return float(norm)

    def _average_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Mean of the gradients over the processes, in one exchange; a process that has none counts as zero."""
        has = torch.tensor([parameter.grad is not None for parameter in parameters], device=self.device)
        somewhere = self.accelerator.reduce(has.int(), reduction="sum").tolist()
        gradients = []
        for parameter, holders in zip(parameters, somewhere, strict=True):
            if holders:
                parameter.grad = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
                gradients.append(parameter.grad)
        if not gradients:
            return
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        mean = self.accelerator.reduce(flat, reduction="mean")
        for gradient, part in zip(gradients, mean.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(part.view_as(gradient))


def _split(module: nn.Module) -> None:
    """Shard the weights over the processes, a block of layers at a time (torch's FSDP2)."""
    from torch.distributed.fsdp import fully_shard

    for child in module.modules():
        if isinstance(child, nn.ModuleList):
            for block in child:
                fully_shard(block)
    fully_shard(module)
