"""A memory's folder, which only ever grows at its ends.

    store.json             whose embedder made the vectors
    records.jsonl          a record a line
    vectors-000001.npz     ids and vectors of some of them; of an id that is in several, the one in the last counts

Vectors are written before their records. A kill leaves at most vectors without records and half a line, which count for
nothing and are taken away by the next opening. Small files of vectors are put together as they become many.
"""

import io
import json
import logging
import re
import zipfile
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agentlab_runner.agents.memory.embedders import Embedder, check_unit
from agentlab_runner.agents.memory.record import LONGEST_ID, Record
from agentlab_runner.agents.memory.table import Table
from agentlab_runner.runners.errors import RunFailed, UserError
from agentlab_runner.runners.files.atomic import (
    TEMPORARY,
    append_line,
    atomic_file,
    explain_writing,
    make_folder,
    sync_folder,
    write_atomic,
)
from agentlab_runner.runners.files.lock import take_lock
from agentlab_runner.runners.files.received import LINES_LIMIT, check_folder, read_bytes, read_object

log = logging.getLogger(__name__)

FORMAT = 1
META, RECORDS = "store.json", "records.jsonl"
SEGMENT = re.compile(r"vectors-(\d{6,9})\.npz")
SEGMENT_LIMIT = 2**28
"""Bytes of vectors in one file."""
ARRAYS: dict[str, type[np.generic]] = {"ids": np.uint8, "vectors": np.float32}
"""Ids as lines of UTF-8."""
FANOUT = 16
"""So many files of about the same size become one; each row is written again once for every sixteenfold growth."""


class Files:
    """The files of one store.

    Args:
        folder: made if it is not there, unless `read_only`.
        embedder: whose vectors they are, which embeds again what has none.

    Raises:
        UserError: if there is a store of another embedder, or none where none may be made.
    """

    def __init__(self, folder: Path, embedder: Embedder, read_only: bool) -> None:
        self.folder, self.embedder, self.read_only = folder, embedder, read_only
        self._owners: list[int] = []
        """The number of the file in which the vector of each row is."""
        self._last = 0
        self._size = 0
        """Of the records' file, as far as this process knows."""
        if not read_only:
            make_folder(folder, "a memory")
            check_folder(folder)
        try:
            self._check(read_object(folder, META))
        except FileNotFoundError:
            if read_only or (folder / RECORDS).exists():
                raise UserError(f"{folder} holds no memory ({META} is missing); name the folder of one") from None
            write_atomic(folder / META, json.dumps({"format": FORMAT, "embedder": embedder.name}) + "\n")

    def load(self, table: Table) -> None:
        """Fill an empty table with what was kept, and mend the files."""
        if self.read_only:
            self._load(table)
            return
        with take_lock(self.folder):
            for rubbish in self.folder.glob(f".*{TEMPORARY}"):
                rubbish.unlink()
            self._load(table)

    def append(self, records: Sequence[Record], vectors: NDArray[np.float32]) -> None:
        """Records that are not there yet; on disk when it returns.

        Raises:
            RunFailed: if they cannot be written; then none of them is there.
        """
        if self.read_only:
            raise RunFailed(f"the memory in {self.folder} was opened to be read; add to a layer over it, or to a copy")
        lines = "\n".join(record.line() for record in records)
        with take_lock(self.folder):
            size = (self.folder / RECORDS).stat().st_size if (self.folder / RECORDS).exists() else 0
            if size != self._size:
                raise RunFailed(f"another process has written to the memory in {self.folder}; let one at a time use it")
            if size + len(lines) >= LINES_LIMIT:
                raise RunFailed(f"the memory in {self.folder} is full ({LINES_LIMIT >> 20} MiB); begin another")
            step = SEGMENT_LIMIT // _bytes(vectors)
            owners: list[int] = []
            try:
                for at in range(0, len(records), step):
                    part = records[at : at + step]
                    owners += [self._write([one.id for one in part], vectors[at : at + step])] * len(part)
                append_line(self.folder / RECORDS, lines)
            except (RunFailed, OSError):  # interrupted otherwise, the lines may be there, and need their vectors
                self._remove(set(owners))
                raise
        self._size += len(lines) + 1
        self._owners += owners

    def compact(self, table: Table) -> None:
        """Put files of vectors together where there are many of one size."""
        try:
            while group := self._alike(table):
                with take_lock(self.folder):
                    rows = np.flatnonzero(np.isin(self._owners, group))
                    number = self._write([table.records[row].id for row in rows], table.vectors[rows])
                    for row in rows:
                        self._owners[row] = number
                    self._remove(group)
        except RunFailed as fault:  # what they hold is safe where it is
            log.warning("the files of vectors in %s stay as many as they are: %s", self.folder, fault)

    def _alike(self, table: Table) -> list[int]:
        """Numbers of `FANOUT` files of about the same size, oldest first; empty if there are not so many."""
        levels: dict[int, list[int]] = {}
        for number, rows in sorted(Counter(self._owners).items()):
            if rows * FANOUT * _bytes(table.vectors) <= SEGMENT_LIMIT:
                group = levels.setdefault((rows.bit_length() - 1) // 4, [])
                group.append(number)
                if len(group) == FANOUT:
                    return group
        return []

    def _check(self, meta: dict[str, object]) -> None:
        if meta.get("format") != FORMAT:
            raise UserError(f"{self.folder / META} has format {meta.get('format')!r:.40}; read here is {FORMAT}")
        if meta.get("embedder") != self.embedder.name:
            raise UserError(
                f"the memory in {self.folder} was embedded by {meta.get('embedder')!r:.120}, and vectors of "
                f"{self.embedder.name!r} mean nothing there; choose that embedder, or another folder"
            )

    def _load(self, table: Table) -> None:
        records = self._records()
        if not records:
            self._discard(set())
            return
        rows = {record.id: row for row, record in enumerate(records)}
        if len(rows) < len(records):
            raise UserError(f"{self.folder / RECORDS} is damaged (it holds an id twice); restore it")
        owners = np.zeros(len(records), np.int64)
        vectors: NDArray[np.float32] | None = None
        for number in self._numbers():
            ids, part = self._read(number)
            at = np.array([rows.get(key, -1) for key in ids], np.int64)
            if vectors is None:
                vectors = np.zeros((len(records), part.shape[1]), np.float32)
            elif part.shape[1] != vectors.shape[1]:
                raise UserError(f"the files of vectors in {self.folder} do not go together; restore them")
            vectors[at[at >= 0]], owners[at[at >= 0]] = part[at >= 0], number
        lost = np.flatnonzero(owners == 0)
        if len(lost):
            found = self._embedded_again([records[row] for row in lost])
            vectors = np.zeros((len(records), found.shape[1]), np.float32) if vectors is None else vectors
            vectors[lost] = found
            owners[lost] = self._write([records[row].id for row in lost], found)
        assert vectors is not None
        self._owners = owners.tolist()
        self._discard(set(self._owners))
        table.append(records, vectors)

    def _records(self) -> list[Record]:
        """The records of all whole lines; in a folder of ours, half a line at the end is cut off."""
        try:
            content = read_bytes(self.folder, RECORDS, LINES_LIMIT)
        except FileNotFoundError:
            return []
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content) and not self.read_only:
            path = self.folder / RECORDS
            with explain_writing(path), open(path, "r+b") as file:
                file.truncate(len(whole))
        self._size = len(whole)
        records = []
        for number, line in enumerate(whole.split(b"\n")[:-1], 1):
            try:
                records.append(Record.read(line))
            except ValueError as fault:
                raise UserError(f"line {number} of {self.folder / RECORDS} is damaged ({fault}); restore it") from None
        return records

    def _embedded_again(self, records: Sequence[Record]) -> NDArray[np.float32]:
        if self.read_only:
            raise UserError(
                f"{len(records)} records in {self.folder} have no vectors ({records[0].id!r} is the first); "
                "open a copy of it to write, which embeds them"
            )
        log.warning("%d records in %s had no vectors and are embedded again", len(records), self.folder)
        return self.embedder.embed([record.text for record in records])

    def _numbers(self) -> list[int]:
        """Of the files of vectors, oldest first."""
        named = [SEGMENT.fullmatch(path.name) for path in self.folder.iterdir()]
        numbers = sorted(int(match[1]) for match in named if match)
        self._last = max([self._last, *numbers])
        return numbers

    def _discard(self, wanted: set[int]) -> None:
        """Take away the files that hold no record's vector."""
        if not self.read_only:
            self._remove([number for number in self._numbers() if number not in wanted])

    def _write(self, ids: Sequence[str], vectors: NDArray[np.float32]) -> int:
        self._last += 1
        with atomic_file(self._path(self._last)) as file:
            np.savez(file, ids=np.frombuffer("\n".join(ids).encode(), np.uint8), vectors=vectors)
        return self._last

    def _read(self, number: int) -> tuple[list[str], NDArray[np.float32]]:
        """Ids and [m, d] vectors; nothing is unpacked or allocated beyond the bytes that are there."""
        path = self._path(number)
        try:
            content = read_bytes(self.folder, path.name, 2 * SEGMENT_LIMIT)
            with zipfile.ZipFile(io.BytesIO(content)) as parts:
                if any(entry.compress_type != zipfile.ZIP_STORED for entry in parts.infolist()):
                    raise ValueError("it is compressed")
                ids, vectors = (_array(parts.read(f"{name}.npy"), kind) for name, kind in ARRAYS.items())
            keys = ids.tobytes().decode().split("\n")
            return keys, check_unit(vectors, len(keys))
        except FileNotFoundError:
            raise UserError(f"{path} has gone while {self.folder} was read; try again") from None
        except UserError:
            raise
        except Exception as fault:  # zipfile and NumPy raise many unrelated kinds for a file they cannot read
            raise UserError(f"{path} is damaged ({fault or type(fault).__name__}); restore it") from None

    def _remove(self, numbers: Collection[int]) -> None:
        for number in numbers:
            self._path(number).unlink(missing_ok=True)
        if numbers:
            sync_folder(self.folder)

    def _path(self, number: int) -> Path:
        return self.folder / f"vectors-{number:06d}.npz"


def _bytes(vectors: NDArray[np.float32]) -> int:
    """What a row may take in a file, id included."""
    return int(vectors.shape[1]) * 4 + 4 * LONGEST_ID


def _array(content: bytes, kind: type[np.generic]) -> NDArray[Any]:
    """The array of a .npy file, a view of its bytes; raises ValueError for one of another kind or version."""
    file = io.BytesIO(content)
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("it has another version")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
    if dtype != kind or fortran:
        raise ValueError("it holds other arrays")
    return np.frombuffer(content, dtype, offset=file.tell()).reshape(shape)
