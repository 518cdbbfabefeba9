"""Writing a file whole or not at all."""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from agentlab_runner.runners.errors import NotWritable, RunFailed, UserError

TEMPORARY = ".part"
"""Suffix of a file that is still being written; whatever carries it after a crash is rubbish."""


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """A file, open for writing under a temporary name, that appears at `path` when the body is done.

    If the body raises, nothing appears and what stood at `path` stays.

    Raises:
        RunFailed: if the disk is full, or (`NotWritable`) nothing may be written there.
    """
    with explain_writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=TEMPORARY)
        os.close(handle)
        try:
            with open(name, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.chmod(name, 0o666 & ~_umask())
            os.replace(name, path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def write_atomic(path: Path, data: bytes | str) -> None:
    """Write `data` (text as UTF-8, halves of characters as JSON escapes them) to `path`, whole or not at all."""
    with atomic_file(path) as file:
        file.write(data.encode(errors="backslashreplace") if isinstance(data, str) else data)


def append_line(path: Path, line: str) -> None:
    """Append one line and force it to disk; a disk that fills up half-way leaves the file as it was."""
    left = memoryview(line.encode() + b"\n")
    with explain_writing(path), open(path, "ab", buffering=0) as file:  # a buffer would write its rest on closing
        size = file.tell()
        try:
            while left:
                left = left[file.write(left) :]
            os.fsync(file.fileno())
        except OSError:
            os.truncate(path, size)
            raise


def sync_folder(folder: Path) -> None:
    """Force a folder's entries to disk, so that a rename survives a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def explain_full_disk(path: Path) -> Iterator[None]:
    """Turn `OSError` for want of space into the sentence a user can act on."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise RunFailed(
            f"the disk is full: {path} could not be written and what was there before is intact; "
            "free some space, then continue with `agentlab resume`"
        ) from error


@contextmanager
def explain_writing(path: Path) -> Iterator[None]:
    """The same for a disk that is full and for a place that is not ours to write to, or something else."""
    try:
        with explain_full_disk(path):
            yield
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.EISDIR):
            raise
        raise NotWritable(f"{path} cannot be written ({error.strerror}); choose a place that is yours") from error


def make_folder(folder: Path, kind: str) -> None:
    """Make a folder, and those above it.

    Raises:
        UserError: if none can be made there; `kind` says what of.
        RunFailed: if the disk is full.
    """
    try:
        with explain_full_disk(folder):
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        above = folder.parent
        raise UserError(f"{kind} cannot be made in {above} ({error.strerror}); choose another runs_dir") from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
