"""Hydra's own sweepers and launchers, asked only for the jobs that are not finished."""

import logging
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig, OmegaConf

from agentlab_runner.runners.config.compose import compose, quoted
from agentlab_runner.runners.config.extras import extras, install
from agentlab_runner.runners.config.listing import CONF, search_path
from agentlab_runner.runners.config.modules import nothing_from_here
from agentlab_runner.runners.config.suggest import did_you_mean
from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.run.signals import Stops, requeue
from agentlab_runner.runners.sweep.job import AT_ONCE, POLL, STOP, Record, Status, SweepJob, final_value, job_folder
from agentlab_runner.runners.sweep.plan import Plan, line
from agentlab_runner.runners.sweep.search import prepare
from agentlab_runner.runners.sweep.watch import Watch

Place = Callable[[Path, Sequence[str]], Path]
"""The folder of the job of these overrides, in a sweep's."""


class Stopped(Exception):
    """The stop file appeared: no more jobs."""


class Unfinished(Launcher):
    """Any Hydra launcher, asked only for the jobs that are not finished."""

    def __init__(self, inner: Launcher, job: SweepJob, watch: Watch, place: Place) -> None:
        self.inner, self.job, self.watch, self.place = inner, job, watch, place

    def setup(self, **_: Any) -> None:
        """The inner launcher is set up already."""

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        folders = [self.place(self.job.folder, overrides) for overrides in job_overrides]
        wanted = dict(zip(folders, job_overrides, strict=True))
        missing = [overrides for folder, overrides in wanted.items() if not is_finished(folder)]
        self.watch.expect(len(missing), len(wanted))
        if missing and not self._is_stopped():
            with nothing_from_here():
                answers = self.inner.launch(missing, initial_job_idx)
            for answer in answers:
                _ = answer.return_value  # a job that failed answered None; raising here is a fault of the launcher
        if self._is_stopped():
            raise Stopped
        return [
            JobReturn(overrides=overrides, status=JobStatus.COMPLETED, _return_value=self._value(folder))
            for folder, overrides in zip(folders, job_overrides, strict=True)
        ]

    def _value(self, folder: Path) -> float | None:
        return final_value(folder, self.job.metric) if is_finished(folder) else None

    def _is_stopped(self) -> bool:
        return (self.job.folder / STOP).exists()


def place(sweep: Path, overrides: Sequence[str]) -> Path:
    """A `Place` that composes the job's config to find it."""
    return job_folder(sweep, plain(compose(list(overrides))))


def multirun(
    plan: Plan, job: SweepJob, watch: Watch, jobs: Sequence[Sequence[str]] | None = None, place: Place = place
) -> Exception | None:
    """What Hydra's own multirun does, with the chosen launcher inside `Unfinished`.

    Args:
        jobs: the overrides of each job, where they are not the combinations that the sweeper makes of the plan.
        place: where their folders are, for a caller that knows.

    Returns:
        What broke the launcher or sweeper itself; a failed job does not.
    """
    from hydra._internal.callbacks import Callbacks
    from hydra.core.plugins import Plugins
    from hydra.errors import HydraException
    from hydra.types import HydraContext

    cfg, loader = hydra_config(plan, job.folder)
    if "storage" in cfg.hydra.sweeper:
        prepare(cfg.hydra.sweeper, job.folder)
    callbacks = Callbacks(cfg)
    callbacks.on_multirun_start(config=cfg, config_name="config")
    context = HydraContext(config_loader=loader, callbacks=callbacks)
    try:
        sweeper: Any = Plugins.instance().instantiate_sweeper(config=cfg, hydra_context=context, task_function=job)
    except HydraException as fault:
        raise UserError(f"the launcher or sweeper refuses its settings: {_one_line(fault)}") from fault
    inner = sweeper if hasattr(sweeper, "launcher") else sweeper.sweeper  # a plugin may wrap its sweeper
    inner.launcher = Unfinished(inner.launcher, job, watch, place)
    try:
        if jobs is None:
            sweeper.sweep(list(cfg.hydra.overrides.task))
        elif jobs:
            inner.launcher.launch(jobs, 0)
    except Stopped:
        pass
    except HydraException as fault:
        raise UserError(f"the sweeper refuses these overrides: {_one_line(fault)}") from fault
    except UserError:
        raise
    except Exception as fault:
        return None if "No trials are completed" in str(fault) else fault  # Optuna has no best trial if all failed
    callbacks.on_multirun_end(config=cfg, config_name="config")
    return None


def hydra_config(plan: Plan, folder: Path) -> tuple[DictConfig, Any]:
    """Hydra's own config of a sweep in `folder`, which need not be there yet, and what has loaded it.

    Raises:
        UserError: if a launcher or sweeper is not installed, or does not have a setting that is given.
    """
    from hydra import version
    from hydra._internal.config_loader_impl import ConfigLoaderImpl
    from hydra._internal.hydra import Hydra
    from hydra._internal.utils import create_config_search_path
    from hydra.errors import ConfigCompositionException
    from hydra.types import RunMode

    version.setbase("1.3")
    logging.getLogger("hydra").setLevel(logging.WARNING)
    loader = ConfigLoaderImpl(create_config_search_path(f"file://{CONF}"))
    try:
        settings = [*plan.overrides, *_settings(folder)]
        return Hydra("agentlab", loader).compose_config("config", settings, RunMode.MULTIRUN), loader
    except ConfigCompositionException as fault:
        raise UserError(_no_plugin(plan, fault)) from fault


def _one_line(fault: Exception) -> str:
    return " ".join(str(fault).split())


def _settings(folder: Path) -> list[str]:
    """Where Hydra itself writes: into the sweep folder, and as little as possible."""
    added = ",".join(quoted(f"file://{extra}") for extra in search_path() if extra != CONF)
    return [
        f"hydra.searchpath=[{added}]",
        "hydra.sweep.dir=" + quoted(str(folder).replace("${", "\\${")),  # which would be filled in
        "hydra.sweep.subdir='.'",
        "hydra.output_subdir=null",
        "hydra/job_logging=none",
        "hydra/hydra_logging=none",
    ]


def _no_plugin(plan: Plan, fault: Exception) -> str:
    asked = [o for o in plan.hydra if o.key_or_group in ("hydra/launcher", "hydra/sweeper")]
    chosen = next((o for o in asked if f"Could not find '{o.key_or_group}/{o.value()}'" in str(fault)), None)
    if chosen is None:
        return f"Hydra refuses these overrides: {_one_line(fault)}"
    extra = str(chosen.value()).partition("_")[0]
    brought = {name: [need.name for need in needs] for name, needs in extras().items()}
    plugins = [name for name, needs in brought.items() if any(need.startswith(f"hydra-{name}-") for need in needs)]
    hint = f"; install it with: {install(extra)}" if extra in plugins else did_you_mean(extra, plugins)
    return f"{line(chosen)} is not installed here{hint}"


def plain(cfg: DictConfig) -> dict[str, Any]:
    return {str(name): value for name, value in cast(dict[str, Any], OmegaConf.to_container(cfg)).items()}


def is_finished(folder: Path) -> bool:
    record = Record.read(folder)
    return record is not None and record.status is Status.FINISHED


class StopJobs(Stops):
    """Inside, the first of the signals that ask to end has the jobs save and end, a second Ctrl-C ends them at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked = False

    def answer(self, again: bool) -> None:
        if again:
            (self.folder / STOP).write_text(AT_ONCE)
            time.sleep(10 * POLL)
            os._exit(130)  # some launchers cannot be told
        self.asked = True
        (self.folder / STOP).touch()

    def end(self) -> int:
        """The exit code of a sweep that was interrupted; puts it back into SLURM's queue where that is due."""
        if queued := requeue():
            print(f"agentlab: interrupted{queued}; the same command does the rest", file=sys.stderr)
        return 130
