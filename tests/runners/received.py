"""Run folders as others might send them, for tests of what such a folder may decide."""

import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from agentlab_runner.runners.config.identity import config_hash


def forge(run: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a run's config and give the manifest the hash that goes with it, as whoever sends it can."""
    config = yaml.safe_load((run / "config.yaml").read_text())
    change(config)
    (run / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    declare(run, config_hash=config_hash(config))


def declare(run: Path, **said: Any) -> None:
    """Change what the manifest says."""
    manifest = json.loads((run / "manifest.json").read_text())
    (run / "manifest.json").write_text(json.dumps(manifest | said))


def png(width: int, height: int, rows: bytes = b"\0") -> bytes:
    """A PNG whose header says its size, whatever it holds."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


ALIAS_BOMB = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))
"""YAML of a kilobyte that says some thirty billion things."""
