"""Several processes that compute as one: what they exchange, and how rows are divided among them.

All of them run the same program on the same data with the same random numbers, so that an agent need not know how many
there are. Two things are divided: the rows of a policy's forward pass (`divided`), and the episodes of a rollout, which
each process plays `apart`. With one process everything here does nothing.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import fields
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from agentlab_runner.runners.errors import RunFailed
from agentlab_runner.runners.processes.rng import forked

T = TypeVar("T")

_apart = False
_unsplit: set[int] = set()
"""Modules, by id, whose weights are whole at the moment."""


def count() -> int:
    """How many processes compute in step with this one, itself included; 1 inside `apart`."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() and not _apart else 1


def rank() -> int:
    """Number of this process, from 0."""
    return dist.get_rank() if count() > 1 else 0


def gather(value: T) -> list[T]:
    """The value of every process, by rank."""
    if count() == 1:
        return [value]
    values: list[Any] = [None] * count()
    dist.all_gather_object(values, value)
    return values


def from_first(value: T) -> T:
    """What process 0 has, for all."""
    if count() == 1:
        return value
    box = [value]
    dist.broadcast_object_list(box, src=0)
    return box[0]


@contextmanager
def apart(modules: Sequence[nn.Module] = ()) -> Iterator[tuple[int, int]]:
    """Inside, this process works on its own, with random numbers of its own; afterwards all go on with the same ones.

    Args:
        modules: used inside; weights that are split among the processes are whole there.

    Yields:
        (rank, count) as they are outside.
    """
    global _apart
    if count() == 1:
        yield 0, 1
        return
    here = rank(), count()
    with ExitStack() as stack:
        for module in modules:
            stack.enter_context(unsplit(module))
        stack.enter_context(_own_chance())
        _apart = True
        try:
            yield here
        finally:
            _apart = False


def divided(compute: Callable[..., T], *rows: Sequence[Any], **options: Any) -> T:
    """`compute(*rows, **options)`, each process taking its part of the rows.

    Every process then has the result for all rows, and whatever loss it makes of it, the **mean** of the gradients over
    the processes is the gradient that one process would have found.

    Args:
        compute: gives a dataclass of tensors whose first axis counts rows; how wide they are may not depend on which
            rows are asked for together.
        rows: sequences of one length, at least 1.

    Raises:
        RunFailed: if the processes were not given the same number of rows.
    """
    size = count()
    if size == 1:
        return compute(*rows, **options)
    number = len(rows[0])
    if len(set(gather(number))) > 1:
        raise RunFailed("the processes no longer agree on what to learn from; go back to the last checkpoint")
    each = -(-number // size)
    mine = [min(i, number - 1) for i in range(rank() * each, (rank() + 1) * each)]  # some have the last row once more
    with _own_chance():
        own: Any = compute(*([part[i] for i in mine] for part in rows), **options)
    join: Any = _AllRows.apply
    whole = {field.name: join(getattr(own, field.name), number) for field in fields(own)}
    return type(own)(**whole)  # type: ignore[no-any-return]


class _AllRows(torch.autograd.Function):
    """The rows of all processes; the gradient of a process's own rows comes back times the number of processes."""

    @staticmethod
    def forward(context: Any, own: Tensor, number: int) -> Tensor:
        context.number, context.each = number, len(own)
        parts = [torch.empty_like(own) for _ in range(count())]
        dist.all_gather(parts, own.contiguous())
        return torch.cat(parts)[:number]

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (gradient,) = gradients
        start = rank() * context.each
        own = gradient.new_zeros(context.each, *gradient.shape[1:])
        part = gradient[start : start + context.each]
        own[: len(part)] = part * count()
        return own, None


@contextmanager
def _own_chance() -> Iterator[None]:
    seed = int(torch.randint(2**31, ()))  # the same everywhere
    with forked(seed + rank()):
        yield


@contextmanager
def unsplit(module: nn.Module) -> Iterator[None]:
    """Inside, weights that FSDP has split are whole, and a forward pass exchanges nothing; all processes enter."""
    parts: list[Any] = [part for part in module.modules() if hasattr(part, "unshard")]
    if not parts or id(module) in _unsplit:
        yield
        return
    for part in parts:
        part.unshard()
        part.set_reshard_after_forward(False, recurse=False)
    _unsplit.add(id(module))
    try:
        yield
    finally:
        _unsplit.remove(id(module))
        for part in parts:
            part.set_reshard_after_forward(True, recurse=False)
            part.reshard()
