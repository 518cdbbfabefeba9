"""The device, precision and number of processes behind one optimiser step; no algorithm."""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Literal

import torch
from accelerate import Accelerator, InitProcessGroupKwargs  # type: ignore[import-untyped]
from accelerate.state import AcceleratorState  # type: ignore[import-untyped]
from torch import Tensor, nn
from torch.optim import Optimizer

from agentlab_runner.runners.errors import RunFailed, UserError
from agentlab_runner.runners.processes import collective as processes
from agentlab_runner.runners.processes.device import decided

PATIENCE = timedelta(days=1)
"""How long a process waits for the others: their episodes may take long, and whoever started them sees one die."""


class Trainer:
    """Where and how precisely gradients are computed.

    Args:
        device: `cpu`, `cuda` (one GPU is chosen with CUDA_VISIBLE_DEVICES), or `auto`: a GPU where there is one.
        precision: what the forward pass computes in; weights and optimiser stay as they are. `auto`: bf16 on a GPU.
        strategy: `single`: one process. `ddp`: several, each with all the weights; they divide the rows of every
            forward pass and average gradients once a step. `fsdp`: the same with the weights split among them.
        processes: how many `agentlab` starts on this machine; null: one a GPU, or 2 where there is none. Under
            `torchrun` it is torchrun that says how many.
        threads: on the CPU, in each process; `auto`: as many as torch has already, which are those that
            `runners.processes.threads` has settled where a run was started by `agentlab`.

    Raises:
        UserError: if the machine or the way the program was started does not give what is asked for.
    """

    def __init__(
        self,
        device: Literal["auto", "cpu", "cuda"] = "cpu",
        precision: Literal["auto", "no", "bf16", "fp16"] = "no",
        strategy: Literal["single", "ddp", "fsdp"] = "single",
        processes: int | None = None,
        threads: int | Literal["auto"] = "auto",
    ) -> None:
        if threads != "auto":
            torch.set_num_threads(threads)
        on, exact = decided(device, precision)
        started = int(os.environ.get("WORLD_SIZE", "1"))
        if processes == started == 1:
            strategy = "single"
        if strategy == "single" and started > 1:
            raise UserError(f"{started} processes were started but trainer.strategy=single uses one; use trainer=ddp")
        if strategy != "single" and "WORLD_SIZE" not in os.environ:
            raise UserError(
                f"trainer.strategy={strategy} runs in several processes; start it with `agentlab train` or `torchrun`"
            )
        local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        if on == "cuda" and local > torch.cuda.device_count():
            raise UserError(
                f"{local} processes were started for {torch.cuda.device_count()} GPUs; "
                f"use trainer.processes={torch.cuda.device_count()}"
            )
        self.strategy = strategy
        if started == 1:  # a second Trainer in this process (a sweep's next job) may want another device or precision
            AcceleratorState._reset_state(reset_partial_state=True)
        self.accelerator = Accelerator(
            cpu=on == "cpu",
            mixed_precision=exact,
            kwargs_handlers=[InitProcessGroupKwargs(timeout=PATIENCE)],
        )
        self.device: torch.device = self.accelerator.device
        if device == "cuda":  # its generator counts from now on: no seed given earlier may undo a restored state
            torch.cuda.init()  # type: ignore[no-untyped-call]
        self._prepared: list[nn.Module] = []

    @property
    def is_main(self) -> bool:
        """Whether this process is the one that writes the run folder."""
        return self.rank == 0

    @property
    def rank(self) -> int:
        """Number of this process, from 0."""
        return int(self.accelerator.process_index)

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
        self._prepared.append(module)
        if self.processes > 1:
            for tensor in [*module.parameters(), *module.buffers()]:
                torch.distributed.broadcast(tensor.data, src=0)
        if self.strategy == "fsdp":
            from agentlab_runner.runners.processes.sharding import split

            split(module, self.device)
        return (module, *optimizers) if optimizers else module

    @contextmanager
    def apart(self) -> Iterator[tuple[int, int]]:
        """Inside, this process uses what was prepared without the others; see `runners.processes.collective.apart`."""
        with processes.apart(self._prepared) as here:
            yield here

    def whole(self, state: Any) -> Any:
        """A state dict as one process has it, whatever is split; all processes call it together."""
        if self.strategy != "fsdp":
            return state
        from agentlab_runner.runners.processes.sharding import whole

        return whole(state)

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
        if self.strategy == "fsdp":
            from agentlab_runner.runners.processes.sharding import split_moments

            split_moments(optimizer)
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
        norm = self._finish_gradients(parameters)
        if max_grad_norm is not None:
            nn.utils.clip_grads_with_norm_(parameters, max_grad_norm, norm)
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

    def _finish_gradients(self, parameters: Sequence[nn.Parameter]) -> Tensor:
        """Make the gradients those of all processes, and give their norm."""
        if self.strategy == "fsdp":
            from agentlab_runner.runners.processes.sharding import is_split, total_norm

            self._average_gradients([parameter for parameter in parameters if not is_split(parameter)])
            return total_norm(parameters)  # FSDP itself has averaged the gradients of what it split
        if self.strategy == "ddp":
            self._average_gradients(parameters)
        return nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])

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

