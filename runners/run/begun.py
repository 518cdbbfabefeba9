"""Configs that were begun on this machine: a run folder that holds one of them says nothing that its user has not."""

import hashlib
import json
import os

from agentlab_runner.runners.files.cache import cache_home
from agentlab_runner.runners.run.config_file import Config, as_plain

FILE = "begun"
"""Below `cache_home()`: a line of 64 hex digits for each config, whole or, of a kill, missing."""


def note_begun(config: Config) -> None:
    """Remember a config that the user composed; where the cache cannot be written, its run is one that was received."""
    line = f"{_digest(config)}\n".encode()
    try:
        cache_home().mkdir(parents=True, exist_ok=True)
        file = os.open(cache_home() / FILE, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(file, line)
        finally:
            os.close(file)
    except OSError:
        return


def begun_here(config: Config) -> bool:
    """Whether the user began a run with exactly this config, in every key, or changed one to it."""
    try:
        return _digest(config) in (cache_home() / FILE).read_text("ascii", errors="replace").split()
    except OSError:
        return False


def _digest(config: Config) -> str:
    return hashlib.sha256(json.dumps(as_plain(config), sort_keys=True).encode()).hexdigest()
