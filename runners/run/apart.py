"""Evaluations that are asked for by themselves, as `agentlab eval` does, and how a run's tracker hears of them.

They say so in their files, and every session of the tracker tells of all of them when it ends, so that whoever has the
run, now or later, mirrors them: W&B knows one writer of a run at a time, and training does not stop for an evaluation.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from omegaconf import DictConfig, OmegaConf

from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.files.lock import take_lock
from agentlab_runner.runners.files.names import bare
from agentlab_runner.runners.run.evaluations import Apart
from agentlab_runner.runners.run.folder import Run
from agentlab_runner.runners.run.tracking import NullTracker, make_tracker

log = logging.getLogger(__name__)


@contextmanager
def apart(run: Run, overrides: Sequence[str] = (), name: str | None = None) -> Iterator[None]:
    """Inside, evaluations of `run` belong to no line of its metrics; they say the `overrides` they are made under.

    Raises:
        UserError: if the name is no bare one.
    """
    run.apart = Apart(overrides, name and bare(name))
    try:
        yield
    finally:
        run.apart = None


@contextmanager
def evaluating(
    run: Run, logger: DictConfig | None, overrides: Sequence[str] = (), name: str | None = None
) -> Iterator[None]:
    """`apart` for a run that nobody has entered; at the end the tracker of the config node `logger` is told."""
    with apart(run, overrides, name):
        yield
    tracker = make_tracker(logger)
    if isinstance(tracker, NullTracker):
        return
    status = run.status
    try:
        lock = take_lock(run.path)
    except UserError:
        log.warning("%s is in use; what mirrors it hears of this evaluation when that ends", run.path)
        return
    with lock:
        config = OmegaConf.to_container(run.config, resolve=True)
        assert isinstance(config, dict)
        tracker.start(run.path, run.manifest, {str(key): value for key, value in config.items()})
        tracker.finish(status, None)
