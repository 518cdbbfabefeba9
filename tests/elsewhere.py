"""A second device on a machine that has none: its tensors lie on the CPU and say that they do not.

What CUDA would refuse is refused: tensors of two devices in one operation, `.numpy()` before `.cpu()`. So a tensor made
without its device is found without a GPU, and everything else computes what the CPU computes.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map_only

from agentlab_runner.runners.processes.trainer import Trainer

aten = torch.ops.aten
DEVICE = torch.device("meta")
"""The one other device that every build of torch knows; here its tensors do have values."""
MOVES = (aten._to_copy.default, aten.copy_.default)
INDEXED = (aten.index.Tensor, aten.index_put.default, aten.index_put_.default, aten._index_put_impl_.default)
"""Of these CUDA takes indices on the CPU, for values of its own."""


class Elsewhere(Tensor):
    """A tensor of `DEVICE`."""

    inner: Tensor

    @staticmethod
    def __new__(cls, inner: Tensor) -> "Elsewhere":
        made: Elsewhere = Tensor._make_wrapper_subclass(
            cls,
            inner.size(),
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=DEVICE,
            requires_grad=inner.requires_grad,
        )
        made.inner = inner
        return made

    def __tensor_flatten__(self) -> tuple[list[str], None]:
        return ["inner"], None

    @staticmethod
    def __tensor_unflatten__(inner: dict[str, Tensor], *_: Any) -> "Elsewhere":
        return Elsewhere(inner["inner"])

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        with torch.inference_mode(False), torch.no_grad():
            return _run(func, args, kwargs or {})

    def tolist(self) -> Any:
        return self.inner.tolist()

    def __repr__(self, **_: Any) -> str:
        return f"Elsewhere({self.inner!r})"


class _Factories(TorchDispatchMode):
    """Makes what is asked for on `DEVICE` there."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        with torch.inference_mode(False), torch.no_grad():
            return _run(func, args, kwargs or {})


class _Literals(TorchFunctionMode):
    """`torch.tensor([...], device=DEVICE)` and `tensor[[...]]` would forget the values."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = dict(kwargs or {})
        if func in (torch.tensor, torch.as_tensor) and torch.device(given.get("device") or "cpu") == DEVICE:
            del given["device"]
            return func(*here(args), **given).to(DEVICE)
        if func in (Tensor.__getitem__, Tensor.__setitem__):
            index = tree_map_only(list, torch.tensor, args[1], is_leaf=lambda one: isinstance(one, list))
            args = (args[0], index, *args[2:])
        return func(*args, **given)


def _run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    if func is aten._fused_sdp_choice.default:
        return 0  # plain matrix products: the others are chosen by the device
    with _Factories():
        whole = func.decompose(*args, **kwargs)  # in inference mode composite operations arrive whole
    if whole is not NotImplemented:
        return whole
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
    there = [isinstance(tensor, Elsewhere) for tensor in tensors]
    assert not any(tensor.is_meta and not own for tensor, own in zip(tensors, there, strict=True)), func  # no values
    _check(func, args, tensors, there)
    asked = kwargs.get("device")
    target = any(there) if asked is None else torch.device(asked).type == DEVICE.type
    if func is aten.copy_.default:
        target = there[0]
    plain = {name: value for name, value in kwargs.items() if name != "device"}
    if asked is not None:
        plain["device"] = torch.device("cpu") if target else asked
    inner_args, inner_kwargs = tree_map_only(Elsewhere, lambda tensor: tensor.inner, (args, plain))
    if func is aten._to_copy.default and asked is not None:
        inner_kwargs.pop("non_blocking", None)
    out = func(*inner_args, **inner_kwargs)
    if not target:
        return out
    wrapped = tree_map_only(Tensor, lambda tensor: tensor if isinstance(tensor, Elsewhere) else Elsewhere(tensor), out)
    return return_and_correct_aliasing(func, args, kwargs, wrapped) if any(there) else wrapped


def _check(func: Any, args: Any, tensors: list[Tensor], there: list[bool]) -> None:
    if not any(there) or all(there) or func in MOVES:
        return
    if func in INDEXED and there[0]:
        values = [args[2]] if len(args) > 2 else []
        if all(isinstance(value, Elsewhere) or value.dim() == 0 for value in values):
            return
    strangers = [tensor for tensor, own in zip(tensors, there, strict=True) if not own]
    if torch.Tag.pointwise in func.tags and all(tensor.dim() == 0 for tensor in strangers):
        return
    raise RuntimeError(f"Expected all tensors to be on the same device, but {func} got some on the CPU")


@contextmanager
def elsewhere() -> Iterator[Trainer]:
    """Inside, tensors can be made on `DEVICE` and moved there; yields a trainer that does."""
    before = torch.__future__.get_swap_module_params_on_conversion(), torch.autocast
    torch.__future__.set_swap_module_params_on_conversion(True)  # weights that are shared stay shared
    torch.autocast = lambda kind, **options: before[1]("cpu", **options)  # type: ignore[assignment, misc]
    trainer = Trainer()
    trainer.device = DEVICE
    try:
        with _Factories(), _Literals():
            yield trainer
    finally:
        torch.autocast = before[1]  # type: ignore[misc]
        torch.__future__.set_swap_module_params_on_conversion(before[0])


def here(state: Any) -> Any:
    """A nested state with every tensor on the CPU, as a checkpoint is loaded."""
    return tree_map_only(Elsewhere, lambda tensor: tensor.inner, state)
