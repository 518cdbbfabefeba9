"""A file in the place of another: whole or not at all, and all else about it as it was."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def replacing(path: Path) -> Iterator[tuple[BinaryIO, Path]]:
    """(file, its path for the time being): it takes the place of `path` when the body is done.

    If the body raises, nothing has changed. Of a file that was there mode, owner, group and extended attributes (access
    lists among them) are kept; a symbolic link stays and what it leads to is replaced.

    Raises:
        ValueError: if something about the old file cannot be kept: it is read-only, no regular file, has other names
            (hard links), or belongs to another user.
    """
    import tempfile  # with all it needs a tenth of what discovery imports, and only who writes needs it

    path = Path(os.path.realpath(path))
    before = _kept(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:100]}.", suffix=f".part{path.suffix}")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file, Path(name)
            file.flush()
            os.fsync(file.fileno())
        if before is None:
            mask = os.umask(0)
            os.umask(mask)
            os.chmod(name, 0o666 & ~mask)
        else:
            _make_alike(path, before, name)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _kept(path: Path) -> os.stat_result | None:
    """What is there, if it can be replaced without harm; None if nothing is."""
    try:
        before = path.stat()
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(before.st_mode):
        raise IsADirectoryError(21, "Is a directory", str(path))
    if not stat.S_ISREG(before.st_mode):
        raise ValueError(f"{path} is no regular file, so it cannot be replaced; name another place")
    if before.st_nlink > 1:
        raise ValueError(
            f"{path} has {before.st_nlink} names (hard links), which a new file would part; name another place"
        )
    if not before.st_mode & 0o222:
        raise ValueError(f"{path} is read-only; make it writable (chmod u+w) or name another place")
    return before


def _make_alike(path: Path, before: os.stat_result, name: str) -> None:
    now = os.stat(name)
    try:
        if (now.st_uid, now.st_gid) != (before.st_uid, before.st_gid):
            os.chown(name, before.st_uid, before.st_gid)
        os.chmod(name, stat.S_IMODE(before.st_mode))
        if hasattr(os, "listxattr"):
            for attribute in os.listxattr(path):
                value = os.getxattr(path, attribute)
                if attribute not in os.listxattr(name) or os.getxattr(name, attribute) != value:
                    os.setxattr(name, attribute, value)
    except OSError as fault:
        raise ValueError(
            f"{path} has an owner or attributes that no new file can be given ({fault.strerror}); name another place"
        ) from fault
