"""What the commands share on their way to terminal and disk."""

import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from agentlab_runner.runners.config.suggest import did_you_mean
from agentlab_runner.runners.errors import UserError

if TYPE_CHECKING:
    from agentlab_runner.data_cleaning.command.show import Section
    from agentlab_runner.data_cleaning.discovery.lattice import Progress as At

PATIENCE = 3.0
"""Seconds of work before progress is shown."""


def note(text: str) -> None:
    print(f"agentlab: note: {text}", file=sys.stderr)


class Levels:
    """Progress of a discovery: a bar for each level of the lattice, once it takes longer than a glance."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._level = -1
        self._shown = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *fault: Any) -> None:
        self._shown.__exit__(*fault)

    def __call__(self, at: "At") -> None:
        if time.monotonic() - self._began < PATIENCE:
            return
        from agentlab_runner.runners.terminal.progress import Progress

        if at.level != self._level:
            self._shown.close()
            self._level = at.level
            self._bar = self._shown.enter_context(Progress(at.total, f"level {at.level}"))
        self._bar.update(at.done, found=at.found)


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Each file whole or not at all."""
    from agentlab_runner.runners.files.atomic import write_atomic

    for name, content in files.items():
        write_atomic(folder / name, content)


def print_sections(sections: "Sequence[Section]") -> None:
    from agentlab_runner.runners.terminal.tables import print_table

    for one in sections:
        if one.title:
            print(f"{one.title}:")
        if one.header:
            print_table(one.header, one.rows, always_head=True)
        else:
            print(*(": ".join(row) for row in one.rows), sep="\n")
        if one.more:
            print(f"... and {one.more} more")
        print()


def one_of(name: str, value: str, allowed: Sequence[str]) -> Any:
    if value not in allowed:
        near = did_you_mean(value, allowed)
        raise UserError(f"--{name.replace('_', '-')} {value!r} is unknown; choose from {', '.join(allowed)}{near}")
    return value
