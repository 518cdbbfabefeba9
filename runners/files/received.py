"""Reading a run folder that may be someone else's: plain files inside it alone, bounded, and data whatever they say."""

import json
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from agentlab_runner.runners.errors import UserError

CONFIG_LIMIT = 2**19
"""Bytes of a config.yaml; ours have a few thousand."""
JSON_LIMIT = 2**26
"""Bytes of any other file that is read whole."""
LINES_LIMIT = 2**29
"""Bytes of a metrics.jsonl."""
DEEPEST = 64
"""Levels of nesting in what is read."""

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def inside(folder: Path, name: str) -> Path:
    """`folder/name`, which no link may take out of `folder`.

    Raises:
        UserError: if one does.
    """
    path = folder / name
    try:
        stays = path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError, ValueError):  # a link to itself, a name with a zero byte
        stays = False
    if not stays:
        raise UserError(f"{path} leads out of {folder}, and what is there is no part of it; put a copy in its place")
    return path


def read_bytes(folder: Path, name: str, limit: int = JSON_LIMIT) -> bytes:
    """The content of a file of `folder`.

    Raises:
        FileNotFoundError: if there is none.
        UserError: if it is no plain file, lies outside `folder`, cannot be read or is larger than `limit` bytes.
    """
    path = inside(folder, name)
    try:
        with open(path, "rb", opener=_at_once) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise UserError(f"{path} is no plain file; restore it")
            content = file.read(limit + 1)
    except FileNotFoundError:
        raise
    except OSError as fault:
        raise UserError(f"{path} cannot be read ({fault.strerror}); restore it") from fault
    if len(content) > limit:
        raise UserError(f"{path} is larger than {limit >> 10} KiB, which no run writes; restore it")
    return content


def read_object(folder: Path, name: str) -> dict[str, Any]:
    """A JSON object in a file of `folder`; raises as `read_bytes`, and `UserError` for anything else than an object."""
    try:
        content = json.loads(read_bytes(folder, name).decode())
        _check_depth(content)
    except (ValueError, RecursionError) as fault:
        raise UserError(f"{folder / name} is damaged ({fault}); restore it") from fault
    if not isinstance(content, dict):
        raise UserError(f"{folder / name} is damaged (it holds no JSON object); restore it")
    return content


def read_yaml(folder: Path, name: str) -> tuple[str, dict[str, Any]]:
    """The text and the content of a YAML file of `folder`, which holds what JSON can hold, each thing once.

    Aliases are refused, with which a small file can say a billion things.

    Raises:
        FileNotFoundError: if there is none.
        UserError: as `read_bytes`, or if it is no such file.
    """
    path = folder / name
    try:
        text = read_bytes(folder, name, CONFIG_LIMIT).decode()
        depth = 0
        for event in yaml.parse(text, _Loader):
            if isinstance(event, yaml.AliasEvent):
                raise UserError(f"{path} is no config that a run wrote (it has the alias *{event.anchor}); restore it")
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > DEEPEST:
                raise UserError(f"{path} is no config that a run wrote (it is nested too deeply); restore it")
        content = yaml.load(text, _Loader)
    except (yaml.YAMLError, ValueError) as fault:
        raise UserError(f"{path} is damaged ({str(fault).splitlines()[0]}); restore it or start a new run") from fault
    content = {} if content is None else content
    if not isinstance(content, dict) or not _is_plain(content):
        raise UserError(f"{path} is damaged (it holds more than JSON can); restore it or start a new run")
    return text, content


def check_folder(folder: Path, folders: Sequence[str] = ()) -> None:
    """Whether all of a folder lies in it: no link leads out, so that writing and deleting stay inside.

    W&B's own folder holds links to its logs elsewhere; nothing here opens those.

    Args:
        folders: names in it that are folders' where they are there.

    Raises:
        UserError: naming the first entry that is a way out, or neither file nor folder, or no folder.
    """
    waiting = [folder]
    while waiting:
        parent = waiting.pop()
        logs = "wandb" in parent.relative_to(folder).parts
        for entry in _entries(parent):
            if parent == folder and entry.name in folders and not entry.is_dir():
                raise UserError(f"{entry.path} is no folder, and so no part of a run; remove it")
            if entry.is_symlink():
                if not logs or entry.is_dir():
                    inside(folder, os.path.relpath(entry.path, folder))
            elif entry.is_dir(follow_symlinks=False):
                waiting.append(Path(entry.path))
            elif not entry.is_file(follow_symlinks=False) and os.path.lexists(entry):
                raise UserError(f"{entry.path} is neither a file nor a folder, and no part of a run; remove it")


def _check_depth(content: Any) -> None:
    level = [content]
    for _ in range(DEEPEST):
        groups = [node.values() if isinstance(node, dict) else node for node in level if isinstance(node, dict | list)]
        level = [part for group in groups for part in group]
    if level:
        raise ValueError("it is nested too deeply")


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except FileNotFoundError:  # a run that is being written has just replaced it
        return []
    except OSError as fault:
        raise UserError(f"{folder} cannot be read ({fault.strerror})") from fault


def _at_once(path: str, flags: int) -> int:
    """A pipe would keep us waiting for its writer."""
    return os.open(path, flags | os.O_NONBLOCK)


def _is_plain(node: Any) -> bool:
    if isinstance(node, dict):
        return all(isinstance(key, str) and _is_plain(value) for key, value in node.items())
    if isinstance(node, list):
        return all(map(_is_plain, node))
    return node is None or isinstance(node, bool | int | float | str)
