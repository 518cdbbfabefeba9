"""Weights split among processes (FSDP2), so that nothing else notices: a state dict holds them whole, both ways."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed import get_world_size
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.optim import Optimizer


def split(module: nn.Module, device: torch.device) -> None:
    """Shard the weights over the processes, if the module has a stack of blocks; one without is too small to bother.

    `device` is of the kind that all of them compute on.
    A block of the largest stack is gathered when it computes, everything else for the whole of `module(...)`: what
    lies outside that stack (a vision tower) may be used a different number of times in each process.
    `module.state_dict()` then gathers: all processes call it together, and it is the one of an unsplit module.
    """
    stacks = [child for child in module.modules() if isinstance(child, nn.ModuleList) and len(child)]
    if not stacks:
        return
    mesh = init_device_mesh(device.type, (get_world_size(),))  # FSDP's own would take a GPU wherever there is one
    for block in max(stacks, key=lambda stack: sum(parameter.numel() for parameter in stack.parameters())):
        fully_shard(block, mesh=mesh)
    fully_shard(module, mesh=mesh)
    hooked: Any = module
    hooked.register_state_dict_post_hook(_gather)
    hooked.register_load_state_dict_pre_hook(_scatter)


def whole(state: Any) -> Any:
    """A nested state with every split tensor gathered, on the CPU; all processes call it together."""
    if isinstance(state, DTensor):
        return state.full_tensor().cpu()
    if isinstance(state, dict):
        return type(state)((key, whole(value)) for key, value in state.items())
    if isinstance(state, list | tuple):
        return type(state)(map(whole, state))
    return state


def is_split(parameter: Tensor) -> bool:
    return isinstance(parameter, DTensor)


def total_norm(parameters: Sequence[nn.Parameter]) -> Tensor:
    """L2 norm of the gradients of parameters some of which are split; equal in all processes."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    norm = nn.utils.get_total_norm([gradient for gradient in gradients if not is_split(gradient)])
    of_split = nn.utils.get_total_norm([gradient for gradient in gradients if is_split(gradient)])
    parts = [part.full_tensor() if isinstance(part, DTensor) else part for part in (norm, of_split)]
    norms: Tensor = torch.stack([part.to(parts[1].device) for part in parts])
    return norms.square().sum().sqrt()


def split_moments(optimizer: Optimizer) -> None:
    """Split what an optimiser loaded whole the way its parameters are."""
    for parameter, moments in optimizer.state.items():
        for name, moment in moments.items():
            if isinstance(moment, Tensor) and moment.shape == parameter.shape:
                moments[name] = _like(parameter, moment)


def _gather(module: nn.Module, state: dict[str, Any], prefix: str, metadata: Any) -> None:
    for name in state:
        state[name] = whole(state[name])


def _scatter(module: nn.Module, state: dict[str, Any], prefix: str, *others: Any) -> None:
    for name, parameter in module.named_parameters():
        if prefix + name in state:
            state[prefix + name] = _like(parameter, state[prefix + name])


def _like(parameter: Tensor, value: Tensor) -> Tensor:
    if not isinstance(parameter, DTensor) or is_split(value):
        return value
    with torch.no_grad():
        there = value.to(parameter.device, parameter.dtype)
        return distribute_tensor(there, parameter.device_mesh, parameter.placements)
