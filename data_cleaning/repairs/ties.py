"""Classes that nothing decides: another meaning covers as many of their tuples, so that neither is an error for all one
can tell."""

import numpy as np

from agentlab_runner.data_cleaning.repairs.candidates import Candidates
from agentlab_runner.data_cleaning.repairs.classes import Classes, spans, sum_by
from agentlab_runner.data_cleaning.repairs.labels import Labels
from agentlab_runner.data_cleaning.repairs.readings import Bools, Ints


def undecided(labels: Labels, outside: Bools, candidates: Candidates) -> dict[int, list[int]]:
    """{class: the senses it may have as well as its own}, of those with tuples that would have to change.

    A value is no rival of a concept if it looks like a slip of one of its labels. Where a class shares tuples with
    others, its rivals have to cost no more changes there either.

    Args:
        outside: [G, M], as `Labels.outside` gives it.
    """
    classes = labels.classes
    cells = classes.cells
    violated = np.zeros(len(classes.size), dtype=bool)
    violated[classes.members[outside]] = True
    own = np.bincount(cells.node, cells.count * labels.covers(cells.node, cells.value), len(violated))
    node, sense, tuples = _covered(labels)
    strong = violated[node] & (tuples >= own[node]) & (sense != labels.senses[node])
    strong[strong] = _differ(labels, node[strong], sense[strong])
    found: dict[int, dict[bytes, int]] = {}  # senses that cover the same values are no rivals of one another
    for x, rival in sorted(zip(node[strong].tolist(), sense[strong].tolist(), strict=True)):
        if not _slip(labels, candidates, x, rival) and _as_cheap(labels, x, rival):
            found.setdefault(x, {}).setdefault(_coverage(labels, x, rival), rival)
    return {x: list(rivals.values()) for x, rivals in found.items()}


def _covered(labels: Labels) -> tuple[Ints, Ints, Ints]:
    """(node, sense, tuples), additions included, of all that covers any of a class."""
    classes = labels.classes
    cover, cells, width = classes.cover, classes.cells, classes.readings.senses
    keys, tuples = [cover.node * width + cover.sense], [cover.tuples]
    for value, sense in sorted(labels.additions):
        rows = np.flatnonzero(cells.value == value)
        rows = rows[~classes.covers(cells.node[rows], cells.value[rows], np.full(len(rows), sense))]
        keys.append(cells.node[rows] * width + sense)
        tuples.append(cells.count[rows])
    every, total = sum_by(np.concatenate(keys), np.concatenate(tuples))
    return every // width, every % width, total


def _differ(labels: Labels, node: Ints, rival: Ints) -> Bools:
    """Whether another sense covers other values of a class than its own, for each pair."""
    offsets = labels.classes.cells.offsets
    lengths = np.diff(offsets)[node]
    value, pair = labels.classes.cells.value[spans(offsets[node], lengths)], np.repeat(np.arange(len(node)), lengths)
    other = labels.covers(node[pair], value) != labels.covers(node[pair], value, rival[pair])
    return np.asarray(np.bincount(pair, other, len(node)) > 0)


def _coverage(labels: Labels, x: int, sense: int) -> bytes:
    """Which values of a class a sense covers."""
    values = _values(labels.classes, x)
    return labels.covers(np.full(len(values), x), values, np.full(len(values), sense)).tobytes()


def _slip(labels: Labels, candidates: Candidates, x: int, rival: int) -> bool:
    concepts, sense = labels.classes.readings.concepts, int(labels.senses[x])
    row = candidates.row.get((rival - concepts, sense)) if sense < concepts <= rival else None
    near = None if row is None else candidates.nearest[row]
    return near is not None and labels.allows((x,), near)


def _as_cheap(labels: Labels, x: int, rival: int) -> bool:
    """Whether no more tuples would have to change, nor any have no label to change to."""
    classes = labels.classes
    groups = np.flatnonzero((classes.members == x).any(axis=1))
    members, value, count = classes.members[groups], classes.value[groups], classes.count[groups]
    senses = labels.senses.copy()
    senses[x] = rival
    outside = [
        ((members >= 0) & ~labels.covers(members.clip(min=0), value[:, None], way[members.clip(min=0)])).any(axis=1)
        for way in (labels.senses, senses)
    ]
    if count[outside[1]].sum() != count[outside[0]].sum():
        return False
    for own in np.unique(members[outside[1]], axis=0):
        nodes = own[own >= 0]
        values = np.unique(np.concatenate([_values(classes, one) for one in nodes.tolist()]))
        if not labels.covers(nodes[:, None], values[None, :], senses[nodes][:, None]).all(axis=0).any():
            return False
    return True


def _values(classes: Classes, x: int) -> Ints:
    return classes.cells.value[classes.cells.offsets[x] : classes.cells.offsets[x + 1]]
