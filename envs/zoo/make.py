"""Makes a parallel environment as PettingZoo's convention has it: `MODULE.parallel_env(**kwargs)`."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any


def make(id: str, kwargs: Mapping[str, Any] | None = None, worker: int = 0) -> Any:
    """
    Args:
        id: dotted name of the module, as `mpe2.simple_spread_v3` or `pettingzoo.butterfly.pistonball_v6`.
        kwargs: of its `parallel_env`.
        worker: number of this instance; all are alike.

    Raises:
        ValueError: if there is no such environment, or it does not take these arguments; the sentence names the fix.
    """
    try:
        module = import_module(id)
    except ImportError as fault:
        missing = f" ({fault})" if str(fault) != f"No module named {id!r}" else ""
        raise ValueError(f"env.id={id} cannot be imported{missing}; install the package that has it") from fault
    maker = getattr(module, "parallel_env", None)
    if maker is None:
        near = ", ".join(name for name in dir(module) if name.rpartition("_v")[2].isdecimal())
        hint = f"; it has {near}" if near else "; name a module that has a parallel_env, as mpe2.simple_spread_v3"
        raise ValueError(f"env.id={id} is no environment of PettingZoo's parallel API{hint}")
    try:
        return maker(**(kwargs or {}))
    except TypeError as fault:
        raise ValueError(f"{id}.parallel_env does not take env.kwargs={dict(kwargs or {})}: {fault}") from fault
