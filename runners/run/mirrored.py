"""An evaluation of a run that exists reaches that run's tracker.

It is told at the end, in one go: W&B knows one writer of a run, so an evaluation that is made while the run trains may
not hold a connection of its own. Whoever trains has the lock; with it the evaluation is sent, without it kept.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO, Any

from omegaconf import DictConfig, OmegaConf

from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.run.folder import Run
from agentlab_runner.runners.run.lock import take_lock
from agentlab_runner.runners.run.tracking import NullTracker, Tracker, make_tracker


@contextmanager
def mirrored(run: Run, logger: DictConfig | None) -> Iterator[None]:
    """Inside, an evaluation of `run`; `logger` is the config node of the tracker that is told of it at the end."""
    tracker = make_tracker(logger)
    kept = _Kept(tracker.clips)
    run.tracker = kept
    try:
        yield
    finally:
        run.tracker = NullTracker()
    if not kept.told or isinstance(tracker, NullTracker):
        return
    status, lock = run.status, _lock(run.path)
    with lock or nullcontext():
        config = OmegaConf.to_container(run.config, resolve=True)
        assert isinstance(config, dict)
        tracker.start(run.path, run.manifest, {str(key): value for key, value in config.items()}, beside=lock is None)
        for tell in kept.told:
            tell(tracker)
        tracker.finish(status, None)


class _Kept(NullTracker):
    """Keeps what it is told for another."""

    def __init__(self, clips: int) -> None:
        self.clips = clips
        self.told: list[Callable[[Tracker], None]] = []

    def table(self, name: str, result: Mapping[str, Any]) -> None:
        self.told.append(lambda tracker: tracker.table(name, result))

    def episodes(self, name: str, gifs: Sequence[bytes]) -> None:
        self.told.append(lambda tracker: tracker.episodes(name, gifs))


def _lock(folder: Path) -> IO[str] | None:
    try:
        return take_lock(folder)
    except UserError:  # a process trains it
        return None
