"""`agentlab claim NAME`: rerun a published comparison at laptop scale and say whether it holds here.

claims/NAME/jobs/HASH/   one run a job, known by its config as in a sweep: the same command does what is missing
claims/NAME/table.md, results.json, curves-SETTING.png   (runners/claim/results.py)
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from omegaconf import DictConfig, OmegaConf

from agentlab_runner.runners.claim.results import ArmResult, ClaimResults
from agentlab_runner.runners.claim.settings import ArmSettings, ClaimSettings
from agentlab_runner.runners.config.compose import compose, normalise
from agentlab_runner.runners.config.listing import choices
from agentlab_runner.runners.config.suggest import did_you_mean
from agentlab_runner.runners.config.validate import checked
from agentlab_runner.runners.errors import RunFailed, UserError
from agentlab_runner.runners.files.atomic import make_folder
from agentlab_runner.runners.files.lock import take_lock
from agentlab_runner.runners.files.names import bare, beside
from agentlab_runner.runners.files.received import check_folder, read_object
from agentlab_runner.runners.online.evaluation import conditions, is_texts
from agentlab_runner.runners.online.origin import refuse_latest
from agentlab_runner.runners.sweep.hydra import StopJobs, hydra_config, is_finished, multirun, place
from agentlab_runner.runners.sweep.job import STOP, Owner, Record, Status, SweepJob, course, logged
from agentlab_runner.runners.sweep.plan import Plan, key, line
from agentlab_runner.runners.sweep.watch import Watch
from agentlab_runner.runners.terminal.tables import print_table, visible

Tuned = Mapping[str, Any]
"""A value for each tuned key."""


def claim(name: str, overrides: Sequence[str] = ()) -> int:
    """Run every job of a claim that is not finished, then print its arms, differences and verdict.

    Args:
        name: of a file in conf/claim.
        overrides: of every run (`total_iterations=2`), of the claim itself (`claim.seeds=[0,1,2]`), and of Hydra's
            launcher (`hydra/launcher=joblib hydra.launcher.n_jobs=2`).

    Returns:
        The exit code: 0 whatever the verdict, 1 if a job failed, 130 after Ctrl-C or if a job was told to end and has
        not finished.

    Raises:
        UserError: if there is no such claim, it or the overrides are wrong, or no run logged its metric.
        RunFailed: if the launcher itself broke down.
    """
    own = [override for override in overrides if override.lstrip("+~").startswith("claim.")]
    plan = Plan.parse([override for override in overrides if override not in own])
    if plan.swept and any(o.is_sweep_override() for o in plan.swept):
        raise UserError("a claim has arms of its own and sweeps nothing; give one value a key")
    settings = read(name, own)
    jobs = Jobs(settings, [line(o) for o in (*plan.fixed, *plan.swept)])
    cfg = jobs.check()
    folder = (beside("claims", cfg.runs_dir) / bare(name)).resolve()
    hydra_config(Plan((), (), plan.hydra), folder)
    make_folder(folder, "claims")
    check_folder(folder)
    with take_lock(folder):
        (folder / STOP).unlink(missing_ok=True)
        with StopJobs(folder) as interrupted:
            broken = _run(folder, plan, jobs)
        results = jobs.results(folder)
        results.write(folder)
        for title, table in results.tables():
            print(f"\n{title}")
            print_table(*table, always_head=True)
        print(f"\n{visible(results.verdict_line())}\n{folder}: table.md, results.json, curves-*.png")
    if interrupted.asked:
        return interrupted.end()
    if broken:
        reason = f"{type(broken).__name__}: {broken}"
        raise RunFailed(f"the launcher broke down ({reason}); give the same command again to do the rest") from broken
    return 1 if results.failed else 130 if results.unfinished else 0


def read(name: str, overrides: Sequence[str] = ()) -> ClaimSettings:
    """The claim of a file in conf/claim, changed by `claim.KEY=VALUE`.

    Raises:
        UserError: if there is none of this name, or it is refused.
    """
    known = choices("claim")
    if name not in known:
        raise UserError(f"conf has no claim {name!r}{did_you_mean(name, known)} (see: agentlab list claims)")
    cfg = compose(overrides, config=f"claim/{name}")
    values = OmegaConf.to_container(cfg.claim)
    assert isinstance(values, dict)
    return checked({str(key): value for key, value in values.items()}, ClaimSettings, "claim")


class Jobs:
    """The runs a claim is made of; `changes` are overrides of all of them."""

    def __init__(self, settings: ClaimSettings, changes: Sequence[str]) -> None:
        self.settings = settings
        self.changes = list(changes)
        self._folders: dict[tuple[str, ...], Path] = {}

    @property
    def fixed_keys(self) -> list[str]:
        """Keys that all runs share."""
        return [key(override) for override in (*self.settings.overrides, *self.changes)]

    def check(self) -> DictConfig:
        """What is wrong in an arm is said before anything runs; gives the config of the last one."""
        for setting, arm in self._cells():
            cfg = compose(self.overrides(setting, arm, next(_grid(self.settings.arms[arm])), self.settings.seeds[0]))
            refuse_latest(cfg)
        return cfg

    def overrides(self, setting: str, arm: str, tuned: Tuned, seed: int) -> list[str]:
        own = self.settings
        values = [f"{name}={value}" for name, value in tuned.items()]
        parts = [*own.overrides, *own.settings[setting], *own.arms[arm].overrides, *values, *self.changes]
        return normalise([*(part.replace("{seed}", str(seed)) for part in parts), f"seed={seed}"])

    def tuning(self) -> list[list[str]]:
        """Every tuned arm with every value on every tuning seed."""
        return [
            self.overrides(setting, arm, tuned, seed)
            for seed in self.settings.tuning_seeds
            for setting, arm in self._cells()
            if self.settings.arms[arm].tune
            for tuned in _grid(self.settings.arms[arm])
        ]

    def judging(self, folder: Path) -> list[list[str]]:
        """Every arm, with the values chosen for it, on every seed."""
        chosen = {cell: self.choose(folder, *cell) for cell in self._cells()}
        return [
            self.overrides(*cell, tuned, seed)
            for seed in self.settings.seeds
            for cell, tuned in chosen.items()
            if tuned is not None
        ]

    def choose(self, folder: Path, setting: str, arm: str) -> Tuned | None:
        """The values best on average over the tuning seeds, the first of equals; None while a run is missing."""
        grid = list(_grid(self.settings.arms[arm]))
        if len(grid) == 1:
            return grid[0]
        means = []
        for tuned in grid:
            values = [self.value(folder, setting, arm, tuned, seed) for seed in self.settings.tuning_seeds]
            if any(value is None for value in values):
                return None
            means.append(fmean(value for value in values if value is not None))
        return grid[max(range(len(grid)), key=means.__getitem__)]

    def value(self, folder: Path, setting: str, arm: str, tuned: Tuned, seed: int) -> float | None:
        curve = self.curve(folder, setting, arm, tuned, seed)
        if not curve:
            return None
        return curve[max(curve)] if self.settings.reduce == "last" else fmean(curve.values())

    def curve(self, folder: Path, setting: str, arm: str, tuned: Tuned, seed: int) -> Mapping[int, float]:
        """The metric by step in a finished run, or over the claim's own axis; empty for any other."""
        job = self.folder(folder, setting, arm, tuned, seed)
        metric = self.settings.metric.format(arm=arm, setting=setting)
        values, axis = course(job, metric) if is_finished(job) else {}, self.settings.over
        if axis is None or not values:
            return values
        places = {step: float(step) for step in values} if axis.metric == "step" else course(job, axis.metric)
        if not places:
            names = {name for line in logged(job) for name in line} - {"step", "time"}
            hint = did_you_mean(axis.metric, names) or f"; it logged: {', '.join(sorted(names))}"
            raise UserError(f"{job} did not log {axis.metric}, over which this claim is drawn{hint} (runs are kept)")
        return read_off(values, {0: 0.0} | places, axis.every)

    def folder(self, folder: Path, setting: str, arm: str, tuned: Tuned, seed: int) -> Path:
        return self.place(folder, self.overrides(setting, arm, tuned, seed))

    def place(self, folder: Path, overrides: Sequence[str]) -> Path:
        """Where the job of these overrides lives; its config is composed once."""
        job = tuple(overrides)
        if job not in self._folders:
            self._folders[job] = place(folder, job)
        return self._folders[job]

    def results(self, folder: Path) -> ClaimResults:
        """What the finished runs say, whichever command ran them.

        Raises:
            UserError: if there are some, and none logged what the claim compares.
        """
        arms = []
        for setting, arm in self._cells():
            tuned = self.choose(folder, setting, arm)
            cells = [] if tuned is None else [(setting, arm, tuned, seed) for seed in self.settings.seeds]
            found = {cell[3]: (self.value(folder, *cell), self.curve(folder, *cell)) for cell in cells}
            records = [Record.read(self.folder(folder, *cell)) for cell in cells]
            arms.append(
                ArmResult(
                    setting,
                    arm,
                    tuned or {},
                    {seed: value for seed, (value, _) in found.items() if value is not None},
                    [curve for _, curve in found.values() if curve],
                    [record.seconds for record in records if record],
                    [record.cpu_seconds for record in records if record],
                )
            )
        if not any(arm.values for arm in arms):
            self._refuse_unlogged()
        places = [self.place(folder, job) for job in (*self.tuning(), *self.judging(folder))]
        known = [record for place in dict.fromkeys(places) if (record := Record.read(place))]
        failed = dict.fromkeys(record.error for record in known if record.status is Status.FAILED)
        unfinished = sum(record.status in (Status.INTERRUPTED, Status.RUNNING) for record in known)
        return ClaimResults(self.settings, arms, list(failed), unfinished, _conditions(places))

    def _refuse_unlogged(self) -> None:
        jobs = [job for job in self._folders.values() if is_finished(job)]
        names = {name for job in jobs for line in logged(job) for name in line} - {"step", "time"}
        wanted = {self.settings.metric.format(arm=arm, setting=setting) for setting, arm in self._cells()}
        if jobs and not wanted & names:
            hint = did_you_mean(min(wanted), names) or f"; they logged: {', '.join(sorted(names)) or 'nothing'}"
            raise UserError(f"no run of this claim logged {min(wanted)}{hint} (the runs are kept)")

    def _cells(self) -> list[tuple[str, str]]:
        return list(product(self.settings.settings, self.settings.arms))


def _conditions(jobs: Sequence[Path]) -> dict[str, str]:
    """Under what the evaluations of these jobs were played."""
    files = [(job, f"eval/{file.name}") for job in dict.fromkeys(jobs) for file in sorted(job.glob("eval/*.json"))]
    found = [read_object(job, file).get("conditions", {}) for job, file in files]
    return conditions([{"conditions": one} for one in found if is_texts(one)])


def _grid(arm: ArmSettings) -> Iterator[Tuned]:
    """Every combination of the values to try; one without any key where nothing is tuned."""
    for values in product(*arm.tune.values()):
        yield dict(zip(arm.tune, values, strict=True))


def read_off(values: Mapping[int, float], places: Mapping[int, float], every: int) -> dict[int, float]:
    """`values` at multiples of `every` of what `places` counts, both by step: on lines between the known ones.

    A value logged at a step at which nothing was counted stands where the count stood last.
    """
    counted = sorted(places)
    at = {step: places[counted[max(0, bisect_right(counted, step) - 1)]] for step in values}
    known = sorted(values, key=lambda step: (at[step], step))
    grid = range(0, int(at[known[-1]]) + 1, every)
    found = np.interp(list(grid), [at[step] for step in known], [values[step] for step in known])
    return dict(zip(grid, found.tolist(), strict=True))


def _run(folder: Path, plan: Plan, jobs: Jobs) -> Exception | None:
    """First the runs that tune, then those that judge; what broke the launcher, if it did."""
    task = SweepJob(folder, "", False, Owner.this_process(), fixed=tuple(jobs.fixed_keys))
    launcher = Plan((), (), plan.hydra)
    for stage in (jobs.tuning, lambda: jobs.judging(folder)):
        wanted = _distinct(stage())
        with Watch(folder, jobs.fixed_keys, None) as watch:
            broken = multirun(launcher, task, watch, wanted, jobs.place)
        if broken or (folder / STOP).exists():
            return broken
    return None


def _distinct(jobs: Sequence[Sequence[str]]) -> list[list[str]]:
    return [list(job) for job in dict.fromkeys(tuple(job) for job in jobs)]
