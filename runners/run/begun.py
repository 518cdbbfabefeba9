"""Runs that were begun on this machine: one that lies where it did, with the same config, says what its user said."""

import hashlib
import json
import os
from pathlib import Path

from agentlab_runner.runners.files.cache import cache_home
from agentlab_runner.runners.run.config_file import Config, as_plain

FILE = "begun"
"""Below `cache_home()`: a line of 64 hex digits for each, whole or, of a kill, missing."""


def note_begun(folder: Path, config: Config) -> None:
    """Remember a run whose config the user composed; where the cache cannot be written, it is one that was received."""
    line = f"{_digest(folder, config)}\n".encode()
    try:
        cache_home().mkdir(parents=True, exist_ok=True)
        file = os.open(cache_home() / FILE, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(file, line)
        finally:
            os.close(file)
    except OSError:
        return


def begun_here(folder: Path, config: Config) -> bool:
    """Whether the user began a run in this folder with exactly this config, in every key, or changed its to it."""
    try:
        return _digest(folder, config) in (cache_home() / FILE).read_text("ascii", errors="replace").split()
    except OSError:
        return False


def _digest(folder: Path, config: Config) -> str:
    return hashlib.sha256(json.dumps([str(folder.resolve()), as_plain(config)], sort_keys=True).encode()).hexdigest()
