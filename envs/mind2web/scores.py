"""`scores_all_data.pkl`: where a ranker put each candidate. A pickle may run anything, so no class of one is made."""

import math
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

FILE = "scores_all_data.pkl"


class _Dtype:
    """Stands for `numpy.dtype` while a pickle is read: numbers of one kind, and nothing else."""

    def __init__(self, name: Any, *_: Any) -> None:
        if not (isinstance(name, str) and np.dtype(name).kind in "biuf"):
            raise pickle.UnpicklingError(f"it holds an array of {name!r}")
        self.name, self.order = name, "="

    def __setstate__(self, state: Any) -> None:
        self.order = state[1] if isinstance(state, tuple) and len(state) > 1 and state[1] in ("<", ">") else "="

    def numbers(self, content: Any) -> list[Any]:
        if not isinstance(content, bytes | bytearray):
            raise pickle.UnpicklingError("it holds numbers that are no bytes")
        kind: Any = np.dtype(self.name)
        found: list[Any] = np.frombuffer(content, kind.newbyteorder(self.order)).tolist()
        return found


class _Array(list[Any]):
    """Stands for `numpy.ndarray`: its numbers, one after the other."""

    def __setstate__(self, state: Any) -> None:
        if not (isinstance(state, tuple) and len(state) == 5 and isinstance(state[2], _Dtype)):
            raise pickle.UnpicklingError("it holds an array of another kind")
        self[:] = state[2].numbers(state[4])


def _buffer(content: Any, kind: Any, *_: Any) -> list[Any]:
    if not isinstance(kind, _Dtype):
        raise pickle.UnpicklingError("it holds an array of another kind")
    return kind.numbers(content)


def _scalar(kind: Any, content: Any) -> Any:
    if not isinstance(kind, _Dtype) or len(numbers := kind.numbers(content)) != 1:
        raise pickle.UnpicklingError("it holds a number of another kind")
    return numbers[0]


def _bytes(text: Any, encoding: Any) -> bytes:
    if not isinstance(text, str) or encoding != "latin1":
        raise pickle.UnpicklingError("it holds bytes of another kind")
    return text.encode("latin1")


_PLAIN = (dict, list, tuple, set, frozenset, int, float, bool, str)
_KNOWN: Mapping[tuple[str, str], Callable[..., Any]] = {
    **{(module, kind.__name__): kind for kind in _PLAIN for module in ("builtins", "__builtin__")},
    ("_codecs", "encode"): _bytes,
    **{(f"numpy.{core}.multiarray", "scalar"): _scalar for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "_reconstruct"): lambda *_: _Array() for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _buffer for core in ("core", "_core")},
    ("numpy", "dtype"): _Dtype,
    ("numpy", "ndarray"): _Array,
}
"""All that a pickle may call."""


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _KNOWN:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return _KNOWN[module, name]


class Ranks:
    """The rank of every candidate of every step, 0 for the most likely one.

    Raises:
        ValueError: if the folder has no such file, or one that holds anything but plain values and numbers.
    """

    def __init__(self, folder: Path) -> None:
        self.file = folder / FILE
        try:
            with self.file.open("rb") as file:
                content = _Reader(file).load()  # a list of names is all that it can call
        except FileNotFoundError:
            raise ValueError(f"{folder} has no {FILE}; put that of the Mind2Web data there") from None
        except Exception as fault:  # whatever a damaged pickle makes its reader say
            raise ValueError(f"{self.file} cannot be read ({fault}); it must hold plain values and numbers") from None
        ranks = content.get("ranks") if isinstance(content, dict) else None
        if not isinstance(ranks, dict):
            raise ValueError(f"{self.file} has no `ranks`; it must be the file of the Mind2Web data")
        self._ranks = ranks

    def of(self, step: str, candidate: str) -> float:
        """
        Args:
            step: annotation and action, with `_` between.
            candidate: id of the element.

        Raises:
            ValueError: if it has none.
        """
        entry = self._ranks.get(step)
        rank = entry.get(candidate) if isinstance(entry, dict) else None
        if isinstance(rank, bool) or not isinstance(rank, int | float) or not math.isfinite(rank):
            lacks = f"element {candidate} of {step}" if isinstance(entry, dict) else step
            raise ValueError(f"{self.file} has no rank for {lacks}; take the file that belongs to these samples")
        return rank
