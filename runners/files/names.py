"""What the folder of a run, sweep or claim may be called, and in which folder it stands."""

import re
from pathlib import Path

from agentlab_runner.runners.errors import UserError

LONGEST = 100
"""Characters of a name; a time and a number may come beside it, and a file system takes 255 bytes."""
_RESERVED = re.compile(r"latest|con|prn|aux|nul|com\d|lpt\d", re.IGNORECASE)
"""`latest` is the newest run wherever a run is named; the others are devices on a disk shared with Windows."""
RUNS = "runs"
"""`runs_dir` as conf/config.yaml has it."""


def bare(name: str) -> str:
    """`name`, if a folder may be called so: letters, digits and `_`, between two of them also `-` and `.`.

    Raises:
        UserError: for any other, with the nearest that may be.
    """
    fits = re.fullmatch(r"\w([\w.-]*\w)?", name) and len(name) <= LONGEST and len(name.encode()) <= 2 * LONGEST
    if fits and not _RESERVED.fullmatch(name.partition(".")[0]):
        return name
    raise UserError(
        f"{_shown(name)} cannot be the name of a folder here; use up to {LONGEST} letters, digits, '_', '-' and '.', "
        f"as in --name {label(name)}"
    )


def label(text: str) -> str:
    """The nearest bare name to a text that was not given as a name, such as an experiment's."""
    cut = re.sub(r"[^\w.-]+", "_", text).strip("._-").encode()[:LONGEST].decode(errors="ignore").strip("._-") or "run"
    return f"run_{cut}" if _RESERVED.fullmatch(cut.partition(".")[0]) else cut


def beside(kind: str, runs_dir: str) -> Path:
    """Where folders of a kind (`sweeps`, `claims`) are made: in `RUNS_DIR/KIND`, or `KIND` where it was not set."""
    return Path(kind) if runs_dir == RUNS else Path(runs_dir) / kind


def _shown(name: str) -> str:
    return repr(name if len(name) <= LONGEST else f"{name[:LONGEST]}...")
