"""What the CLI prints: a table on a terminal, plain aligned lines in a pipe, one JSON object for a script."""

import json
import math
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentlab_runner.runners.types import Metrics  # brings numpy, which `agentlab list` does without


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]], *, always_head: bool = False) -> None:
    """Rows on stdout; the header only on a terminal, so that a pipe gets data alone, unless `always_head`."""
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


def print_json(data: Any) -> None:
    """One line of valid JSON on stdout: a number that is not finite becomes null."""
    print(json.dumps(_finite(data), allow_nan=False))


def scalars(metrics: "Metrics") -> dict[str, float]:
    """The metrics that are plain numbers."""
    return {name: value for name, value in metrics.items() if isinstance(value, int | float)}


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
