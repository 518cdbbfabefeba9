"""Evaluations that are made by themselves: what they say they are, and what they are called."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agentlab_runner.runners.files.received import read_object


@dataclass(frozen=True, slots=True)
class Apart:
    """One that belongs to no line of its run's metrics."""

    overrides: Sequence[str] = ()
    """Under which it is made."""
    name: str | None = None
    """What the user calls it, if anything."""

    def says(self) -> dict[str, Any]:
        """What it says of itself in its file."""
        return {"apart": True, "overrides": list(self.overrides)}

    def called(self, name: str, run: Path) -> str:
        """Its name in a run's folder, so that those made otherwise stay.

        Args:
            name: what it is called by its checkpoint.
        """
        called = name = self.name or name
        for number in itertools.count(2):
            file = run / "eval" / f"{called}.json"
            made = read_object(file.parent, file.name) if file.exists() else None
            if made is None or (made.get("apart") is True and made.get("overrides", []) == list(self.overrides)):
                break
            called = f"{name}-{number}"
        return called
