"""Memory: records found by id, by what they say, or by what they mean, in layers that are merged or vanish."""

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from agentlab_runner.agents.memory.embedders import Embedder, check_unit
from agentlab_runner.agents.memory.files import META, Files
from agentlab_runner.agents.memory.nearest import nearest
from agentlab_runner.agents.memory.record import Hit, Provenance, Record
from agentlab_runner.agents.memory.settings import MemorySettings
from agentlab_runner.agents.memory.table import Table
from agentlab_runner.runners.files.atomic import TEMPORARY, sync_folder

__all__ = ["Hit", "Memory", "Provenance", "Record", "Store", "search_each"]

Queries = Sequence[str] | NDArray[np.float32]
"""Texts, or [m, d] unit rows of the memory's embedder."""
Now = float | Sequence[float | None] | None
"""When a query asks: one time for all or one each. It sees what is available then; None: what has no gate."""


class Part(NamedTuple):
    """The first rows of a table."""

    table: Table
    rows: int


class Memory:
    """Records of its own over those of the memory it is a layer of, as they were when it was opened.

    Nothing depends on the order in which records were added: what comes in order comes by similarity, then by id.
    `get`, `in`, `len` and iteration know no gates; what an agent asks in the course of an episode, it asks by `find`
    and `search`.
    """

    def __init__(self, embedder: Embedder, below: Sequence[Part] = ()) -> None:
        self.embedder = embedder
        self._below = tuple(below)
        self._own = Table()

    def layer(self) -> "Memory":
        """A memory that reads this one, as it is now, and keeps what is added to it to itself.

        Dropped, it was never there; `merge` takes it over.
        """
        return Memory(self.embedder, self.parts())

    def parts(self) -> list[Part]:
        """The tables it reads, lowest first."""
        return [*self._below, Part(self._own, len(self._own))]

    def add(self, *records: Record, vectors: NDArray[np.float32] | None = None) -> None:
        """Remember these; one that is here already, and the same, is left as it is.

        Args:
            vectors: [len(records), d] unit rows of this embedder, where they are known; else the texts are embedded.

        Raises:
            ValueError: if another record has the id; then nothing was added.
            RunFailed: if they cannot be written or embedded; then nothing was added.
        """
        if vectors is not None:
            vectors = check_unit(vectors, len(records))
        fresh = self._fresh(records)
        if fresh:
            chosen = [records[at] for at in fresh]
            known = self.embedder.embed([one.text for one in chosen]) if vectors is None else vectors[fresh]
            self._keep(chosen, self._fitting(known))

    def merge(self, layers: Iterable["Memory"]) -> None:
        """Take over what was added to each of these layers, in whatever order they come; a store gives all it has.

        Raises:
            ValueError: if one id stands for different things among them and here, or one has another embedder.
            RunFailed: if it cannot be written.
        """
        tables = [(layer.embedder.name, layer._own) for layer in layers]
        for name, _ in tables:
            if name != self.embedder.name:
                raise ValueError(f"{name} embedded a layer, {self.embedder.name} this memory; use one for both")
        held = [(record, table.vectors[row]) for _, table in tables for row, record in enumerate(table.records)]
        held.sort(key=lambda pair: pair[0].id)
        fresh = self._fresh([record for record, _ in held])
        if fresh:
            self._keep([held[at][0] for at in fresh], self._fitting(np.stack([held[at][1] for at in fresh])))

    def get(self, key: str) -> Record | None:
        """The record with this id."""
        for table, rows in self.parts():
            row = table.row(key, rows)
            if row is not None:
                return table.records[row]
        return None

    def find(
        self, *, kind: str | None = None, where: Mapping[str, Any] | None = None, now: float | None = None
    ) -> list[Record]:
        """The records of this kind in whose payload these keys have these values, and that are available, by id."""
        asked = dict(where or {}).items()
        seen = ((table, np.flatnonzero(table.visible(rows, kind, now)).tolist()) for table, rows in self.parts())
        records = [table.records[row] for table, found in seen for row in found]
        return sorted(
            (one for one in records if all(key in one.payload and one.payload[key] == value for key, value in asked)),
            key=lambda one: one.id,
        )

    def search(
        self, queries: Queries, k: int, *, now: Now = None, kind: str | None = None, min_similarity: float = -1.0
    ) -> list[list[Hit]]:
        """For each query the `k` records most like it, best first; see `search_each`."""
        return search_each([self] * len(queries), queries, k, now=now, kind=kind, min_similarity=min_similarity)

    def __len__(self) -> int:
        return sum(rows for _, rows in self.parts())

    def __contains__(self, key: str) -> bool:
        return self.get(key) is not None

    def __iter__(self) -> Iterator[Record]:
        """All of them, by id."""
        records = [one for table, rows in self.parts() for one in table.records[:rows]]
        return iter(sorted(records, key=lambda one: one.id))

    def _fresh(self, records: Sequence[Record]) -> list[int]:
        """Where among these those stand that are to be added."""
        fresh: dict[str, int] = {}
        for at, record in enumerate(records):
            there = records[fresh[record.id]] if record.id in fresh else self.get(record.id)
            if there is None:
                fresh[record.id] = at
            elif there != record:
                raise ValueError(f"two different records have the id {record.id!r}; give each an id of its own")
        return list(fresh.values())

    def _fitting(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        for table, rows in self.parts():
            if rows and table.vectors.shape[1] != vectors.shape[1]:
                raise ValueError(
                    f"vectors of {vectors.shape[1]} numbers do not fit a memory of {table.vectors.shape[1]}; "
                    f"all are to be {self.embedder.name}'s"
                )
        return vectors

    def _keep(self, records: Sequence[Record], vectors: NDArray[np.float32]) -> None:
        self._own.append(records, vectors)


class Store(Memory):
    """A memory with nothing below it; opened in a folder, one that outlives the process."""

    _files: Files | None = None

    @classmethod
    def open(cls, folder: str | Path, embedder: Embedder, *, read_only: bool = False) -> Self:
        """The store of a folder, made if there is none; what a kill left half-written there is mended.

        Args:
            read_only: write nothing, as into a folder that somebody else made; it may not be added to.

        Raises:
            UserError: if the folder holds a store of another embedder, a damaged one, or none where none may be made.
            RunFailed: if it cannot be written, or what has no vector cannot be embedded.
        """
        store = cls(embedder)
        store._files = Files(Path(folder), embedder, read_only)
        store._files.load(store._own)
        return store

    @classmethod
    def begin(cls, folder: str | Path, settings: MemorySettings) -> Self:
        """The memory of a run, in `folder`, which has what `settings.folder` holds before anything else."""
        folder = Path(folder)
        if settings.folder is not None and not (folder / META).exists():
            unfinished = folder.with_name(f".{folder.name}{TEMPORARY}")
            shutil.rmtree(unfinished, ignore_errors=True)
            before = cls.open(Path(settings.folder).expanduser(), settings.embedder, read_only=True)
            cls.open(unfinished, settings.embedder).merge([before])
            os.rename(unfinished, folder)
            sync_folder(folder.parent)
        return cls.open(folder, settings.embedder)

    def _keep(self, records: Sequence[Record], vectors: NDArray[np.float32]) -> None:
        if self._files is not None:
            self._files.append(records, vectors)
        super()._keep(records, vectors)
        if self._files is not None:
            self._files.compact(self._own)


def search_each(
    memories: Sequence[Memory],
    queries: Queries,
    k: int,
    *,
    now: Now = None,
    kind: str | None = None,
    min_similarity: float = -1.0,
) -> list[list[Hit]]:
    """For each query the `k` records of its own memory most like it, best first, equally similar ones by id.

    Layers over one store are searched together, so that the episodes of a batch ask in one go.

    Args:
        memories: m of them, of one embedder.
        queries: m texts, or [m, d] unit rows.
        now: when they ask, see `Now`.
        kind: of the records wanted; None: any.
        min_similarity: what is less similar is not found.

    Raises:
        ValueError: if they do not go together.
        RunFailed: if a text cannot be embedded.
    """
    times = list(now) if isinstance(now, Sequence) else [now] * len(queries)
    if not len(memories) == len(queries) == len(times):
        raise ValueError(f"{len(queries)} queries ask {len(memories)} memories at {len(times)} times; give one each")
    if len({memory.embedder.name for memory in memories}) > 1:
        raise ValueError("memories of several embedders are not searched together; ask them one after the other")
    if k < 1:
        raise ValueError(f"k={k} finds nothing; ask for 1 or more")
    asking: dict[int, tuple[Table, dict[int, int]]] = {}
    for query, memory in enumerate(memories):
        for table, rows in memory.parts():
            if rows:
                asking.setdefault(id(table), (table, {}))[1][query] = rows
    found: list[list[Hit]] = [[] for _ in range(len(queries))]
    if not asking:
        return found
    vectors = _vectors(queries, memories[0].embedder)
    for table, asked in asking.values():
        width = table.vectors.shape[1]
        if vectors.shape[1] != width:
            raise ValueError(f"queries of {vectors.shape[1]} numbers do not fit a memory whose vectors have {width}")
        sights = {query: (rows, times[query]) for query, rows in asked.items()}
        masks = {sight: table.visible(sight[0], kind, sight[1]) for sight in set(sights.values())}
        best = nearest(table.vectors, vectors[list(sights)], [masks[sight] for sight in sights.values()], k)
        for query, (at, cosines) in zip(sights, best, strict=True):
            alike = zip(at.tolist(), cosines.tolist(), strict=True)
            found[query] += [Hit(table.records[row], cosine) for row, cosine in alike if cosine >= min_similarity]
    return [sorted(hits, key=lambda hit: (-hit.similarity, hit.record.id))[:k] for hits in found]


def _vectors(queries: Queries, embedder: Embedder) -> NDArray[np.float32]:
    return check_unit(queries, len(queries)) if isinstance(queries, np.ndarray) else embedder.embed(queries)
