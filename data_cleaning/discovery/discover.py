"""All minimal ontology functional dependencies of a table, wherever it fits: in memory or on disk."""

import os
from collections.abc import Callable
from typing import Any

from agentlab_runner.data_cleaning.discovery.fastofd import search_table
from agentlab_runner.data_cleaning.discovery.lattice import Counters, Progress, Pruning
from agentlab_runner.data_cleaning.table.columns import Names, check_kind
from agentlab_runner.data_cleaning.table.tables import Nulls, read
from agentlab_runner.data_cleaning.types import OFD, Kind, Table


def discover(
    table: Any,
    ontology: Names | None = None,
    *,
    kind: Kind = "synonym",
    theta: int = 0,
    kappa: float = 1.0,
    max_lhs: int | None = None,
    allow_empty_lhs: bool = True,
    threads: int | None = None,
    memory_limit: int | str | None = None,
    nulls: Nulls = "equal",
    pruning: Pruning | None = None,
    counters: Counters | None = None,
    progress: Callable[[Progress], None] = lambda _: None,
) -> list[OFD]:
    """All minimal dependencies X -> A with one column A that hold on the table.

    Args:
        table: a Table, or whatever `tables.read` takes.
        ontology: concepts of some columns; without, the result is the functional dependencies.
        kind: "synonym": the values of every class have a common concept; "inheritance": a common ancestor.
        theta: is-a steps from a value's concept to that ancestor at most.
        kappa: share of the tuples on which the dependency has to hold.
        max_lhs: columns on the left side at most.
        allow_empty_lhs: report [] -> A when the whole column is one concept.
        threads: all cores if not given; the result does not depend on it.
        memory_limit: bytes, or text as "1.5GB"; what does not fit is searched on disk, inside DuckDB.
        nulls: how NULLs compare, see `tables.read`; like the memory limit it does not concern a Table.
        pruning: what to skip; everything that may be if not given.
        counters: filled in.
        progress: called a few dozen times a level.

    Returns:
        Dependencies by number of left-hand columns, then by position of these, then of the right-hand column. Those to
        which names add something carry their strength.

    Raises:
        ValueError: if a setting is out of range or the table has more than 63 columns.
    """
    check_kind(kind, theta)
    if not 0 < kappa <= 1:
        raise ValueError(f"kappa is {kappa}; it is a share of tuples and should be above 0 and at most 1")
    if max_lhs is not None and max_lhs < 0:
        raise ValueError(f"max_lhs is {max_lhs}; it should be 0 or more")
    if threads is not None and threads < 1:
        raise ValueError(f"threads is {threads}; it should be 1 or more")
    searched: dict[str, Any] = {
        "kind": kind, "theta": theta, "kappa": kappa, "max_lhs": max_lhs, "allow_empty_lhs": allow_empty_lhs,
        "threads": threads or _cores(), "pruning": pruning or Pruning(),
        "counters": Counters() if counters is None else counters, "progress": progress,
    }  # fmt: skip
    if memory_limit is not None and not isinstance(table, Table):
        from agentlab_runner.data_cleaning.discovery import sql

        return sql.discover(table, ontology, memory_limit, nulls, **searched)
    return search_table(table if isinstance(table, Table) else read(table, nulls=nulls), ontology, **searched)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

