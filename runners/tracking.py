"""Where a run's numbers are mirrored: W&B, or nowhere."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from runners.checkpoint import Checkpoints
from runners.manifest import Manifest
from runners.types import Metrics


class Tracker(Protocol):
    """Told everything a run records, as it is recorded."""

    clips: int
    """How many of each set of recorded episodes it wants as GIFs."""

    def start(self, folder: Path, manifest: Manifest, config: Mapping[str, Any]) -> None: ...
    def log(self, metrics: Metrics, step: int) -> None: ...
    def table(self, name: str, result: Mapping[str, Any], step: int) -> None: ...
    def episodes(self, name: str, gifs: Sequence[bytes], step: int) -> None: ...
    def finish(self, status: str, checkpoints: Checkpoints) -> None: ...


class NullTracker:
    """Tells nobody."""

    clips = 0

    def start(self, folder: Path, manifest: Manifest, config: Mapping[str, Any]) -> None: ...
    def log(self, metrics: Metrics, step: int) -> None: ...
    def table(self, name: str, result: Mapping[str, Any], step: int) -> None: ...
    def episodes(self, name: str, gifs: Sequence[bytes], step: int) -> None: ...
    def finish(self, status: str, checkpoints: Checkpoints) -> None: ...
