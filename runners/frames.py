"""Pictures at rest: each distinct one once, deflated; most screens come again, and they shrink some twentyfold."""

import hashlib
import zlib
from collections.abc import Iterator, Mapping
from typing import Any
from weakref import WeakValueDictionary, ref

import numpy as np
from numpy.typing import NDArray

from agentlab_runner.runners.types import Observation

LEAST = 4096
"""Bytes from which an array is worth deflating."""


class Frame:
    """One array, deflated. Equal content, shape and type make equal names."""

    __slots__ = ("__weakref__", "_inflated", "dtype", "name", "packed", "shape")

    def __init__(self, name: str, dtype: str, shape: tuple[int, ...], packed: bytes) -> None:
        self.name, self.dtype, self.shape, self.packed = name, dtype, shape, packed
        self._inflated: ref[NDArray[Any]] | None = None

    @classmethod
    def of(cls, array: NDArray[Any], name: str | None = None) -> "Frame":
        packed = zlib.compress(np.ascontiguousarray(array).data, level=1)
        return cls(name or frame_name(array), str(array.dtype), array.shape, packed)

    @classmethod
    def deflated(cls, packed: bytes, dtype: str, shape: tuple[int, ...]) -> "Frame":
        """Of what a frame holds, but for its name."""
        frame = cls("", dtype, shape, packed)
        frame.name = frame_name(frame.array())
        return frame

    def __reduce__(self) -> tuple[Any, ...]:
        return Frame, (self.name, self.dtype, self.shape, self.packed)

    def array(self) -> NDArray[Any]:
        """The array, read-only; the same one for as long as somebody holds it."""
        array = self._inflated() if self._inflated is not None else None
        if array is None:
            array = np.frombuffer(zlib.decompress(self.packed), self.dtype).reshape(self.shape)
            self._inflated = ref(array)
        return array


class Kept(Mapping[str, Any]):
    """An observation whose pictures are at rest; reading one inflates it."""

    __slots__ = ("entries",)

    def __init__(self, entries: Mapping[str, Any]) -> None:
        self.entries = entries

    def __getitem__(self, name: str) -> Any:
        value = self.entries[name]
        return value.array() if isinstance(value, Frame) else value

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def __repr__(self) -> str:
        return f"Kept({self.entries!r})"


class Frames:
    """Every frame that is still in use, by name."""

    def __init__(self) -> None:
        self._frames: WeakValueDictionary[str, Frame] = WeakValueDictionary()

    def __len__(self) -> int:
        return len(self._frames)

    def keep(self, observation: Observation) -> Kept:
        """The observation with its large arrays at rest, those seen before shared."""
        return Kept({name: self._at_rest(value) for name, value in _entries(observation).items()})

    def _at_rest(self, value: Any) -> Any:
        if isinstance(value, Frame):
            return self._frames.setdefault(value.name, value)
        if not isinstance(value, np.ndarray):
            return value
        if value.nbytes < LEAST:
            return value.copy()
        name = frame_name(value)
        frame = self._frames.get(name)
        if frame is None:
            self._frames[name] = frame = Frame.of(value, name)
        return frame


def frame_name(array: NDArray[Any]) -> str:
    """Names an array by its content, shape and type."""
    digest = hashlib.sha256(f"{array.dtype}{array.shape}".encode())
    digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()[:32]


def name_of(observation: Observation) -> str:
    """Equal for observations equal in every part, of which none is inflated."""
    return "\x00".join(_name(value) for _, value in sorted(_entries(observation).items()))


def frame_of(observation: Observation, key: str) -> str:
    """The name of one array of an observation, which is not inflated for it."""
    return _name(_entries(observation)[key])


def at_rest(observation: Observation, key: str) -> Frame:
    """One array of an observation as a frame, which is the one that is held where it is at rest already."""
    value = _entries(observation)[key]
    return value if isinstance(value, Frame) else Frame.of(np.asarray(value))


def shape_of(observation: Observation, key: str) -> tuple[int, ...]:
    """The shape of one array of an observation, which is not inflated for it."""
    shape: tuple[int, ...] = _entries(observation)[key].shape
    return shape


def _entries(observation: Observation) -> Mapping[str, Any]:
    """An observation's parts as they are held, frames at rest among them."""
    return observation.entries if isinstance(observation, Kept) else observation


def _name(value: Any) -> str:
    if isinstance(value, str):
        return value
    return value.name if isinstance(value, Frame) else frame_name(np.asarray(value))
