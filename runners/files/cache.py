"""Where what is made once is kept for all runs."""

import os
from pathlib import Path


def cache_home() -> Path:
    """AGENTLAB_CACHE, or a folder of the user's."""
    return Path(os.environ.get("AGENTLAB_CACHE", "~/.cache/agentlab")).expanduser()
