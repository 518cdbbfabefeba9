"""Cleaners side by side on one damaged table, and senses before and after refinement (spec 8)."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from agentlab_runner.data_cleaning.experiments import baselines, metrics
from agentlab_runner.data_cleaning.experiments.inject import Planted
from agentlab_runner.data_cleaning.experiments.metrics import Match
from agentlab_runner.data_cleaning.repairs.classes import Classes
from agentlab_runner.data_cleaning.repairs.repair import Choose, repair
from agentlab_runner.data_cleaning.repairs.score import Score
from agentlab_runner.data_cleaning.repairs.senses import assign, dependency_graph, refine

Make = Callable[..., Planted]
"""Takes err, inc and seed."""
Changes = Mapping[str, Mapping[int, str | None]]

OFD_ARMS: Mapping[str, Choose] = {"ofd_data": 0, "ofd_knee": "knee", "ofd": "evidence"}
"""Changes of the data alone; ontology repair at the knee of the Pareto front; at the additions the data support."""


def cleaners(
    make: Make, err: float, inc: float, seed: int, tuning_seed: int, match: Match, labels: int = 0
) -> dict[str, Changes]:
    """What every cleaner changes in one table, by its name.

    Args:
        tuning_seed: of another table of the same kind, on whose truth the cleaners without an ontology choose their
            parameters, by F1. Ours has nothing to tune.
        match: how F1 is counted there.
        labels: tuples Baran may ask for; 0 leaves it out. It is told which cells were damaged.
    """
    planted, other = (make(err=err, inc=inc, seed=one) for one in (seed, tuning_seed))
    found: dict[str, Changes] = {
        arm: repair(planted.dirty, planted.ofds, planted.ontology, choose=choose).changes
        for arm, choose in OFD_ARMS.items()
    }
    for name, (clean, grid) in baselines.GRIDS.items():
        tried = {value: metrics.cells(other, _by_column(clean, other, value), match).f1 for value in grid}
        found[name] = _by_column(clean, planted, max(tried, key=tried.__getitem__))
    if labels:
        found["baran"] = {ofd.rhs: baselines.baran(planted, ofd, labels, seed) for ofd in planted.ofds}
    return found


def scores(
    make: Make, err: float, inc: float, seed: int, tuning_seed: int, match: Match, labels: int = 0
) -> dict[str, dict[Match, Score]]:
    """Cell scores of `cleaners` under both ways of counting."""
    planted = make(err=err, inc=inc, seed=seed)
    every = cleaners(make, err, inc, seed, tuning_seed, match, labels)
    ways: Sequence[Match] = ("synonym", "exact")
    return {name: {way: metrics.cells(planted, changes, way) for way in ways} for name, changes in every.items()}


def sense_accuracy(planted: Planted) -> dict[str, float]:
    """Share of the classes sharing tuples with another dependency's that are read as they were meant.

    By how senses are assigned: `initial` (max_cover), `refined`, and the same of the published heuristic, `mad` and
    `mad_refined`.
    """
    column = planted.ofds[0].rhs
    classes = Classes.build(planted.dirty, [ofd for ofd in planted.ofds if ofd.rhs == column], planted.ontology)
    graph = dependency_graph(classes)
    shared = np.unique(np.concatenate((graph.left, graph.right)))
    true = planted.concept[column][classes.example[shared]].tolist()
    found = {}
    for name, first in (("initial", assign(classes)), ("mad", assign(classes, "mad"))):
        found[name] = first
        found["refined" if name == "initial" else "mad_refined"] = refine(classes, first)
    return {name: metrics.accuracy(senses[shared].tolist(), true) for name, senses in found.items()}


def _by_column(clean: Callable[..., baselines.Cells], planted: Planted, value: float) -> Changes:
    return {ofd.rhs: clean(planted.dirty, ofd, value) for ofd in planted.ofds}
