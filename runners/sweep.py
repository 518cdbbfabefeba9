"""`agentlab sweep`: Hydra's own sweepers and launchers, asked only for the jobs that are missing.

    SWEEP/sweep.json   what all jobs have in common (runners/sweep_plan.py)
    SWEEP/jobs/HASH/   one run a job, with `job.json` and `log.txt` beside it (runners/sweep_job.py)
    SWEEP/table.md, results.csv, results.json, curves.png   (runners/sweep_results.py)

A job is identified by its resolved config, so the same command again reads finished jobs back, continues interrupted
ones from their checkpoints and repeats failed ones. Nothing kept beside the job folders could disagree with them.
"""

import logging
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig, OmegaConf

from runners.compose import compose
from runners.errors import RunFailed, UserError
from runners.listing import CONF, search_path
from runners.lock import take_lock
from runners.sweep_job import AT_ONCE, POLL, STOP, Owner, Record, Status, SweepJob, final_value, job_folder
from runners.sweep_plan import Plan, claim, line
from runners.sweep_results import Results
from runners.sweep_search import prepare
from runners.sweep_watch import Watch
from runners.tables import print_table


def sweep(
    overrides: Sequence[str],
    *,
    name: str | None = None,
    metric: str = "eval/success",
    fail_fast: bool = False,
    root: Path = Path("sweeps"),
) -> int:
    """Run every job of a sweep that is not finished, then print one table of all of them.

    Args:
        overrides: as for `train`, some with several values (`seed=0,1,2`); `hydra/launcher=joblib|ray|submitit` and
            `hydra/sweeper=optuna` choose where and in which order jobs run.
        name: of the folder under `root`; made from the overrides if None, so that the same command finds it again.
        metric: what is compared, and what a searching sweeper maximises.
        fail_fast: stop at the first failed job, telling running ones to save.

    Returns:
        The exit code: 0, 1 if a job failed, 130 after Ctrl-C.

    Raises:
        UserError: if the overrides are wrong, the folder belongs to another sweep, or another process runs it.
        RunFailed: if the launcher itself broke down.
    """
    plan = Plan.parse(overrides)
    compose([*map(line, plan.fixed), *plan.reference()])  # what is wrong in every job is said before a folder is made
    folder = (root / (name or plan.name)).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    with take_lock(folder):
        plan = claim(folder, plan)
        (folder / STOP).unlink(missing_ok=True)
        job = SweepJob(folder, metric, fail_fast, Owner.this_process())
        with _stop_on_interrupt(folder) as interrupted, Watch(folder, plan.fixed_keys, metric) as watch:
            broken = _multirun(plan, job, watch)
        results = Results.read(folder, plan.fixed_keys, metric)
        if results.jobs:
            results.write(folder)
            print_table(*results.rows(), always_head=True)
            print(results.notes(folder))
    if interrupted.is_set():
        return 130
    if broken:
        reason = f"{type(broken).__name__}: {broken}"
        raise RunFailed(f"the launcher broke down ({reason}); give the same command again to do the rest") from broken
    return 1 if results.failed else 0


class _Stopped(Exception):
    """The stop file appeared: no more jobs."""


class _Unfinished(Launcher):
    """Any Hydra launcher, asked only for the jobs that are not finished."""

    def __init__(self, inner: Launcher, job: SweepJob, watch: Watch) -> None:
        self.inner, self.job, self.watch = inner, job, watch

    def setup(self, **_: Any) -> None:
        """The inner launcher is set up already."""

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        folders = [job_folder(self.job.folder, _plain(compose(list(overrides)))) for overrides in job_overrides]
        wanted = dict(zip(folders, job_overrides, strict=True))
        missing = [overrides for folder, overrides in wanted.items() if not _is_finished(folder)]
        self.watch.expect(len(missing), len(wanted))
        if missing and not self._is_stopped():
            for answer in self.inner.launch(missing, initial_job_idx):
                _ = answer.return_value  # a job that failed answered None; raising here is a fault of the launcher
        if self._is_stopped():
            raise _Stopped
        return [
            JobReturn(overrides=overrides, status=JobStatus.COMPLETED, _return_value=self._value(folder))
            for folder, overrides in zip(folders, job_overrides, strict=True)
        ]

    def _value(self, folder: Path) -> float | None:
        return final_value(folder, self.job.metric) if _is_finished(folder) else None

    def _is_stopped(self) -> bool:
        return (self.job.folder / STOP).exists()


def _multirun(plan: Plan, job: SweepJob, watch: Watch) -> Exception | None:
    """What Hydra's own multirun does, with the chosen launcher inside `_Unfinished`.

    Returns:
        What broke the launcher or sweeper itself; a failed job does not.
    """
    from hydra import version
    from hydra._internal.callbacks import Callbacks
    from hydra._internal.config_loader_impl import ConfigLoaderImpl
    from hydra._internal.hydra import Hydra
    from hydra._internal.utils import create_config_search_path
    from hydra.core.plugins import Plugins
    from hydra.errors import ConfigCompositionException, HydraException
    from hydra.types import HydraContext, RunMode

    version.setbase("1.3")
    logging.getLogger("hydra").setLevel(logging.WARNING)
    loader = ConfigLoaderImpl(create_config_search_path(f"file://{CONF}"))
    try:
        settings = [*plan.overrides, *_settings(job.folder)]
        cfg = Hydra("agentlab", loader).compose_config("config", settings, RunMode.MULTIRUN)
    except ConfigCompositionException as fault:
        raise UserError(_no_plugin(plan, fault)) from fault
    if "storage" in cfg.hydra.sweeper:
        prepare(cfg.hydra.sweeper, job.folder)
    callbacks = Callbacks(cfg)
    callbacks.on_multirun_start(config=cfg, config_name="config")
    context = HydraContext(config_loader=loader, callbacks=callbacks)
    sweeper: Any = Plugins.instance().instantiate_sweeper(config=cfg, hydra_context=context, task_function=job)
    inner = sweeper if hasattr(sweeper, "launcher") else sweeper.sweeper  # a plugin may wrap its sweeper
    inner.launcher = _Unfinished(inner.launcher, job, watch)
    try:
        sweeper.sweep(list(cfg.hydra.overrides.task))
    except _Stopped:
        pass
    except HydraException as fault:
        raise UserError(f"the sweeper refuses these overrides: {fault}") from fault
    except UserError:
        raise
    except Exception as fault:
        return None if "No trials are completed" in str(fault) else fault  # Optuna has no best trial if all failed
    callbacks.on_multirun_end(config=cfg, config_name="config")
    return None


def _settings(folder: Path) -> list[str]:
    """Where Hydra itself writes: into the sweep folder, and as little as possible."""
    added = [f"file://{extra}" for extra in search_path() if extra != CONF]
    return [
        f"hydra.searchpath={added}",
        f"hydra.sweep.dir={str(folder)!r}",
        "hydra.sweep.subdir='.'",
        "hydra.output_subdir=null",
        "hydra/job_logging=none",
        "hydra/hydra_logging=none",
    ]


def _no_plugin(plan: Plan, fault: Exception) -> str:
    chosen = next((o for o in plan.hydra if o.key_or_group in ("hydra/launcher", "hydra/sweeper")), None)
    if chosen is None or "Could not find" not in str(fault):
        return f"Hydra refuses these overrides: {' '.join(str(fault).split())}"
    extra = str(chosen.value()).partition("_")[0]
    return f"{line(chosen)} is not installed here; install it with: pip install 'agentlab-runner[{extra}]'"


def _plain(cfg: DictConfig) -> dict[str, Any]:
    return {str(name): value for name, value in cast(dict[str, Any], OmegaConf.to_container(cfg)).items()}


def _is_finished(folder: Path) -> bool:
    record = Record.read(folder)
    return record is not None and record.status is Status.FINISHED


@contextmanager
def _stop_on_interrupt(folder: Path) -> Iterator[threading.Event]:
    """The first Ctrl-C asks the jobs to save and end, the second ends them at once; the event says that one came."""
    interrupted = threading.Event()

    def on_interrupt(*_: object) -> None:
        if interrupted.is_set():
            (folder / STOP).write_text(AT_ONCE)
            time.sleep(10 * POLL)
            os._exit(130)  # some launchers cannot be told
        interrupted.set()
        (folder / STOP).touch()

    before = signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, before)
