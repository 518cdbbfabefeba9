"""Checkpoints on disk: written whole, checked by sha256, read without running any code from the file.

One checkpoint is two files, `000012-SUM.pt` (the state) and `000012.json` (step, score, sha256). The second is written
last and by rename, and that is the moment at which the checkpoint exists.
`torch` is imported only where a state is written or read.
"""

import hashlib
import json
import math
import random
import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import NoneType
from typing import Any

import numpy as np

from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.files.atomic import TEMPORARY, atomic_file, write_atomic
from agentlab_runner.runners.files.received import read_object
from agentlab_runner.runners.files.tensors import read_tensors


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What is known of a checkpoint without loading it."""

    step: int
    score: float | None
    """Higher is better; None if it was not evaluated."""
    file: str
    sha256: str
    size: int
    """Bytes."""


class Checkpoints:
    """The checkpoints of one run: the best and the last `keep` are kept, older ones are deleted.

    Args:
        folder: where they lie; made when the first is written.
        keep: how many of the newest to keep, at least 1.
    """

    def __init__(self, folder: Path, keep: int = 2) -> None:
        if not isinstance(keep, int) or keep < 1:
            raise UserError(f"checkpoint.keep is {keep!r}, but a count of at least 1 is needed to resume")
        self.folder = folder
        self.keep = keep

    def all(self) -> list[Checkpoint]:
        """Every checkpoint, oldest first. One whose description is damaged is listed too, and refused when loaded."""
        found = (_describe(path) for path in self.folder.glob("*.json"))
        return sorted((known for known in found if known is not None), key=lambda checkpoint: checkpoint.step)

    def save(self, step: int, state: Mapping[str, Any], score: float | None = None) -> Checkpoint:
        """Write a checkpoint, then delete those no longer kept.

        Args:
            step: its number; an existing checkpoint of that number is replaced.
            state: nested dicts, lists and tuples of tensors, numbers, strings, bytes and None.
            score: higher is better; None or nan counts as not evaluated.

        Raises:
            TypeError: naming the entry, if `state` holds anything that could not be read back safely.
            RunFailed: if the disk is full; earlier checkpoints are intact.
        """
        import torch

        _refuse_unsafe(state, "state")
        self.folder.mkdir(parents=True, exist_ok=True)
        plain = self.folder / f"{step:06d}.pt"
        with atomic_file(plain) as file:
            try:
                torch.save(state, file)
            except RuntimeError as error:  # torch hides the operating system's error behind one of its own
                raise error.__context__ if isinstance(error.__context__, OSError) else error from None
            file.flush()
            digest = _sha256(Path(file.name))
        final = plain.rename(self.folder / f"{step:06d}-{digest[:12]}.pt")
        scored = None if score is None or math.isnan(score) else float(score)
        checkpoint = Checkpoint(step, scored, final.name, digest, final.stat().st_size)
        write_atomic(self.folder / f"{step:06d}.json", json.dumps(asdict(checkpoint)))
        self._delete_others()
        return checkpoint

    def find(self, which: str) -> Checkpoint:
        """The checkpoint called `last`, `best` or by its number.

        Raises:
            UserError: if there is none of that name; the message lists those there are.
        """
        kept = self.all()
        if not kept:
            raise UserError(f"{self.folder} holds no checkpoint yet; train first, or evaluate with checkpoint=none")
        if which == "last":
            return kept[-1]
        if which == "best":
            best = _best(kept)
            if best is None:
                raise UserError(f"no checkpoint in {self.folder} was evaluated, so none is best; use checkpoint=last")
            return best
        for checkpoint in kept:
            if which.isdecimal() and checkpoint.step == int(which):
                return checkpoint
        steps = ", ".join(str(checkpoint.step) for checkpoint in kept)
        raise UserError(f"no checkpoint {which!r} in {self.folder}; expected best, last or one of {steps}")

    def load(self, which: str = "last") -> tuple[int, Any]:
        """(step, state) of a checkpoint, tensors on the CPU.

        Raises:
            UserError: if it is missing or damaged; a damaged one is named, with the newest sound one to use instead.
        """
        checkpoint = self.find(which)
        if not self.is_sound(checkpoint):
            older = next((c.step for c in reversed(self.all()) if c != checkpoint and self.is_sound(c)), None)
            advice = f"use checkpoint={older} instead" if older is not None else (
                "no other checkpoint is left: put it back, or start a new run"
            )
            raise UserError(
                f"checkpoint {checkpoint.step} is damaged ({self.folder / checkpoint.file} "
                f"is not what was written); {advice}"
            )
        return checkpoint.step, read_tensors(self.folder / checkpoint.file)

    def is_sound(self, checkpoint: Checkpoint) -> bool:
        """Whether the file on disk is, bit for bit, the one that was written."""
        try:
            return _sha256(self.folder / checkpoint.file) == checkpoint.sha256
        except OSError:
            return False

    def drop_after(self, step: int) -> None:
        """Delete the checkpoints newer than `step`."""
        for checkpoint in self.all():
            if checkpoint.step > step:
                self._delete(checkpoint)

    def sweep(self) -> None:
        """Delete what a killed process left half-written; a state whose description is damaged is not that."""
        known = {checkpoint.file for checkpoint in self.all()}
        undescribed = {f"{checkpoint.step:06d}" for checkpoint in self.all() if not checkpoint.sha256}
        for path in self.folder.glob(f".*{TEMPORARY}"):
            path.unlink(missing_ok=True)
        for path in self.folder.glob("*.pt"):
            if path.name not in known and re.split(r"[-.]", path.name)[0] not in undescribed:
                path.unlink(missing_ok=True)

    def _delete_others(self) -> None:
        kept = self.all()
        best = _best(kept)
        for checkpoint in kept[: -self.keep]:
            if checkpoint != best:
                self._delete(checkpoint)
        self.sweep()

    def _delete(self, checkpoint: Checkpoint) -> None:
        (self.folder / f"{checkpoint.step:06d}.json").unlink(missing_ok=True)
        (self.folder / checkpoint.file).unlink(missing_ok=True)


def rng_state() -> dict[str, Any]:
    """The state of Python's, NumPy's and torch's global generators, in types a checkpoint may hold.

    Of GPUs the one this process computes on has its generator saved; a process that uses none does not wake any.
    """
    import torch

    numpy = np.random.get_state(legacy=False)
    return {
        "python": random.getstate(),
        "numpy": {
            "key": numpy["state"]["key"].tolist(),
            "position": int(numpy["state"]["pos"]),
            "has_gauss": int(numpy["has_gauss"]),
            "gauss": float(numpy["gauss"]),
        },
        "torch": torch.get_rng_state(),
        "cuda": [torch.cuda.get_rng_state()] if torch.cuda.is_initialized() else [],  # type: ignore[no-untyped-call]
    }


def restore_rng(state: Mapping[str, Any]) -> None:
    """Put the global generators back to `rng_state()`, whichever GPU it was of; without one its state is ignored."""
    import torch

    random.setstate(state["python"])
    numpy = state["numpy"]
    key = np.array(numpy["key"], dtype=np.uint32)
    np.random.set_state(("MT19937", key, numpy["position"], numpy["has_gauss"], numpy["gauss"]))
    torch.set_rng_state(state["torch"])
    if state["cuda"] and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.set_rng_state(state["cuda"][0])


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _best(checkpoints: list[Checkpoint]) -> Checkpoint | None:
    """The highest score; of equals the newest."""
    scored = [(c.score, c.step, c) for c in checkpoints if c.score is not None]
    return max(scored, key=lambda entry: entry[:2])[2] if scored else None


def _describe(path: Path) -> Checkpoint | None:
    """None if it is gone: a run that is being written deletes checkpoints while another process looks at them."""
    try:
        known = Checkpoint(**read_object(path.parent, path.name))
        if _is_right(known, path):
            return known
    except FileNotFoundError:
        return None
    except (UserError, TypeError):
        pass
    step = int(path.stem) if re.fullmatch(r"\d{1,18}", path.stem, re.ASCII) else -1
    return Checkpoint(step, None, path.name, sha256="", size=0)


def _is_right(known: Checkpoint, path: Path) -> bool:
    """Whether a description says of itself what its name says, and names a file beside it and no other."""
    kinds = {"step": (int,), "score": (int, float, NoneType), "file": (str,), "sha256": (str,), "size": (int,)}
    if any(type(getattr(known, name)) not in kind for name, kind in kinds.items()):
        return False
    return path.name == f"{known.step:06d}.json" and re.fullmatch(r"[\w-][\w.-]*\.pt", known.file) is not None


_LEAVES = (bool, int, float, str, bytes, type(None))


def _refuse_unsafe(value: Any, name: str) -> None:
    """Exact types only: a NumPy scalar is a `float` to isinstance, but cannot be read back with weights_only."""
    import torch

    kind = type(value)
    if kind in _LEAVES or isinstance(value, torch.Tensor):
        return
    if kind in (dict, OrderedDict):
        for key, entry in value.items():
            if type(key) not in _LEAVES and type(key) is not tuple:
                raise TypeError(f"checkpoint {name} has a key of type {kind.__name__}; use a string or a number")
            _refuse_unsafe(entry, f"{name}[{key!r}]")
    elif kind in (list, tuple):
        for index, entry in enumerate(value):
            if type(entry) not in _LEAVES:
                _refuse_unsafe(entry, f"{name}[{index}]")
    else:
        raise TypeError(
            f"checkpoint {name} is a {kind.__module__}.{kind.__qualname__}, which cannot be read back safely; "
            "convert it to tensors, numbers, strings, lists or dicts"
        )
