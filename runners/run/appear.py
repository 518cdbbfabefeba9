"""How a run folder comes to be: it appears whole, locked, and under a name nobody else has, or not at all."""

import os
import secrets
import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import IO

from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.files.atomic import TEMPORARY, make_folder, sync_folder
from agentlab_runner.runners.files.lock import take_lock


def new_folder(root: Path, label: str, fill: Callable[[Path], None]) -> tuple[Path, IO[str]]:
    """A folder `TIME_LABEL` under `root`, with a number behind it if that is taken, with what `fill` writes into it.

    It is filled under a hidden name and then renamed, so that whoever is killed leaves a run that can be resumed or
    none. A folder is never empty here, and the operating system renames none onto one that is not.

    Returns:
        The folder, and its lock, held.

    Raises:
        UserError: if folders cannot be made there.
        RunFailed: if the disk is full.
    """
    partial = root / f".{label}.{secrets.token_hex(4)}{TEMPORARY}"
    make_folder(partial, "run folders")
    try:
        lock = take_lock(partial)
        fill(partial)
        folder = _renamed(partial, root / f"{datetime.now():%Y-%m-%d_%H-%M-%S}_{label}")
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    sync_folder(root)
    return folder, lock


def given_folder(folder: Path, fill: Callable[[Path], None]) -> tuple[Path, IO[str]]:
    """The same in a folder that may exist: it is a run's from when `fill` writes the manifest, which comes last.

    Raises:
        UserError: if it holds a run.
    """
    make_folder(folder, "run folders")
    lock = take_lock(folder)
    if (folder / "manifest.json").exists():
        raise UserError(f"{folder} already holds a run; continue it with `agentlab resume run={folder}`")
    fill(folder)
    return folder, lock


def _renamed(partial: Path, wanted: Path) -> Path:
    number = 1
    while True:
        folder = wanted if number == 1 else wanted.with_name(f"{wanted.name}-{number}")
        try:
            os.rename(partial, folder)
            return folder
        except OSError:
            if not os.path.lexists(folder):
                raise
            number += 1
