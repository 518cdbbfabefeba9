"""`agentlab sweep`: Hydra's own sweepers and launchers, asked only for the jobs that are missing.

    SWEEP/sweep.json   what all jobs have in common (runners/sweep/plan.py)
    SWEEP/jobs/HASH/   one run a job, with `job.json` and `log.txt` beside it (runners/sweep/job.py)
    SWEEP/table.md, results.csv, results.json, curves.png   (runners/sweep/results.py)

A job is identified by its resolved config, so the same command again reads finished jobs back, continues interrupted
ones from their checkpoints and repeats failed ones. Nothing kept beside the job folders could disagree with them.
"""

from collections.abc import Sequence
from pathlib import Path

from agentlab_runner.runners.config.compose import compose
from agentlab_runner.runners.errors import RunFailed
from agentlab_runner.runners.run.lock import take_lock
from agentlab_runner.runners.sweep.hydra import multirun, stop_on_interrupt
from agentlab_runner.runners.sweep.job import STOP, Owner, SweepJob
from agentlab_runner.runners.sweep.plan import Plan, claim, line
from agentlab_runner.runners.sweep.results import Results
from agentlab_runner.runners.sweep.watch import Watch
from agentlab_runner.runners.terminal.tables import print_table


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
        job = SweepJob(folder, metric, fail_fast, Owner.this_process(), fixed=tuple(plan.fixed_keys))
        with stop_on_interrupt(folder) as interrupted, Watch(folder, plan.fixed_keys, metric) as watch:
            broken = multirun(plan, job, watch)
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
