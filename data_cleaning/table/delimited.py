"""Text files of records. Arrow says what they hold; what is written back follows its grammar byte by byte.

A field that begins with a quote goes to the next single quote, and from there on as any other to the delimiter; in the
others quotes mean nothing. A record ends with LF, CR LF or CR; a line without a character is none.
"""

import codecs
import io
import mmap
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import pyarrow as pa

ENDINGS = {".csv": ",", ".tsv": "\t", ".txt": ""}
"""What is expected between the fields of a file, by how its name ends."""
DELIMITERS = {"\t": "tabs", ",": "commas", ";": "semicolons", "|": "bars"}
SAMPLE = 1 << 16
"""Bytes by which a file's delimiter is found."""
BLOCK = 1 << 20
"""Bytes that Arrow reads at a time; more where a record is longer."""
LONGEST = (1 << 31) - 1
_MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF32_LE: "utf-32-le", codecs.BOM_UTF32_BE: "utf-32-be",
          codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}  # fmt: skip


class Reading(NamedTuple):
    """What a user says of a file; what is left out is found by looking at it."""

    delimiter: str | None = None
    """One character, or `tab`."""
    quote: str | None = None
    """One character, or `none`; a double quote if not given."""
    encoding: str | None = None
    """A codec of Python; UTF-8, or what a byte-order mark says, if not given."""
    nulls: tuple[str, ...] = ()
    """Texts that stand for NULL beside the empty field, where they are not quoted."""


AS_IT_LOOKS = Reading()


@dataclass(frozen=True)
class Delimited:
    """A file and how it is read; `tables.read` takes it for a path."""

    path: Path
    delimiter: str
    quote: str
    """Empty where quotes mean nothing."""
    encoding: str
    mark: bool
    """Whether it begins with a byte-order mark."""
    nulls: tuple[str, ...]
    """The empty text among them."""

    def __str__(self) -> str:
        """How it was understood, in one line."""
        between = DELIMITERS.get(self.delimiter, repr(self.delimiter))
        around = f"quoted by {self.quote}" if self.quote else "quotes mean nothing"
        mark = " with a byte-order mark" if self.mark else ""
        empty = " or ".join(text or "an empty field" for text in self.nulls)
        return f"{self.path} is {self.encoding.upper()}{mark}, separated by {between}, {around}; {empty} is NULL"

    @cached_property
    def names(self) -> list[str]:
        """Column names.

        Raises:
            ValueError: if the file is empty or cannot be read.
        """
        if self.path.stat().st_size <= (len(codecs.BOM_UTF8) if self.mark else 0):
            raise ValueError(f"{str(self.path)!r} is empty; its first line should name the columns")
        return list(self._opened(SAMPLE, ragged="skip").schema.names)

    def table(self, columns: Sequence[str] | None, kind: pa.DataType) -> pa.Table:
        """All of it, every field as `kind`."""
        from pyarrow.csv import ReadOptions, read_csv

        block, threads = BLOCK, True
        while True:
            wanted = columns and list(dict.fromkeys((*columns, self.names[-1])))
            how = {"parse_options": self._parse(), "convert_options": self._convert(wanted, kind)}
            read = ReadOptions(block_size=block, use_threads=threads, encoding=self.encoding)
            try:
                table = read_csv(self._source(), read, **how, memory_pool=pa.system_memory_pool())
            except pa.ArrowInvalid as fault:
                if _is_too_long(fault) and block < LONGEST:
                    block = min(LONGEST, 8 * block)
                elif threads:
                    threads = False  # only then does Arrow know the number of the row it stumbled over
                else:
                    raise
                continue
            if table.num_rows:
                self._check_end(table.column(self.names[-1])[-1].as_py())
            return table if columns is None else table.select(columns)

    def batches(self, columns: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
        """All of it as batches of text; never in memory as a whole."""
        block, given, last = BLOCK, 0, None
        wanted = columns and list(dict.fromkeys((*columns, self.names[-1])))
        while True:
            try:
                for batch in self._opened(block, self._convert(wanted, pa.string()), given):
                    given += len(batch)
                    last = batch.column(self.names[-1])[-1].as_py() if len(batch) else last
                    yield batch if columns is None else batch.select(columns)
                self._check_end(last)
                return
            except pa.ArrowInvalid as fault:
                if not _is_too_long(fault) or block == LONGEST:
                    raise
                block = min(LONGEST, 8 * block)

    def copy(self, changes: Mapping[int, Mapping[int, str | None]], out: BinaryIO) -> None:
        """Copy the file with some fields changed, every other byte as it stands.

        Args:
            changes: new texts by row, then by position in it.

        Raises:
            ValueError: if a row is not there, or a new text cannot be written in this file.
        """
        wanted = dict(changes)
        with open(self.path, "rb") as file:
            content: Any = b""
            if self.encoding != "utf-8":
                content = self._as_utf8(file.read())
            elif self.path.stat().st_size:
                content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            done, row = 0, -2  # the header will be row -1
            for record in self._records(content):
                row += 1
                if row in wanted:
                    fields = list(self._field.finditer(content, *record))
                    for position, text in sorted(wanted.pop(row).items()):
                        begin, end = fields[position].span(1)
                        self._write(content, done, begin, out)
                        out.write(self._encoded(self._field_of(text)))
                        done = end
            self._write(content, done, len(content), out)
        if wanted:
            raise ValueError(f"row {min(wanted)} is to be changed, but the table has rows 0 to {row}")

    def _write(self, content: Any, begin: int, end: int, out: BinaryIO) -> None:
        step = BLOCK if self.encoding == "utf-8" else max(1, end - begin)  # elsewhere a cut could part a character
        for at in range(begin, end, step):
            out.write(self._encoded(content[at : min(end, at + step)]))

    def _records(self, content: Any) -> Iterator[tuple[int, int]]:
        """Where each record begins and ends, the header first."""
        at = len(codecs.BOM_UTF8) if content[:3] == codecs.BOM_UTF8 else 0
        while at < len(content):
            match = self._record.match(content, at)
            if match is None:
                raise ValueError(f"{str(self.path)!r} has a quote that is never closed")
            begin, end = match.span(1)
            if begin < end:
                yield begin, end
            at = match.end()

    @cached_property
    def _grammar(self) -> bytes:
        """A pattern of one field."""
        delimiter, quote = re.escape(self.delimiter.encode()), re.escape(self.quote.encode())
        plain = rb"[^%s\r\n]*" % delimiter
        if not quote:
            return plain
        return rb"(?:%(q)s[^%(q)s]*(?:%(q)s%(q)s[^%(q)s]*)*%(q)s%(plain)s|(?!%(q)s)%(plain)s)" % {
            b"q": quote, b"plain": plain}  # fmt: skip

    @cached_property
    def _record(self) -> re.Pattern[bytes]:
        delimiter = re.escape(self.delimiter.encode())
        return re.compile(rb"(%(f)s(?:%(d)s%(f)s)*)(?:\r\n|\r|\n|\Z)" % {b"f": self._grammar, b"d": delimiter})

    @cached_property
    def _field(self) -> re.Pattern[bytes]:
        """A field and what ends it, within a record."""
        return re.compile(rb"(%s)(?:%s|\Z)" % (self._grammar, re.escape(self.delimiter.encode())))

    def _field_of(self, text: str | None) -> bytes:
        if text is None:
            return b""
        risky = text in self.nulls or any(char in text for char in f"{self.quote}\r\n{self.delimiter}")
        if risky and not self.quote:
            raise ValueError(f"{text!r} cannot be written in {str(self.path)!r}, which has no quotes")
        return (self.quote + text.replace(self.quote, 2 * self.quote) + self.quote if risky else text).encode()

    def _as_utf8(self, content: bytes) -> bytes:
        try:
            text = content.decode(self.encoding)
            exact = text.encode(self.encoding) == content
        except UnicodeError as fault:
            raise ValueError(f"{str(self.path)!r} is not {self.encoding} text: {fault}") from fault
        if not exact:
            raise ValueError(f"{str(self.path)!r} has bytes that {self.encoding} writes otherwise; convert it first")
        return text.encode()

    def _encoded(self, content: bytes) -> bytes:
        if self.encoding == "utf-8":
            return content
        try:
            return content.decode().encode(self.encoding)
        except UnicodeEncodeError as fault:
            said = fault.object[fault.start : fault.end]
            raise ValueError(f"{said!r} cannot be written in {self.encoding}; name another format for --out") from fault

    def _parse(self, ragged: str = "error") -> Any:
        from pyarrow.csv import ParseOptions

        return ParseOptions(
            delimiter=self.delimiter, quote_char=self.quote or False, newlines_in_values=True,
            invalid_row_handler=None if ragged == "error" else lambda _: ragged,
        )

    def _convert(self, columns: Sequence[str] | None, kind: pa.DataType) -> Any:
        from pyarrow.csv import ConvertOptions

        return ConvertOptions(
            column_types=dict.fromkeys(self.names, kind), include_columns=columns, strings_can_be_null=True,
            null_values=self.nulls, quoted_strings_can_be_null=False,
        )

    def _opened(self, block: int, convert: Any = None, skip: int = 0, ragged: str = "error") -> Any:
        """Arrow's reader of batches, with longer blocks where the first record needs them."""
        from pyarrow.csv import ReadOptions, open_csv

        while True:
            read = ReadOptions(block_size=block, encoding=self.encoding, skip_rows_after_names=skip)
            try:
                return open_csv(self._source(), read, self._parse(ragged), convert)
            except pa.ArrowInvalid as fault:
                if not _is_too_long(fault) or block == LONGEST:
                    raise
                block = min(LONGEST, 8 * block)

    @cached_property
    def _end(self) -> str:
        """What the file lacks at its end: Arrow takes an empty last field for an empty text if no line ends there."""
        with open(self.path, "rb") as file:
            file.seek(-min(4, file.seek(0, 2)), 2)
            return "" if file.read().decode(self.encoding, errors="replace").endswith(("\n", "\r")) else "\n"

    def _source(self) -> Any:
        return pa.PythonFile(_Ended(self.path, self._end.encode(self.encoding)), "r") if self._end else self.path

    def _check_end(self, last: str | None) -> None:
        """Arrow takes a quote that is never closed as closed by the end of the file, with all that stands between."""
        if not self.quote or not last:
            return
        tail = self.quote + last.replace(self.quote, 2 * self.quote)
        with open(self.path, "rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - len(f"\n{tail}".encode(self.encoding))))
            end = file.read().decode(self.encoding, errors="replace") + self._end
        if end.endswith(tail) and end.removesuffix(tail)[-1:] in f"{self.delimiter}\r\n":
            raise ValueError(f"the last field of {str(self.path)!r} begins with a quote that is never closed")


class _Ended(io.RawIOBase):
    """A file and what it lacks at its end."""

    def __init__(self, path: Path, end: bytes) -> None:
        self._file = open(path, "rb")  # noqa: SIM115 - closed with this
        self._end = end

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        found = self._file.read(size)
        if self._end and (size < 0 or len(found) + len(self._end) <= size):
            found, self._end = found + self._end, b""
        return found

    def close(self) -> None:
        self._file.close()
        super().close()


def understand(path: Path, said: Reading = AS_IT_LOOKS) -> Delimited:
    """How a file is to be read: as is said, and for the rest as it looks.

    The delimiter is one under which the beginning of the file is a table of two columns or more: tabs, which hardly
    stand in text; else what the ending of its name promises; else the one with most columns.

    Raises:
        ValueError: if what is said cannot be, or the encoding is not known.
    """
    with open(path, "rb") as file:
        head = file.read(SAMPLE)
    mark = next((mark for mark in _MARKS if head.startswith(mark)), b"")
    encoding = _encoding(said.encoding, mark)
    quote = {None: '"', "none": ""}.get(said.quote, said.quote) or ""
    if said.quote is not None and len(quote.encode()) > 1:
        raise ValueError(f"the quote is {said.quote!r}; give one ASCII character, or none")
    found = Delimited(path, ",", quote, encoding, bool(mark), tuple(dict.fromkeys(("", *said.nulls))))
    if said.delimiter is not None:
        delimiter = {"tab": "\t", "\\t": "\t"}.get(said.delimiter, said.delimiter)
        if len(delimiter.encode()) != 1 or delimiter in (quote, "\r", "\n"):
            raise ValueError(f"the delimiter is {said.delimiter!r}; give one ASCII character that is no quote, or tab")
        return replace(found, delimiter=delimiter)
    promised = ENDINGS.get(path.suffix.lower()) or ","
    text = head.decode(encoding, errors="ignore")
    there = [replace(found, delimiter=one) for one in DELIMITERS if one in text and one != quote]
    if [one.delimiter for one in there] == [promised]:
        return there[0]
    width = {one.delimiter: _width(one) for one in there}
    fit = [one for one, columns in width.items() if columns > 1]
    best = max(fit, key=lambda one: (one == "\t", one == promised, width[one]), default=promised)
    return replace(found, delimiter=best)


def _width(file: Delimited) -> int:
    """Columns of the beginning of a file; 0 where it is no table."""
    try:
        return len(file._opened(SAMPLE).schema.names)
    except (pa.ArrowInvalid, UnicodeDecodeError):
        return 0


def _encoding(said: str | None, mark: bytes) -> str:
    if said is None:
        return _MARKS[mark] if mark else "utf-8"
    try:
        name = codecs.lookup(said).name.removesuffix("-sig")
    except LookupError as fault:
        raise ValueError(f"the encoding {said!r} is not known; give one as utf-8, latin-1, cp1252 or utf-16") from fault
    if mark and _MARKS[mark].startswith(name):
        return _MARKS[mark]
    return f"{name}-le" if name in ("utf-16", "utf-32") else name


def _is_too_long(fault: pa.ArrowInvalid) -> bool:
    """Whether a record, or the line of names (what Arrow then calls empty is not: that was seen before), ends later."""
    return any(said in str(fault) for said in ("straddling object", "cannot infer number of columns"))
