"""A user's own modules: they lie beside a conf folder of theirs, and are found behind everything that is installed."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from agentlab_runner.runners.config.listing import own_folders

_found: list[str] = []


def find_own_modules() -> None:
    """Let modules beside ./conf and beside the folders of --conf-dir and AGENTLAB_CONF be imported.

    A folder without a conf of its own is not searched: standing in it runs nothing that lies there.

    Raises:
        UserError: if AGENTLAB_CONF names something that is not a folder.
    """
    beside = [str(folder.absolute().parent) for folder in own_folders()]
    find_modules([folder for folder in beside if folder not in sys.path])


def find_modules(folders: Sequence[str]) -> None:
    """Search these folders too, after all others, so that a `torch.py` in one of them takes nobody's place."""
    for folder in folders:
        if folder not in _found:
            _found.append(folder)
        if folder not in sys.path:  # joblib has given its workers the path of this process
            sys.path.append(folder)


def found_modules() -> tuple[str, ...]:
    """The folders that `find_modules` has added; a process started by this one is told to find them, too."""
    return tuple(_found)


def python_path() -> str:
    """PYTHONPATH of a Python started with -P that is to import what this process can, the user's own modules apart."""
    return os.pathsep.join(folder for folder in sys.path if folder not in _found)


@contextmanager
def nothing_from_here() -> Iterator[None]:
    """Inside, `python -m`, as joblib and submitit start it, does not search the present folder before all others."""
    with variable("PYTHONSAFEPATH", "1"):
        yield


@contextmanager
def variable(name: str, value: str) -> Iterator[None]:
    """Inside, a variable of the environment has this value, for processes that are started, too."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
