"""What the CLI prints: a table on a terminal, plain aligned lines in a pipe, one JSON object for a script."""

import json
import logging
import math
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentlab_runner.runners.types import Metrics, Table  # brings numpy, which `agentlab list` does without


_HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters but tabs and line ends, marks that turn the order of reading round, halves of characters."""


def visible(text: str) -> str:
    """A text that may be somebody else's, for a terminal: what would command it is shown as Python writes it."""
    return _HIDDEN.sub(lambda found: repr(found[0])[1:-1], text)


_SEQUENCE = re.compile(
    "\x1b\\[[0-?]*[ -/]*[@-~]|\x1b[\\]P^_X].{0,4096}?(?:\x07|\x1b\\\\)|\x1b[ -/]*[0-~]|\x9b[0-?]*[ -/]*[@-~]", re.DOTALL
)
"""What commands a terminal: colours and the like, titles and links, single commands."""


def stripped(text: str) -> str:
    """A text that may be somebody else's, for a page: without what commands a terminal or is not to be seen."""
    return _HIDDEN.sub("", _SEQUENCE.sub("", text))


class Visible(logging.Formatter):
    """Warnings, with what they quote made visible."""

    def format(self, record: logging.LogRecord) -> str:
        return visible(super().format(record))


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]], *, always_head: bool = False) -> None:
    """Rows on stdout; the header only on a terminal, so that a pipe gets data alone, unless `always_head`."""
    header, rows = _cells(header), [_cells(row) for row in rows]
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table

        table = Table(*header, box=None, header_style="bold", pad_edge=False)
        for row in rows:
            table.add_row(*row)
        Console(markup=False, highlight=False).print(table)
        return
    rows = [header, *rows] if always_head else rows
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(len(header))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _cells(row: Sequence[str]) -> list[str]:
    return [visible(cell).replace("\n", r"\n") for cell in row]


def print_json(data: Any) -> None:
    """One line of valid JSON on stdout: a number that is not finite becomes null."""
    print(json.dumps(_finite(data), allow_nan=False))


def scalars(metrics: "Metrics") -> dict[str, float]:
    """The metrics that are plain numbers."""
    return {name: value for name, value in metrics.items() if isinstance(value, int | float)}


def print_metric_tables(metrics: "Metrics") -> None:
    """The metrics that are tables, each under its name."""
    for name, table in _tables(metrics).items():
        print(f"\n{visible(name)}")
        print_table(table.columns, [[_cell(cell) for cell in row] for row in table.rows], always_head=True)


def as_json_tables(metrics: "Metrics") -> dict[str, Any]:
    """The same for a script."""
    return {name: {"columns": table.columns, "rows": table.rows} for name, table in _tables(metrics).items()}


def _tables(metrics: "Metrics") -> "dict[str, Table]":
    from agentlab_runner.runners.types import Table

    return {name: value for name, value in metrics.items() if isinstance(value, Table)}


def _cell(value: str | float | None) -> str:
    return "-" if value is None else value if isinstance(value, str) else f"{value:.4g}"


def _finite(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _finite(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_finite(value) for value in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data


def print_yaml(text: str) -> None:
    """YAML on stdout, coloured on a terminal."""
    if not sys.stdout.isatty():
        print(text, end="")
        return
    from rich.console import Console
    from rich.syntax import Syntax

    Console().print(Syntax(text, "yaml", background_color="default"))
