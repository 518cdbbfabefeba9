"""Discovery and checks on a table that does not fit in memory; the results are those of the kernels."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agentlab_runner.data_cleaning.discovery import fastofd, logic
from agentlab_runner.data_cleaning.discovery.lattice import Counters, Masks, Progress, Pruning, mask_columns, search
from agentlab_runner.data_cleaning.discovery.store import INTERPRETER, Relation, size_in_bytes, stored
from agentlab_runner.data_cleaning.table.columns import Names, arrange, bind, columns_of
from agentlab_runner.data_cleaning.table.tables import Missing, Nulls
from agentlab_runner.data_cleaning.types import OFD, Kind


def discover(
    source: Any, ontology: Names | None, memory_limit: int | str, nulls: Nulls, *, kind: Kind, theta: int, kappa: float,
    max_lhs: int | None, allow_empty_lhs: bool, threads: int, pruning: Pruning, counters: Counters,
    progress: Callable[[Progress], None],
) -> list[OFD]:
    """`discover` within a memory limit, by the kernels if the encoded table fits and inside DuckDB if not."""
    with stored(source, memory_limit, threads, nulls) as relation:
        if _bytes_needed(relation, threads) > size_in_bytes(memory_limit):
            width = len(relation.names)
            fastofd.check_width(width)
            bound = relation.bind(ontology, theta, range(width))
            order = range(width)
            sample = arrange(relation.sample, bind(relation.sample, ontology, theta), order)
            limit = fastofd.allowed(relation.rows, kappa)
            kernels = fastofd.Kernels(sample, limit, threads, pruning, Counters())
            tester = Queries(relation, bound, limit, kernels, counters)
            found = search(tester, width, max_lhs, allow_empty_lhs, pruning, counters, progress)
            strengths = [
                relation.strength(mask_columns(one.left), one.right) if one.right in bound else None for one in found
            ]
            return fastofd.in_order(found, strengths, order, relation.names, relation.rows, kind, theta)
        table, _ = relation.table()
    return fastofd.search_table(
        table, ontology, kind=kind, theta=theta, kappa=kappa, max_lhs=max_lhs, allow_empty_lhs=allow_empty_lhs,
        threads=threads, pruning=pruning, counters=counters, progress=progress,
    )


def check(
    source: Any, ofd: OFD, ontology: Names | None, memory_limit: int | str, *, nulls: Missing = "ignore",
    threads: int = 1,
) -> logic.Report:
    """`logic.check` within a memory limit: only classes of unequal values come into memory."""
    columns = list(dict.fromkeys((*ofd.lhs, ofd.rhs)))
    *lhs, rhs = columns_of(ofd, columns)
    with stored(source, memory_limit, threads, nulls, columns) as relation:
        table, ids = relation.table((lhs, rhs))
        report = logic.check(table, ofd, ontology, nulls="equal")  # as they are encoded
        classes = relation.classes(lhs)
        bound = relation.bind(ontology, ofd.theta, [rhs])
        support = (relation.rows - report.deficit) / relation.rows if relation.rows else 1.0
        strength = relation.strength(lhs, rhs) if bound and relation.rows else None
        return replace(
            report, ofd=replace(ofd, support=support, strength=strength), rows=relation.rows, classes=classes,
            constant=classes - report.by_name - report.violated, incomplete=relation.incomplete,
            _row_ids=ids.astype(np.int32),
        )


class Queries:
    """Tests the candidates of a level on disk, those that hold on a sample of the rows."""

    def __init__(
        self, relation: Relation, bound: set[int], limit: int, sample: fastofd.Kernels, counters: Counters
    ) -> None:
        self._relation = relation
        self._bound = bound
        self._limit = limit
        self._sample = sample
        self._counters = counters

    def test(
        self, level: int, masks: Masks, pending: Masks, report: Callable[[int], None]
    ) -> tuple[Masks, NDArray[np.int32] | None]:
        """See `lattice.Tester`."""
        possible, _ = self._sample.test(level, masks, pending, lambda _: None)
        self._counters.refuted += int(np.bitwise_count(pending & ~possible).sum())
        holds = np.zeros(len(masks), np.uint64)
        deficits = np.zeros((len(masks), len(self._relation.names)), np.int32)
        for node in np.flatnonzero(possible):
            lhs, wanted = mask_columns(int(masks[node])), mask_columns(int(possible[node]))
            self._counters.tested += len(wanted)
            for column, broken in zip(wanted, self._broken(lhs, wanted), strict=True):
                if broken <= self._limit:
                    holds[node] |= np.uint64(1 << column)
                    deficits[node, column] = broken
            report(int(node) + 1)
        return holds, deficits

    def _broken(self, lhs: Sequence[int], wanted: Sequence[int]) -> list[int]:
        """Tuples to drop for each of `wanted`; for exact dependencies more than 0 is all that is asked."""
        rows = self._relation.rows
        if self._limit:
            return [rows - self._relation.measure(lhs, column, column in self._bound)[0] for column in wanted]
        constant = self._relation.constant(lhs, wanted)
        return [
            0 if same else rows - self._relation.measure(lhs, column, True)[0] if column in self._bound else 1
            for column, same in zip(wanted, constant, strict=True)
        ]


def _bytes_needed(relation: Relation, threads: int) -> int:
    """By the kernels: every column's codes twice or thrice, and for each thread partitions some columns deep."""
    return INTERPRETER + 4 * relation.rows * (3 * len(relation.names) + 10 * threads)
