"""Which values are at home elsewhere: however often an error repeats itself, it is no name of what it stands for."""

import numpy as np

from agentlab_runner.data_cleaning.repairs.classes import Classes, spans
from agentlab_runner.data_cleaning.repairs.readings import Bools, Ints


def foreign(classes: Classes, nodes: Ints, senses: Ints, hubs: Ints | None, parts: Ints, seen: Ints) -> Bools:
    """Whether each value is foreign to the concept that it might become a label of.

    It is so if it is a label of another concept of the same interpretation; if the ontology does not know it and it
    stands at least as often in classes of other meanings; or if what speaks for it are values of the concept in a class
    of its own (`hubs`) that stand at least as often elsewhere.

    Args:
        nodes, senses, hubs: how classes might be read, see `candidates.find_candidates`.
        parts: (value * number of senses + sense) * number of dependencies + dependency.
        seen: tuples of the value in the classes of that dependency read in that sense.
    """
    readings, cells, many = classes.readings, classes.cells, len(classes.ofds)
    owner, width, size = parts % many, readings.senses, len(readings.texts)
    value, sense = parts // many // width, parts // many % width
    found = readings.named_otherwise(value, sense)
    concept = sense < readings.concepts
    listed = senses < readings.concepts
    at_stake = np.bincount(classes.value, classes.count * (classes.members >= 0).any(axis=1), size)
    of_cell = classes.owner[cells.node] * size + cells.value
    for one in np.unique(readings.interpretation[sense[concept]]):
        mine = np.flatnonzero(concept)
        mine = mine[readings.interpretation[sense[mine]] == one]
        # a class that is read in concepts of other interpretations alone says nothing of this one
        silent = np.zeros(len(classes.size), dtype=bool)
        silent[nodes[listed]] = True
        silent[nodes[listed][readings.interpretation[senses[listed]] == one]] = False
        told = np.bincount(of_cell, cells.count * ~silent[cells.node], many * size)
        constant = classes.grouped[value[mine]] - at_stake[value[mine]]
        elsewhere = constant + told[owner[mine] * size + value[mine]] - seen[mine]
        found[mine] |= ~readings.known[value[mine]] & (elsewhere >= seen[mine])
    return found if hubs is None else found | _lent_by_strangers(classes, nodes, senses, hubs, parts)


def _lent_by_strangers(classes: Classes, nodes: Ints, senses: Ints, hubs: Ints, parts: Ints) -> Bools:
    readings, many = classes.readings, len(classes.ofds)
    hub = hubs[nodes] >= 0
    keys = (hubs[nodes[hub]] * readings.senses + senses[hub]) * many + classes.owner[nodes[hub]]
    at = np.searchsorted(parts, keys)
    here = np.bincount(at, classes.covered(nodes[hub], senses[hub]), len(parts))
    offsets, others = classes.cells.offsets, nodes[~hub]
    lengths = np.diff(offsets)[others]
    value, sense = classes.cells.value[spans(offsets[others], lengths)], np.repeat(senses[~hub], lengths)
    direct = np.zeros(len(parts), dtype=bool)  # it stands in classes, too, that are read in the concept anyway
    keys = (value * readings.senses + sense) * many + np.repeat(classes.owner[others], lengths)
    direct[np.searchsorted(parts, keys)] = True
    everywhere = np.zeros(len(parts))
    for position, ofd in enumerate(classes.ofds):
        lists = readings.names(ofd.theta)
        weight = np.repeat(classes.grouped, np.diff(lists.offsets))
        total = np.bincount(lists.classes, weight, readings.senses)
        mine = parts % many == position
        everywhere[mine] = total[parts[mine] // many % readings.senses]
    return (here > 0) & ~direct & (everywhere - here >= here)
