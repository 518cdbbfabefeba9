"""Senses, additions and changes chosen together: the exact repair as a 0/1 program (spec 2.7), solved by HiGHS.

    minimise  sum n_g u_g          u_g: the tuples of group g change
    sum_E y_xE = 1                 y_xE: class x is read in sense E
    u_g >= y_xE - z_vE             z_vE: value v is added to concept E; v the value of g, outside E, g inside x
    u_g <= sum_l w_cl              w_cl: tuples that share all their classes c may become label l
    w_cl + y_xE <= 1 + z_lE        for every x of c whose sense E does not list l
    sum z <= k                     for k = 0, 1, ... until nothing more is saved
"""

from dataclasses import dataclass, replace

import numpy as np

from agentlab_runner.data_cleaning.repairs.candidates import Candidates, find_candidates
from agentlab_runner.data_cleaning.repairs.classes import Classes, spans
from agentlab_runner.data_cleaning.repairs.front import Choice, Piece
from agentlab_runner.data_cleaning.repairs.readings import Bools, Ints
from agentlab_runner.data_cleaning.repairs.senses import Floats

EXACT_SIZE = 600
"""Most 0/1 variables that `search: auto` solves exactly; a second or two of work."""
EXACT_PART = 100
"""Most of them in one part, where the work is exponential."""


@dataclass(frozen=True)
class Program:
    """All sense choices of one column, cut into parts that share neither tuples nor possible additions."""

    classes: Classes
    assigned: Ints
    """[X], the senses preferred among equals."""
    candidates: Candidates
    """For every sense a class may be read in."""
    supported: Candidates
    """For the assigned senses; says which additions are preferred among equals."""
    node: Ints
    sense: Ints
    """The senses each class may be read in, one a row, sorted."""
    part: Ints
    """[X], which part each class belongs to."""
    sizes: Ints
    """0/1 variables of each part."""

    def is_supported(self, value: int, sense: int) -> bool:
        row = self.supported.row.get((value, sense))
        return row is not None and bool(self.supported.supported[row])

    @property
    def is_small(self) -> bool:
        return int(self.sizes.sum()) <= EXACT_SIZE and int(self.sizes.max(initial=0)) <= EXACT_PART

    def pieces(self, limit: int | None = None) -> list[Piece]:
        """Every part solved for each number of additions up to `limit`."""
        return [_Part(self, part).solve(limit) for part in range(len(self.sizes))]


def program(
    classes: Classes, assigned: Ints, candidates: Candidates, *, typo_guard: bool = True, adopt_foreign: bool = False,
    wide: bool = False,
) -> Program:
    """The program of one column.

    A class may be read in every sense that covers one of its values, or a value of a class it shares tuples with,
    directly or through others.

    Args:
        wide: also in the concepts open to classes with which it has values in common, directly or through others, since
            they may share additions; where there is none of these, in the first concept there is. No other concept can
            do better: what none of the values is a label of, all are alike to.
    """
    hub = classes.members.max(axis=1, initial=-1)
    group, member = np.nonzero(classes.members >= 0)
    linked = _join(len(classes.size), hub[group], classes.members[group, member])
    open_to = np.unique(np.stack([linked[classes.cover.node], classes.cover.sense]), axis=1)
    start, end = (np.searchsorted(open_to[0], linked, side=side) for side in ("left", "right"))
    node = np.repeat(np.arange(len(linked)), end - start)
    sense = open_to[1][spans(start, end - start)]
    if wide:
        node, sense = _widened(classes, node, sense)
    possible = find_candidates(classes, node, sense, typo_guard=typo_guard, adopt_foreign=adopt_foreign)
    judged = candidates.find(possible.value, possible.sense)
    refused = (judged >= 0) & ~candidates.allowed[judged] if len(candidates.value) else judged >= 0
    possible = replace(possible, allowed=possible.allowed & ~refused)
    first: dict[int, int] = {}
    ties = [(int(np.flatnonzero(linked == own)[0]), x) for x, own in enumerate(linked.tolist())]
    for x, e in zip(node.tolist(), sense.tolist(), strict=True):
        values = classes.cells.value[classes.cells.offsets[x] : classes.cells.offsets[x + 1]]
        rows = possible.find(values, np.full(len(values), e))
        ties += [(first.setdefault(row, x), x) for row in rows[rows >= 0].tolist() if possible.allowed[row]]
    part = _join(len(linked), *np.array(ties, dtype=np.int64).reshape(-1, 2).T)
    owners = np.concatenate((node, np.array(list(first.values()), dtype=np.int64)))
    return Program(classes, assigned, possible, candidates, node, sense, part, np.bincount(part[owners]))


def _widened(classes: Classes, node: Ints, sense: Ints) -> tuple[Ints, Ints]:
    """(node, sense) with every concept that may serve a class too; sorted by node."""
    cells, count = classes.cells, len(classes.size)
    first = np.zeros(len(classes.readings.texts), dtype=np.int64)
    first[cells.value[::-1]] = cells.node[::-1]
    together = _join(count, first[cells.value], cells.node)  # those that share tuples share values
    known = sense < classes.readings.concepts
    shared = np.unique(np.stack([together[node[known]], sense[known]]), axis=1)
    if classes.readings.concepts:
        without = np.setdiff1d(together, shared[0])
        shared = np.concatenate((shared, np.stack([without, np.zeros_like(without)])), axis=1)
        shared = shared[:, np.argsort(shared[0], kind="stable")]
    start, end = (np.searchsorted(shared[0], together, side=side) for side in ("left", "right"))
    more = np.stack([np.repeat(np.arange(count), end - start), shared[1][spans(start, end - start)]])
    both = np.unique(np.concatenate((np.stack([node, sense]), more), axis=1), axis=1)
    return both[0], both[1]


def _join(count: int, left: Ints, right: Ints) -> Ints:
    """[count], equal for what the pairs join."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    graph = coo_matrix((np.ones(len(left), dtype=np.int8), (left, right)), shape=(count, count))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)


class _Part:
    """The 0/1 program of one part. Variables are numbered as they are first named."""

    def __init__(self, whole: Program, part: int) -> None:
        self.whole = whole
        classes = self.classes = whole.classes
        self.number: dict[tuple[str, tuple[int, ...]], int] = {}
        self.rows: list[tuple[dict[int, float], float, float]] = []
        """(coefficient by variable, lower, upper)."""
        inside = whole.part[whole.node] == part
        self.open: dict[int, list[int]] = {}
        for x, e in zip(whole.node[inside].tolist(), whole.sense[inside].tolist(), strict=True):
            self.open.setdefault(x, []).append(e)
        for x, senses in self.open.items():
            self.rows.append(({self._variable("y", x, e): 1 for e in senses}, 1, 1))
        hub = classes.members.max(axis=1, initial=-1)
        shared: dict[tuple[int, ...], list[int]] = {}
        for g in np.flatnonzero((hub >= 0) & (whole.part[hub] == part)).tolist():
            nodes = [x for x in classes.members[g].tolist() if x >= 0]
            for x in nodes:
                self._keep_or_change(g, x)
            if len(nodes) > 1:
                shared.setdefault(tuple(nodes), []).append(g)
        for nodes_, groups in shared.items():
            self._agree_on_a_label(nodes_, groups)

    def solve(self, limit: int | None) -> Piece:
        """The best of every number of additions until nothing more is saved.

        Among equals, the fewest additions, supported ones before others, and the senses as they were assigned.
        """
        doubts = np.zeros(len(self.number))
        cells = np.zeros(len(self.number))
        additions = np.zeros(len(self.number))
        for name, variable in self.number.items():
            match name:
                case "u", (g,):
                    cells[variable] = self.classes.count[g]
                case "y", (x, e):
                    doubts[variable] = self.whole.assigned[x] != e
                case "z", (v, e):
                    additions[variable] = 1
                    doubts[variable] = 2 - self.whole.is_supported(v, e)
        cost = cells * (1 + doubts.sum()) + doubts
        least, _ = self._minimum(cost, cells, additions, np.inf)
        costs: list[int] = []
        choices: list[Choice] = []
        while not costs or (costs[-1] > least and (limit is None or len(costs) <= limit)):
            changes, taken = self._minimum(cost, cells, additions, len(costs))
            costs.append(changes)
            choices.append(self._choice(taken))
        return Piece(np.array(costs, dtype=np.int64), choices)

    def _minimum(self, cost: Floats, cells: Floats, additions: Floats, limit: float) -> tuple[int, Bools]:
        """(changed cells, [variables] bool) of the best solution with at most `limit` additions."""
        from scipy.optimize import LinearConstraint, milp
        from scipy.sparse import csr_array

        rows = [*self.rows, ({int(one): 1.0 for one in np.flatnonzero(additions)}, 0, limit)]
        entries = [(row, *term) for row, (terms, _, _) in enumerate(rows) for term in terms.items()]
        at_row, at_variable, factors = zip(*entries, strict=True)
        matrix = csr_array((factors, (at_row, at_variable)), shape=(len(rows), len(cost)))
        integral = np.array([name[0] in ("y", "z") for name in self.number])  # u and w follow
        bounds = LinearConstraint(matrix, [low for _, low, _ in rows], [high for _, _, high in rows])
        found = milp(cost, constraints=bounds, integrality=integral, bounds=(0, 1), options={"mip_rel_gap": 0})
        if found.x is None:
            raise ValueError(f"the exact repair could not be solved ({found.message}); let the search be fixed")
        taken = found.x > 0.5
        return round(float(cells @ taken)), taken

    def _choice(self, taken: Bools) -> Choice:
        column = self.classes.readings.column
        pairs: dict[str, list[tuple[int, ...]]] = {"y": [], "z": []}
        for (kind, numbers), variable in self.number.items():
            if taken[variable] and kind in pairs:
                pairs[kind].append(numbers)
        senses, added = (tuple((column, one, e) for one, e in sorted(pairs[kind])) for kind in ("y", "z"))
        return Choice(added, senses)

    def _keep_or_change(self, group: int, node: int) -> None:
        """u_g >= y_xE - z_vE."""
        value = int(self.classes.value[group])
        for sense, covered in self._covered(node, value):
            if not covered:
                terms = {self._variable("y", node, sense): 1.0, self._variable("u", group): -1.0}
                self.rows.append((terms | self._addition(value, sense), -np.inf, 0))

    def _agree_on_a_label(self, nodes: tuple[int, ...], groups: list[int]) -> None:
        """u_g <= sum_l w_cl and w_cl + y_xE <= 1 + z_lE."""
        classes, readings = self.classes, self.classes.readings
        inside = np.isin(classes.members, list(self.open)).any(axis=1)
        codes = {readings.texts[v]: v for v in np.unique(classes.value[inside]).tolist() if not readings.null[v]}
        theta = {x: int(classes.theta(np.array([x]))[0]) for x in nodes}
        texts = dict.fromkeys(codes)
        for x in nodes:
            texts |= dict.fromkeys(text for e in self.open[x] for text in readings.labels(theta[x], e))
        labels = [text for text in texts if text is not None]
        for g in groups:
            words = {self._variable("w", *nodes, label): -1.0 for label in range(len(labels))}
            self.rows.append(({self._variable("u", g): 1.0} | words, -np.inf, 0))
        for x in nodes:
            for e in self.open[x]:
                for label, covered in enumerate(readings.covers_text(theta[x], labels, e)):
                    if not covered:
                        terms = {self._variable("w", *nodes, label): 1.0, self._variable("y", x, e): 1.0}
                        code = codes.get(labels[label])
                        self.rows.append((terms | ({} if code is None else self._addition(code, e)), -np.inf, 1))

    def _covered(self, node: int, value: int) -> list[tuple[int, bool]]:
        senses = np.array(self.open[node], dtype=np.int64)
        covered = self.classes.covers(np.array(node), np.array(value), senses)
        return list(zip(self.open[node], covered.tolist(), strict=True))

    def _addition(self, value: int, sense: int) -> dict[int, float]:
        """The term - z_vE; empty if the addition may not be made."""
        possible = self.whole.candidates
        row = possible.row.get((value, sense))
        return {self._variable("z", value, sense): -1.0} if row is not None and possible.allowed[row] else {}

    def _variable(self, kind: str, *numbers: int) -> int:
        return self.number.setdefault((kind, numbers), len(self.number))
