"""`agentlab sweep`: Hydra's own sweepers and launchers, asked only for the jobs that are missing.

    SWEEP/sweep.json   what all jobs have in common (runners/sweep/plan.py)
    SWEEP/jobs/HASH/   one run a job, with `job.json` and `log.txt` beside it (runners/sweep/job.py)
    SWEEP/table.md, results.csv, results.json, curves.png   (runners/sweep/results.py)

A job is identified by its resolved config, so the same command again reads finished jobs back, continues interrupted
ones from their checkpoints and repeats failed ones. Nothing kept beside the job folders could disagree with them.
"""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from agentlab_runner.runners.config.compose import compose
from agentlab_runner.runners.errors import RunFailed, UserError
from agentlab_runner.runners.files.atomic import make_folder
from agentlab_runner.runners.files.lock import take_lock
from agentlab_runner.runners.files.names import bare, beside
from agentlab_runner.runners.files.received import check_folder
from agentlab_runner.runners.launch import refuse
from agentlab_runner.runners.online.origin import refuse_latest
from agentlab_runner.runners.sweep.hydra import StopJobs, hydra_config, multirun
from agentlab_runner.runners.sweep.job import STOP, Owner, SweepJob
from agentlab_runner.runners.sweep.plan import Plan, claim, line
from agentlab_runner.runners.sweep.results import Results
from agentlab_runner.runners.sweep.search import STUDY
from agentlab_runner.runners.sweep.watch import Watch
from agentlab_runner.runners.terminal.tables import print_table, visible


def sweep(
    overrides: Sequence[str],
    *,
    name: str | None = None,
    metric: str = "eval/success",
    fail_fast: bool = False,
) -> int:
    """Run every job of a sweep that is not finished, then print one table of all of them.

    Args:
        overrides: as for `train`, some with several values (`seed=0,1,2`); `hydra/launcher=joblib|ray|submitit` and
            `hydra/sweeper=optuna` choose where and in which order jobs run.
        name: of the sweep's folder, a bare one (runners/files/names.py); made from the overrides if None, so that the
            same command finds it again. It is made in `sweeps`, or in `RUNS_DIR/sweeps` where `runs_dir` is set.
        metric: what is compared, and what a searching sweeper maximises.
        fail_fast: stop at the first failed job, telling running ones to save.

    Returns:
        The exit code: 0, 1 if a job failed, 130 after Ctrl-C or if a job was told to end and has not finished.

    Raises:
        UserError: if the overrides or the name are wrong, the folder belongs to another sweep, or another process
            runs it. A command that is refused before its first job leaves the folder as it was.
        RunFailed: if the launcher itself broke down.
    """
    plan = Plan.parse(overrides)
    plan.refuse_idle()
    called = plan.name if name is None else bare(name)
    cfg = compose([*map(line, plan.fixed), *plan.reference()])  # what is wrong in every job is said before a folder
    refuse_latest(cfg)
    if not plan.elsewhere:
        refuse(cfg)
    folder = (beside("sweeps", cfg.runs_dir) / called).resolve()
    hydra_config(plan, folder)  # and so is a launcher or sweeper that is not there
    new = not folder.exists()
    make_folder(folder, "sweeps")
    check_folder(folder)
    with take_lock(folder), _claimed(folder, new):
        plan = claim(folder, plan)
        (folder / STOP).unlink(missing_ok=True)
        job = SweepJob(folder, metric, fail_fast, Owner.this_process(), fixed=tuple(plan.fixed_keys))
        with StopJobs(folder) as interrupted, Watch(folder, plan.fixed_keys, metric) as watch:
            broken = multirun(plan, job, watch)
        if isinstance(broken, ValueError) and not any(folder.glob("jobs/*")):
            raise UserError(f"the sweeper refuses these overrides: {broken}") from broken
        results = Results.read(folder, plan.fixed_keys, metric)
        if results.jobs:
            results.write(folder)
            print_table(*results.rows(), always_head=True)
            print(visible(results.notes(folder)))
    if interrupted.asked:
        return interrupted.end()
    if broken:
        reason = f"{type(broken).__name__}: {broken}"
        raise RunFailed(f"the launcher broke down ({reason}); give the same command again to do the rest") from broken
    return 1 if results.failed else 130 if results.unfinished else 0


@contextmanager
def _claimed(folder: Path, new: bool) -> Iterator[None]:
    """If no job has begun in the end, what this command put into the folder is taken away: it claims nothing."""
    before = set(folder.iterdir())
    try:
        yield
    finally:
        if not any(folder.glob("jobs/*")):
            if new:
                shutil.rmtree(folder)
            else:
                for file in {folder / "sweep.json", folder / STUDY} - before:
                    file.unlink(missing_ok=True)
