"""A table on disk: dictionary-encoded by DuckDB and asked there by GROUP BY, within a memory limit."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from agentlab_runner.data_cleaning.discovery.strength import permutation
from agentlab_runner.data_cleaning.table.columns import Names
from agentlab_runner.data_cleaning.table.sources import stream
from agentlab_runner.data_cleaning.table.tables import Missing, Nulls, read
from agentlab_runner.data_cleaning.types import Strength, Table

INTERPRETER = 300 << 20
"""Bytes that Python with its libraries takes beside what DuckDB is given."""
SAMPLE = 20_000
"""Rows kept in memory: what fails on them fails on all."""
_LITERAL = 1 << 32
"""Added to a code it names the literal class of the value: above every concept, even for the codes < 0 of NULLs."""


def size_in_bytes(limit: int | str) -> int:
    """Of a number of bytes, or of text as `1.5GB`.

    Raises:
        ValueError: if it is neither, or less than the interpreter itself needs.
    """
    units = {"KB": 1e3, "MB": 1e6, "GB": 1e9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
    text = str(limit).strip().upper().removesuffix("B") + "B"
    unit = next((unit for unit in sorted(units, key=len, reverse=True) if text.endswith(unit)), "B")
    try:
        size = int(float(text.removesuffix(unit)) * units.get(unit, 1))
    except ValueError:
        raise ValueError(f"memory_limit is {limit!r}; give a number of bytes, or text as '1.5GB'") from None
    if size < 1.5 * INTERPRETER:
        raise ValueError(f"memory_limit is {limit!r}; Python and DuckDB need {1.5 * INTERPRETER / 1e6:.0f}MB at least")
    return size


@dataclass(frozen=True, slots=True)
class Relation:
    """A table on disk: `t` holds its codes as c0, c1, ... and the row number as id, `d0`, `d1`, ... the values."""

    names: tuple[str, ...]
    rows: int
    sample: Table
    """Rows at equal distances."""
    connection: duckdb.DuckDBPyConnection
    incomplete: int = 0
    """Rows that lack a cell and were left out ..."""
    origin: str = "id"
    """... so that the numbers of the others in the source are in another column of `t`."""

    def ask(self, query: str) -> tuple[Any, ...]:
        """The one row that a query gives."""
        return tuple(self.connection.execute(query).fetchall()[0])

    def bind(self, ontology: Names | None, theta: int, columns: Sequence[int]) -> set[int]:
        """Write the names of some columns to `n<column>` as (code, concept); returns the columns that have any."""
        if ontology is None:
            return set()
        bound = set()
        for column in columns:
            codes, values = self._dictionary(column)
            names = ontology.names(self.names[column], values, theta)
            if names is None:
                continue
            bound.add(column)
            listed = pa.table({"code": np.repeat(codes, np.diff(names.offsets)), "concept": names.classes})
            self.connection.register("listed", listed)
            self.connection.execute(f"CREATE OR REPLACE TABLE n{column} AS SELECT * FROM listed")
            self.connection.unregister("listed")
        return bound

    def table(self, only_where_unequal: tuple[Sequence[int], int] | None = None) -> tuple[Table, NDArray[np.int64]]:
        """The table in memory, and the numbers of its rows.

        Args:
            only_where_unequal: (lhs, rhs): only the rows whose left-hand class has several values on the right.
        """
        kept = "t"
        if only_where_unequal:
            lhs, rhs = only_where_unequal
            having = f"{_grouped(lhs)} HAVING min(c{rhs}) <> max(c{rhs})"
            same = " AND ".join(f"t.c{column} = k.c{column}" for column in lhs) or "true"
            left = ", ".join(f"c{column}" for column in lhs) or "0 AS c"
            kept = f"(SELECT t.* FROM t JOIN (SELECT {left} FROM t {having}) k ON {same})"
        codes, values = [], []
        for column in range(len(self.names)):
            (found,) = self._arrays(f"SELECT c{column} FROM {kept} ORDER BY id")
            used, dense = np.unique(found, return_inverse=True)
            known, texts = self._dictionary(column)
            codes.append(dense.astype(np.int32))
            values.append(tuple(texts[at] for at in np.searchsorted(known, used)))
        (ids,) = self._arrays(f"SELECT {self.origin} FROM {kept} ORDER BY id")
        return Table(self.names, tuple(codes), tuple(values)), ids

    def _arrays(self, query: str) -> list[NDArray[np.int64]]:
        return [np.asarray(column) for column in self.connection.execute(query).fetchnumpy().values()]

    def _dictionary(self, column: int) -> tuple[NDArray[np.int64], list[str | None]]:
        listed = self.connection.sql(f"SELECT code, value FROM d{column} ORDER BY code").to_arrow_table()
        return listed["code"].to_numpy(), listed["value"].to_pylist()

    def constant(self, lhs: Sequence[int], columns: Sequence[int]) -> tuple[bool, ...]:
        """Whether each of some columns has one value in every class."""
        least = ", ".join(f"min(c{column}) AS l{column}, max(c{column}) AS g{column}" for column in columns)
        every = ", ".join(f"bool_and(l{column} = g{column})" for column in columns)
        return self.ask(f"SELECT {every} FROM (SELECT {least} FROM t {_grouped(lhs)})")

    def classes(self, lhs: Sequence[int]) -> int:
        """Classes of two tuples at least."""
        return int(self.ask(f"SELECT count(*) FROM (SELECT count(*) AS n FROM t {_grouped(lhs)}) WHERE n > 1")[0])

    def measure(self, lhs: Sequence[int], rhs: int, bound: bool, table: str = "t") -> tuple[int, int, int, int]:
        """What `lhs` -> `rhs` comes to.

        Args:
            bound: whether `rhs` has names.
            table: where to look.

        Returns:
            Tuples that the best names cover, tuples that the most frequent values cover, classes that hold only by a
            concept, their tuples.
        """
        left = ", ".join(f"c{column}" for column in lhs) or "0 AS c"
        keys = ", ".join(f"c{column}" for column in lhs) or "c"
        concepts = f"UNION ALL SELECT {keys}, concept, n FROM g JOIN n{rhs} ON a = code" if bound else ""
        return self.ask(f"""
            WITH g AS (SELECT {left}, c{rhs} AS a, count(*) AS n FROM {table} GROUP BY ALL),
            named AS (SELECT {keys}, a + {_LITERAL} AS name, n FROM g {concepts}),
            counted AS (SELECT {keys}, name, sum(n) AS m FROM named GROUP BY ALL),
            judged AS (
                SELECT max(m) AS best, max(m) FILTER (name >= {_LITERAL >> 1}) AS alone,
                    sum(m) FILTER (name >= {_LITERAL >> 1}) AS size
                FROM counted GROUP BY {keys}
            )
            SELECT coalesce(sum(best), 0)::BIGINT, coalesce(sum(alone), 0)::BIGINT,
                count(*) FILTER (best = size AND alone < size),
                coalesce(sum(size) FILTER (best = size AND alone < size), 0)::BIGINT
            FROM judged""")

    def strength(self, lhs: Sequence[int], rhs: int) -> Strength | None:
        """Of a dependency on a bound column; None if names add nothing."""
        best, alone, classes, held = self.measure(lhs, rhs, True)
        if best == alone:
            return None
        stride, start, prime = permutation(self.rows)
        # f of `strength.permutation`, then again as often as it may take
        step = f"(%s::BIGINT * {stride} + {start}) %% {prime}"
        source = step % "id"
        for _ in range(_longest_walk(self.rows)):
            source = f"(SELECT CASE WHEN s < {self.rows} THEN s ELSE {step % 's'} END FROM (SELECT {source} AS s))"
        columns = "".join(f"left_.c{column}, " for column in lhs)
        self.connection.execute(
            f"CREATE OR REPLACE TEMP TABLE shuffled AS SELECT {columns} right_.c{rhs} "
            f"FROM (SELECT *, {source} AS source FROM t) left_ JOIN t right_ ON right_.id = left_.source"
        )
        chance = self.measure(lhs, rhs, True, "shuffled")[0]
        return Strength(classes, held, (best - alone) / self.rows, chance / self.rows)


@contextmanager
def stored(
    source: Any, memory_limit: int | str, threads: int, nulls: Missing = "equal", columns: Sequence[str] | None = None
) -> Iterator[Relation]:
    """Encode a source on disk, in a folder that is gone afterwards. Arguments and errors as in `tables.read`.

    Args:
        nulls: beside what `tables.read` takes `ignore`, which leaves out the rows that lack one of the columns.
    """
    budget = size_in_bytes(memory_limit) - INTERPRETER
    names, batches = stream(source, columns)
    with tempfile.TemporaryDirectory(prefix="agentlab-clean-") as folder:
        config: dict[str, Any] = {"memory_limit": f"{budget >> 20}MiB", "threads": threads, "temp_directory": folder}
        with duckdb.connect(str(Path(folder) / "table.duckdb"), config=config) as connection:
            schema = pa.schema([(f"c{column}", pa.string()) for column in range(len(names))])
            every = _receive(connection, schema, batches, nulls == "ignore")
            rows: int = connection.execute("SELECT count(*) FROM raw").fetchall()[0][0]
            step = -(-rows // SAMPLE) or 1
            kept = connection.sql(f"SELECT * FROM raw WHERE rowid % {step} = 0 ORDER BY rowid").to_arrow_table()
            how: Nulls = "distinct" if nulls == "distinct" else "equal"
            sample = read(kept.select(range(len(names))).rename_columns(names), nulls=how)
            origin = "origin" if nulls == "ignore" else "id"
            _encode(connection, len(names), how, origin)
            yield Relation(tuple(names), rows, sample, connection, every - rows, origin)


def _receive(
    connection: duckdb.DuckDBPyConnection, schema: pa.Schema, batches: Iterator[pa.RecordBatch], complete: bool
) -> int:
    """The batches as the table `raw`, and how many rows they are.

    What is wrong with them is raised as it is, not as DuckDB wraps it.

    Args:
        complete: keep the rows without NULL only, and their numbers as `origin`.
    """
    faults: list[ValueError] = []
    rows = 0

    def renamed() -> Iterator[pa.RecordBatch]:
        nonlocal rows
        try:
            for batch in batches:
                rows += len(batch)
                yield pa.RecordBatch.from_arrays(batch.columns, schema=schema)
        except ValueError as fault:
            faults.append(fault)
            raise

    connection.register("arriving", pa.RecordBatchReader.from_batches(schema, renamed()))
    try:
        source = "arriving"
        if complete:
            there = " AND ".join(f"{name} IS NOT NULL" for name in schema.names)
            source = f"(SELECT *, row_number() OVER () - 1 AS origin FROM arriving) WHERE {there}"
        connection.execute(f"CREATE TABLE raw AS SELECT * FROM {source}")
    except duckdb.Error:
        if faults:
            raise faults[0] from None
        raise
    connection.unregister("arriving")
    return rows


def _encode(connection: duckdb.DuckDBPyConnection, width: int, nulls: Nulls, origin: str) -> None:
    kept = ["raw.rowid AS id"] if origin == "id" else ["raw.rowid AS id", origin]
    joins = []
    for column in range(width):
        connection.execute(
            f"CREATE TABLE d{column} AS SELECT c{column} AS value, (row_number() OVER () - 1)::BIGINT AS code "
            f"FROM (SELECT DISTINCT c{column} FROM raw WHERE c{column} IS NOT NULL)"
        )
        kept.append(f"coalesce(d{column}.code, {'-1' if nulls == 'equal' else '-1 - raw.rowid'}) AS c{column}")
        joins.append(f"LEFT JOIN d{column} ON raw.c{column} = d{column}.value")
    connection.execute(f"CREATE TABLE t AS SELECT {', '.join(kept)} FROM raw {' '.join(joins)}")
    connection.execute("DROP TABLE raw")
    for column in range(width):
        connection.execute(f"INSERT INTO d{column} SELECT NULL, c{column} FROM t WHERE c{column} < 0 GROUP BY ALL")


def _grouped(lhs: Sequence[int]) -> str:
    return f"GROUP BY {', '.join(f'c{column}' for column in lhs)}" if lhs else ""


def _longest_walk(rows: int) -> int:
    """How often f of `strength.permutation` is applied again at most, to come back below `rows`."""
    stride, start, prime = permutation(rows)
    longest = 0
    for beyond in range(rows, prime):
        steps, at = 0, beyond
        while at >= rows:
            steps, at = steps + 1, (at * stride + start) % prime
        longest = max(longest, steps)
    return longest
