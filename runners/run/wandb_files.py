"""W&B's own files in a run folder: which rows they hold, and how they are sent.

A row is what one line of `metrics.jsonl` says, and its number is that of the line, from 0; W&B calls it `_step`.
A session that was killed has lost what W&B had not yet written, so its file is read instead of trusted.
"""

import json
import shlex
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.files.atomic import write_atomic
from agentlab_runner.runners.files.received import read_bytes, read_object

MIRRORED = "mirrored.json"
"""How many rows the sessions that ended in order have mirrored, for when their files are sent and cleaned away."""

SESSION_LIMIT = 2**32
"""Bytes of a `.wandb` file."""

_HEAD, _BLOCK, _WHOLE, _LAST = 7, 32768, 1, 4
"""LevelDB's log: bytes before the first piece and in a piece's head, the block no piece crosses, kinds of pieces."""


def mirrored_rows(folder: Path, identity: str, uploaded: int | None = None) -> int:
    """How many rows the W&B run `identity` has of the run in `folder`, sent or waiting to be.

    Args:
        uploaded: how many the server says it has; None where it was not asked.
    """
    files = list((folder / "wandb").glob(f"*run-*-{identity}*/run-{identity}.wandb"))
    if uploaded is None:
        uploaded = _kept_rows(folder)
    else:  # it knows best, but for what was never sent
        files = [file for file in files if file.parent.name.startswith("offline-") and not _is_sent(file)]
    sessions = (records(folder, str(file.relative_to(folder))) for file in files)
    rows = (record.history for session in sessions for record in session if record.HasField("history"))
    return max([uploaded, *(int(row.step.num) + 1 for row in rows)])


def keep_rows(folder: Path, rows: int) -> None:
    """Remember that so many rows are mirrored."""
    write_atomic(folder / MIRRORED, json.dumps({"rows": rows}) + "\n")


def records(folder: Path, name: str) -> Iterator[Any]:
    """The records of a session's `.wandb` file in a run folder, as far as they were written whole."""
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    from wandb.proto.wandb_internal_pb2 import Record  # type: ignore[attr-defined]

    data, at, whole = read_bytes(folder, name, SESSION_LIMIT), _HEAD, b""
    while at + _HEAD <= len(data):
        left = _BLOCK - at % _BLOCK
        if left < _HEAD:
            at += left
            continue
        _, size, kind = struct.unpack("<IHB", data[at : at + _HEAD])
        whole += data[at + _HEAD : at + _HEAD + size]
        at += _HEAD + size
        if at > len(data) or kind == 0:
            return
        if kind in (_WHOLE, _LAST):
            record = Record()
            try:
                record.ParseFromString(whole)
            except DecodeError:
                return
            yield record
            whole = b""


def upload_line(folder: Path) -> str | None:
    """The command that sends what the run in `folder` has kept offline; None where nothing waits."""
    waiting = [file for file in (folder / "wandb").glob("offline-run-*/*.wandb") if not _is_sent(file)]
    return sync_command(folder) if waiting else None


def sync_command(folder: Path) -> str:
    """Sends every session that the run in `folder` has kept offline, in the order in which they were."""
    return f"wandb sync {shlex.quote(str(folder / 'wandb'))}/offline-run-*"


def _kept_rows(folder: Path) -> int:
    try:
        rows = read_object(folder, MIRRORED).get("rows")
    except (FileNotFoundError, UserError):
        return 0
    return rows if isinstance(rows, int) else 0


def _is_sent(file: Path) -> bool:
    return file.with_name(f"{file.name}.synced").exists()
