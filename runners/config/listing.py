"""What can be chosen: config groups and their choices, read off the conf folders without Hydra."""

import os
from collections.abc import Iterator
from pathlib import Path

from agentlab_runner.runners.config.suggest import did_you_mean
from agentlab_runner.runners.errors import UserError

CONF = Path(__file__).resolve().parents[2] / "conf"


def search_path() -> list[Path]:
    """The folders configs come from, first match wins.

    The packaged folder, then those of AGENTLAB_CONF (several, separated as in PATH), then ./conf, so that a
    researcher adds files without touching the package.

    Raises:
        UserError: if AGENTLAB_CONF names something that is not a folder.
    """
    return list(dict.fromkeys(folder.resolve() for folder in [CONF, *own_folders()]))


def own_folders() -> list[Path]:
    """The folders of `search_path` that are the user's own, as they are called.

    Raises:
        UserError: if AGENTLAB_CONF names something that is not a folder, or the present folder is gone.
    """
    named = [Path(part).expanduser() for part in os.environ.get("AGENTLAB_CONF", "").split(os.pathsep) if part]
    for folder in named:
        if not folder.is_dir():
            raise UserError(f"{folder} is not a folder; --conf-dir and AGENTLAB_CONF name folders of config groups")
    try:
        here = Path.cwd() / "conf"
    except FileNotFoundError:
        raise UserError("the present folder was removed; change into one that is there") from None
    return [folder for folder in [*named, *([here] if here.is_dir() else [])] if folder.resolve() != CONF]


def groups() -> list[str]:
    """Every config group, nested ones as `env/device`."""
    found = {
        folder.relative_to(root).as_posix()
        for root in search_path()
        for folder in root.rglob("*")
        if folder.is_dir() and any(_yaml_files(folder))
    }
    return sorted(found)


def is_group(name: str) -> bool:
    return any((root / name).is_dir() for root in search_path())


def choices(group: str) -> dict[str, Path]:
    """The choices of a group and the file of each, by name."""
    found: dict[str, Path] = {}
    for root in search_path():
        for file in _yaml_files(root / group):
            found.setdefault(file.stem, file)
    return dict(sorted(found.items()))


def purpose(file: Path) -> str:
    """The first comment of a config file, which says what it is; Hydra's `# @package` line does not count.

    Of a file that cannot be read it is the reason: one of a user's own must not hide the others.
    """
    try:
        with file.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if not line.startswith("#"):
                    return ""
                text = line.lstrip("#").strip()
                if text and not text.startswith("@"):
                    return text
    except OSError as fault:
        return f"(it cannot be read: {fault.strerror})"
    return ""


def catalogue(what: str) -> dict[str, str]:
    """Name and purpose of every choice of a group; `what` is the group's name, singular or plural.

    Raises:
        UserError: if there is no such group.
    """
    known = groups()
    names = {"experiments": "exp"} | {f"{group}s": group for group in known} | {group: group for group in known}
    if what not in names:
        raise UserError(f"conf has no group {what!r}{did_you_mean(what, names)} (groups: {', '.join(known)})")
    return {name: purpose(file) for name, file in choices(names[what]).items()}


def _yaml_files(folder: Path) -> Iterator[Path]:
    yield from sorted(file for file in folder.glob("*.yaml") if file.is_file())
