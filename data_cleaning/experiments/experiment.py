"""Data cleaning as experiments: discover, clean, compare cleaners, assign senses, race engines.

They have no checkpoints: training one is measuring it once, and evaluating a run measures it again.
"""

import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from agentlab_runner.data_cleaning.command import files
from agentlab_runner.data_cleaning.experiments import comparison, metrics
from agentlab_runner.data_cleaning.experiments.baselines import fd_majority, has_baran
from agentlab_runner.data_cleaning.experiments.inject import Planted
from agentlab_runner.data_cleaning.repairs.repair import Repair, repair
from agentlab_runner.runners.callbacks import Callbacks
from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.run.folder import Run
from agentlab_runner.runners.terminal.progress import Progress
from agentlab_runner.runners.terminal.statistics import bootstrap_interval
from agentlab_runner.runners.types import Metrics

TABLES = 1000
"""Seeds of tables are this far apart, so that the tables of one run are never those of the next."""


class Measured:
    """What all of them share; one of them writes `measure`."""

    def __init__(self, cfg: DictConfig) -> None:
        self.cfg = cfg

    def train(self, run: Run) -> Metrics:
        callbacks = Callbacks(self.cfg)
        with callbacks.during(run):
            found = self.measure(run)
            callbacks.on_eval(run, 1, found)
            run.log(found, step=1)
        return found

    def evaluate(self, run: Run, checkpoint: str) -> Metrics:
        if checkpoint not in ("none", "last", "best"):
            raise UserError(f"data cleaning keeps no checkpoints, so there is none called {checkpoint!r}; leave it out")
        if checkpoint == "none":
            return self.train(run)
        found = self.measure(run)
        run.write_eval("again", found)
        return found

    def measure(self, run: Run) -> Metrics:
        raise NotImplementedError

    def planted(self, **damage: Any) -> Planted:
        """The table of the config, damaged."""
        if "path" in self.cfg.table:
            raise UserError("this needs a table whose truth is known; choose table=countries, drugs or ofdgen")
        made: Planted = instantiate(self.cfg.table, **damage)
        return made


class Clean(Measured):
    """Repair tables; where the truth is known, precision, recall and F1 with intervals over the tables."""

    def measure(self, run: Run) -> Metrics:
        own = dict(self.cfg.clean)
        tables, err, inc = own.pop("tables"), own.pop("err"), own.pop("inc")
        if "path" in self.cfg.table:
            return self._given(run, own)
        rows: list[dict[str, float]] = []
        with Progress(tables, "cleaning") as progress:
            for number in range(tables):
                planted = self.planted(err=err, inc=inc, seed=self.cfg.seed * TABLES + number)
                began = time.perf_counter()
                with _for_the_user():
                    done = repair(planted.dirty, planted.ofds, planted.ontology, **own)
                rows.append(_judged(planted, done) | {"seconds": time.perf_counter() - began})
                progress.advance(f1=rows[-1]["eval/f1"])
                if number == 0:
                    _keep(run, done)
        found = {name: sum(row[name] for row in rows) / tables for name in rows[0]}
        intervals = {name: bootstrap_interval([row[name] for row in rows]) for name in found}
        run.write("clean.json", json.dumps({"tables": rows, "mean": found, "interval": intervals}, indent=1) + "\n")
        ends = {
            f"{name}_{end}": value
            for name, interval in intervals.items() if interval and name != "seconds"
            for end, value in zip(("low", "high"), interval, strict=True)
        }  # fmt: skip
        return dict(sorted((found | ends).items()))

    def _given(self, run: Run, own: Mapping[str, Any]) -> Metrics:
        given = _gather(self.cfg)
        began = time.perf_counter()
        with _for_the_user():
            done = repair(given.table, given.ofds, given.ontology, **own)
        took = time.perf_counter() - began
        _keep(run, done)
        return {
            "additions": float(len(done.additions)), "changes": float(len(done.provenance)), "seconds": took,
            "unresolved": float(len(done.unresolved)), "verified": float(done.verified),
        }  # fmt: skip


class Discover(Measured):
    """Find the dependencies of a table."""

    def measure(self, run: Run) -> Metrics:
        from agentlab_runner.data_cleaning.discovery.discover import discover

        own = dict(self.cfg.discover)
        err, inc = own.pop("err"), own.pop("inc")
        planted = None if "path" in self.cfg.table else self.planted(err=err, inc=inc, seed=self.cfg.seed)
        if planted:
            table, ontology = planted.dirty, planted.ontology
        else:
            given = _gather(self.cfg)
            table, ontology = given.table, given.ontology
        began, cpu = time.perf_counter(), time.process_time()
        with _for_the_user():
            found = discover(table, ontology, **own)
        took = {"seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - cpu}
        for name, content in files.discovery(found, ontology, table.names).items():
            run.write(f"discovery/{name}", content)
        by_ontology = sum(bool(one.strength and one.strength.classes) for one in found)
        result = {"eval/ofds": float(len(found)), "eval/by_ontology": float(by_ontology), **took}
        if planted:
            there = {(one.lhs, one.rhs) for one in found}
            result["eval/planted_found"] = sum((o.lhs, o.rhs) in there for o in planted.ofds) / len(planted.ofds)
        return result


class Bench(Measured):
    """Engines side by side on the clean table."""

    def measure(self, run: Run) -> Metrics:
        from agentlab_runner.data_cleaning.experiments.engines import installed, race

        planted = self.planted(err=0.0, inc=0.0, seed=self.cfg.seed)
        engines = []
        for engine in self.cfg.bench.engines:
            if installed(engine):
                engines.append(engine)
            else:
                print(f"{engine} is left out: Desbordante is not installed (pip install desbordante)", file=sys.stderr)
        return race(planted.clean, planted.truth, engines, self.cfg.bench.repeats)


class Cleaners(Measured):
    """Every cleaner at every rate of errors and missing labels: one run holds all arms of the claim."""

    def measure(self, run: Run) -> Metrics:
        own = self.cfg.cleaners
        labels = own.baran if has_baran() else 0
        if not labels:
            why = "raha is not installed (pip install raha)" if own.baran else "it takes minutes (cleaners.baran=20)"
            print(f"Baran is left out: {why}", file=sys.stderr)
        found: dict[str, float] = {}
        settings = [(err, inc) for err in own.err for inc in own.inc]
        with Progress(len(settings), "cleaners") as progress:
            for err, inc in settings:
                seeds = self.cfg.seed, own.tuning_seed + self.cfg.seed
                every = comparison.scores(self.planted, err, inc, *seeds, own.match, labels)
                for arm, ways in every.items():
                    for way, score in ways.items():
                        prefix = "" if way == own.match else f"{way}_"
                        place = f"{arm}/err{100 * err:g}_inc{100 * inc:g}"
                        found |= {f"{prefix}{name}/{place}": value for name, value in score._asdict().items()}
                progress.advance(ofd=every["ofd"][own.match].f1)
        return found


class Senses(Measured):
    """How many classes are read as they were meant, by number of senses, before and after refinement."""

    def measure(self, run: Run) -> Metrics:
        own = self.cfg.senses
        found: dict[str, float] = {}
        with Progress(len(own.counts), "senses") as progress:
            for count in own.counts:
                planted = self.planted(err=own.err, inc=own.inc, seed=self.cfg.seed, senses=count)
                accuracy = comparison.sense_accuracy(planted)
                found |= {f"accuracy/{arm}/senses{count}": value for arm, value in accuracy.items()}
                progress.advance(refined=accuracy["refined"])
        return found


def _judged(planted: Planted, done: Repair) -> dict[str, float]:
    """Every measure of one repair whose truth is known."""
    by_fd = np.zeros(planted.dirty.rows, dtype=bool)
    for ofd in planted.ofds:
        by_fd[list(fd_majority(planted.dirty, ofd))] = True
    by_ofd = np.logical_or.reduce([problem.flagged() for problem in done.problems])
    added = metrics.additions(planted, [(one.column, one.value, one.concept) for one in done.additions])
    measures = {
        "eval": metrics.cells(planted, done.changes, "synonym"), "exact": metrics.cells(planted, done.changes, "exact"),
        "additions": added,
    }  # fmt: skip
    found = {f"{part}/{name}": value for part, score in measures.items() for name, value in score._asdict().items()}
    saved = metrics.false_positive_saving(by_fd, by_ofd)
    return found | {"eval/verified": float(done.verified), "eval/false_positive_saving": saved}


def _gather(cfg: DictConfig) -> Any:
    """The table of the user's own, what its values mean, and its dependencies."""
    from agentlab_runner.data_cleaning.command.inputs import Meaning, gather

    table: Any = OmegaConf.to_container(cfg.table)
    meaning = cfg.ontology
    sources = [f"{meaning.column}={meaning.source}" if meaning.column else meaning.source] if meaning else []
    ways = [meaning.normalise] if meaning and meaning.normalise else []
    speaks = Meaning(sources, ways)
    with _for_the_user():
        given = gather(table["path"], speaks, table["ofds"], table["kind"], table["theta"], table["nulls"])
    for note in given.notes:
        print(note, file=sys.stderr)
    return given


@contextmanager
def _for_the_user() -> Iterator[None]:
    """What the library refuses is the user's to mend."""
    try:
        yield
    except ValueError as fault:
        raise UserError(str(fault)) from fault


def _keep(run: Run, done: Repair) -> None:
    """The repair's files and its page, in the run folder."""
    from agentlab_runner.data_cleaning.command.page import page

    for name, content in files.repaired(done).items():
        run.write(f"repair/{name}", content)
    run.write("repair/report.html", page(done))
