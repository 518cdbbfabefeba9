"""One live process a run."""

import fcntl
import os
import time
from pathlib import Path
from typing import IO

from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.files.atomic import explain_writing


def take_lock(folder: Path) -> IO[str]:
    """The lock of a run folder, held until the file is closed or the process ends, however it ends.

    Raises:
        UserError: if another live process holds it.
    """
    with explain_writing(folder / "lock"):
        file = open(folder / "lock", "a+")  # noqa: SIM115 - it stays open for as long as the run is held
    for _ in range(5):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            time.sleep(0.05)  # `is_locked` may be looking at it for an instant
    else:
        file.seek(0)
        holder = file.read().strip() or "another process"
        file.close()
        raise UserError(f"{folder} is being run by {holder}; wait for it, or stop it first")
    with explain_writing(folder / "lock"):
        file.truncate(0)
        file.write(f"process {os.getpid()} on {os.uname().nodename}\n")
        file.flush()
    return file


def is_locked(folder: Path) -> bool:
    """Whether a live process holds the lock of a run folder."""
    try:
        with open(folder / "lock") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
