"""Which sense each equivalence class is read in: first by coverage, then so that classes that share tuples agree.

The refinement is the local search of OFDClean (arXiv 2105.08105) on the dependency graph.
"""

from collections import deque
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from agentlab_runner.data_cleaning.repairs.classes import Classes, spans, sum_by
from agentlab_runner.data_cleaning.repairs.readings import Ints

Init = Literal["max_cover", "mad"]
Emd = Literal["normalised", "cumulative"]
Floats = NDArray[np.float64]


def assign(classes: Classes, init: Init = "max_cover") -> Ints:
    """[X], a first sense for every class.

    Args:
        init: `max_cover` takes the sense that covers most tuples; ties go to the one that covers more distinct values,
            then to the first. `mad` is the published heuristic, see `_mad`; where it finds none, `max_cover` decides.
    """
    cover = classes.cover
    order = np.lexsort((cover.sense, -cover.values, -cover.tuples, cover.node))
    first = np.concatenate(([True], np.diff(cover.node[order]) > 0)) if len(order) else order.astype(bool)
    best: Ints = cover.sense[order][first]
    if init == "mad":
        for node in range(len(best)):
            best[node] = _mad(classes, node, int(best[node]))
    return best


def _mad(classes: Classes, node: int, otherwise: int) -> int:
    """The sense all values near the median frequency agree on, as many of them as possible.

    Values in order of |frequency - median|; the largest k whose first k known values have a sense in common; of these
    senses the one that covers most tuples (spec 2.6).
    """
    span = slice(classes.cells.offsets[node], classes.cells.offsets[node + 1])
    value, count = classes.cells.value[span], classes.cells.count[span]
    order = np.lexsort((value, -count, np.abs(count - np.median(count))))
    names = classes.readings.names(classes.ofds[classes.owner[node]].theta)
    agreed: set[int] | None = None
    for one in value[order]:
        own = set(names.classes[names.offsets[one] : names.offsets[one + 1]].tolist())
        both = own if agreed is None else agreed & own
        if own and not both:
            break
        agreed = both if own else agreed
    if not agreed:
        return otherwise
    senses = np.array(sorted(agreed), dtype=np.int64)
    return int(senses[np.argmax(classes.covered(np.full(len(senses), node), senses))])


def emd(p: Ints, q: Ints, kind: Emd = "normalised") -> float:
    """Earth mover's distance of two histograms over the same values.

    Args:
        p, q: [K] counts.
        kind: `normalised`, all values equally far from one another: half the sum of |p - q| of the shares, in [0, 1];
            `cumulative`, values on a line in the order given: the sum of |running sum of p - q| on raw counts.
    """
    if kind == "cumulative":
        return float(np.abs(np.cumsum(p - q)).sum())
    return float(np.abs(p / max(1, p.sum()) - q / max(1, q.sum())).sum() / 2)


@dataclass(frozen=True, slots=True)
class Graph:
    """The dependency graph: an edge for every two classes of different dependencies that share tuples."""

    left: Ints
    right: Ints
    """[E], the classes it joins."""
    offsets: Ints
    """[E + 1] into the other two: the values of the shared tuples."""
    value: Ints
    count: Ints

    def shared(self, edge: int) -> tuple[Ints, Ints]:
        span = slice(self.offsets[edge], self.offsets[edge + 1])
        return self.value[span], self.count[span]


def dependency_graph(classes: Classes) -> Graph:
    """Every edge once; found by grouping tuples, never by comparing classes."""
    nodes, values = len(classes.size), len(classes.readings.texts)
    keys, counts = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
    for one in range(len(classes.ofds)):
        for other in range(one + 1, len(classes.ofds)):
            left, right = classes.members[:, one], classes.members[:, other]
            both = (left >= 0) & (right >= 0)
            keys.append((left[both] * nodes + right[both]) * values + classes.value[both])
            counts.append(classes.count[both])
    key, count = sum_by(np.concatenate(keys), np.concatenate(counts))
    pair, start = np.unique(key // max(1, values), return_index=True)
    return Graph(pair // max(1, nodes), pair % max(1, nodes), np.append(start, len(key)), key % max(1, values), count)


class EdgeWeights:
    """How differently the two ends of an edge read the tuples they share.

    The weight is the EMD between the values of the shared tuples as one class reads them and as the other does. As
    published (`cumulative`) a covered value reads as the canonical label of its class's sense. That hides how senses of
    one label differ, as two authorities have them for one drug, so `normalised` reads it as the sense itself. Where
    both ends have one sense the weight is 0.
    """

    def __init__(self, classes: Classes, graph: Graph, kind: Emd) -> None:
        self.classes, self.graph, self.kind = classes, graph, kind
        readings = classes.readings
        canonical = [next(iter(concept.labels), None) for concept in readings.hierarchy.concepts]
        texts = ["" if text is None else f"={text}" for text in [*readings.texts, *canonical]]
        place = {text: number for number, text in enumerate(sorted(set(texts)))}
        places = np.array([place[text] for text in texts], dtype=np.int64)
        self._value, labels = np.split(places, [len(readings.texts)])  # on the line of `cumulative`: by text
        self._width = len(place) + readings.concepts
        if kind == "normalised":
            labels = len(place) + np.arange(readings.concepts)
        self._sense = np.concatenate((labels, self._value))

    def __call__(self, senses: Ints, which: Ints) -> Floats:
        """[len(which)], the weights of the edges `which` while the classes are read in `senses`."""
        graph = self.graph
        weights: Floats = np.zeros(len(which))
        differ = np.flatnonzero(senses[graph.left[which]] != senses[graph.right[which]])
        lengths = np.diff(graph.offsets)[which[differ]]
        edge = np.repeat(np.arange(len(differ)), lengths)
        at = spans(graph.offsets[which[differ]], lengths)
        value, count = graph.value[at], graph.count[at]
        sides = []
        for ends in (graph.left, graph.right):
            node = np.repeat(ends[which[differ]], lengths)
            covered = self.classes.covers(node, value, senses[node])
            sides.append(np.where(covered, self._sense[senses[node]], self._value[value]))
        places = np.tile(edge * self._width, 2) + np.concatenate(sides)
        keys, p_minus_q = sum_by(places, np.concatenate((count, -count)))
        owner = keys // self._width
        if self.kind == "cumulative":
            p_minus_q = np.cumsum(p_minus_q)  # it is 0 again at the end of each edge
        scale = np.bincount(edge, 2.0 * count, len(differ)) if self.kind == "normalised" else 1.0
        weights[differ] = np.bincount(owner, np.abs(p_minus_q), len(differ)) / scale
        return weights


def refine(classes: Classes, senses: Ints, kind: Emd = "normalised", threshold: float = 0.1) -> Ints:
    """Senses after classes that read their shared tuples differently have been brought to agree where that is cheap.

    In every component, breadth first from the class whose edges weigh most. At an edge above `threshold` three ways out
    are priced (spec 2.6): additions to the ontology, changes of the data, and one class taking the other's sense. The
    last is taken where it costs less than both others, or nothing at all.

    Args:
        senses: [X], as `assign` gives them; left as they are.
        threshold: least EMD worth looking at; 0.1 for `normalised`, 20 as published for `cumulative`.
    """
    senses = senses.copy()
    graph = dependency_graph(classes)
    weigh = EdgeWeights(classes, graph, kind)
    weight = weigh(senses, np.arange(len(graph.left)))
    heavy = np.bincount(graph.left, weight, len(senses)) + np.bincount(graph.right, weight, len(senses))
    edges_of = _incident(graph, len(senses))
    seen = np.zeros(len(senses), dtype=bool)
    for root in np.lexsort((np.arange(len(senses)), -heavy)):
        if heavy[root] <= threshold:
            break  # no edge of what is left can weigh more
        queue = deque([] if seen[root] else [int(root)])
        seen[root] = True
        while queue:
            here = queue.popleft()
            for edge in edges_of[here]:
                there = int(graph.left[edge] + graph.right[edge]) - here
                if weight[edge] > threshold and (changed := _cheapest(classes, graph, senses, edge, here, there)):
                    node, sense = changed
                    senses[node] = sense
                    weight[edges_of[node]] = weigh(senses, np.array(edges_of[node]))
                if not seen[there]:
                    seen[there] = True
                    queue.append(there)
    return senses


def _incident(graph: Graph, nodes: int) -> list[list[int]]:
    """The edges of every node, in ascending order."""
    found: list[list[int]] = [[] for _ in range(nodes)]
    for edge, (left, right) in enumerate(zip(graph.left.tolist(), graph.right.tolist(), strict=True)):
        found[left].append(edge)
        found[right].append(edge)
    return found


def _cheapest(
    classes: Classes, graph: Graph, senses: Ints, edge: int, here: int, there: int
) -> tuple[int, int] | None:
    """(class, its new sense), if a change of sense is the cheapest way out of the disagreement on this edge."""
    value, count = graph.shared(edge)
    ends = np.array([here, there])
    outside = ~classes.covers(ends[:, None], value[None, :], senses[ends][:, None])  # [2, values]
    additions, changes = int(outside.sum()), int((outside * count).sum())
    own = classes.covered(ends, senses[ends])
    price_there, price_here = own[::-1] - classes.covered(ends[::-1], senses[ends])  # of taking the other's sense
    node, other = (there, here) if price_there <= price_here else (here, there)
    price = min(price_there, price_here)
    return (node, int(senses[other])) if price <= 0 or price < min(additions, changes) else None
