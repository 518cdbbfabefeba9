"""The code a run computes with: commit, dirty flag and diff of agentlab's own repository, and of the user's."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypedDict

from agentlab_runner.runners.config.listing import own_folders
from agentlab_runner.runners.files.atomic import write_atomic

PACKAGE = __name__.partition(".")[0]
LIMIT = 1_000_000
"""Bytes of a diff that are kept."""
PATIENCE = 10.0
"""Seconds for one question to git."""
HARMLESS = {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "GIT_ALLOW_PROTOCOL": "none", "LC_ALL": "C"}
"""Nothing is written, asked or fetched; faults come in English."""
ELSEWHERE = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")
"""Set while git runs a hook; they would have every folder belong to one repository."""
SILENT = ("core.fsmonitor=false", "core.hooksPath=/dev/null", "core.quotePath=false")
"""A repository's own settings may name programs; none is run."""


class Git(TypedDict):
    """agentlab's own repository."""

    commit: str | None
    """None when the code is not a git checkout."""
    dirty: bool | None
    """Whether the checkout had uncommitted or untracked files; None when git did not say in time."""
    diff: str | None
    """Their file in the run folder."""


class Repository(Git):
    """One of the user's."""

    path: str
    fault: str | None
    """Why git does not read it, in git's words."""


class Code(TypedDict):
    git: Git
    repositories: list[Repository]


def record(folder: Path, config: Mapping[str, Any]) -> Code:
    """What a run of `config` computes with; diffs are written into `folder/code`.

    The user's repositories are those of the present folder, of their conf folders and of the modules that the config
    names. A diff is that against the last commit, with the names of untracked files above it, and never their content.
    Whatever cannot be read is left out or says so: a run never waits or fails for it.
    """
    here = Path(__file__).resolve()
    own = _top(here) if _ask(here.parent, "ls-files", "--error-unmatch", here.name).ok else None
    git = _state(own, folder) if own else Git(commit=None, dirty=None, diff=None)
    users: dict[Path | str, Repository] = {}
    for place in dict.fromkeys([Path.cwd(), *_conf_folders(), *_module_folders(config)]):
        try:
            top = _top(place)
        except _Refused as fault:
            refused = Repository(path=str(place), fault=str(fault), commit=None, dirty=None, diff=None)
            users.setdefault(str(fault), refused)
            continue
        if top and top != own and top not in users:
            users[top] = Repository(path=str(top), fault=None, **_state(top, folder))
    return Code(git=git, repositories=list(users.values()))


class _Refused(Exception):
    """Git knows this repository and does not read it."""


@dataclass(frozen=True, slots=True)
class _Answer:
    ok: bool
    out: bytes
    error: str = ""
    cut: bool = False

    @property
    def text(self) -> str:
        return self.out.decode(errors="replace").strip()


def _conf_folders() -> Iterator[Path]:
    for conf in own_folders():
        yield from (conf.absolute(), conf.resolve())


def _module_folders(config: Any) -> Iterator[Path]:
    """Where the modules lie that the config names and that are neither installed nor Python's."""
    for name in sorted({target.partition(".")[0] for target in _targets(config)} - {PACKAGE, *sys.stdlib_module_names}):
        spec = None
        with suppress(ImportError, ValueError):
            spec = find_spec(name)
        for place in [spec.origin or "", *(spec.submodule_search_locations or [])] if spec else []:
            file = Path(place)
            if file.is_absolute() and file.exists() and not {"site-packages", "dist-packages"} & {*file.parts}:
                yield file if file.is_dir() else file.parent


def _targets(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping):
        if isinstance(node.get("_target_"), str):
            yield node["_target_"]
        for value in node.values():
            yield from _targets(value)
    elif isinstance(node, list):
        for value in node:
            yield from _targets(value)


def _top(place: Path) -> Path | None:
    """The root of the checkout that `place` lies in, None for none.

    Raises:
        _Refused: if there is one that git does not read, as somebody else's.
    """
    answer = _ask(place if place.is_dir() else place.parent, "rev-parse", "--show-toplevel")
    if answer.ok:
        return Path(answer.text) if answer.text else None
    if not answer.error or "not a git repository" in answer.error or "must be run in a work tree" in answer.error:
        return None
    raise _Refused(answer.error)


def _state(top: Path, folder: Path) -> Git:
    """Commit, dirty flag and diff of the checkout at `top`; the runs beside that of `folder` do not make it dirty."""
    filters = _filters(top)
    runs = folder.resolve().parent
    commit = _ask(top, "rev-parse", "--verify", "--quiet", "HEAD")
    others = [f":(exclude,top){runs.relative_to(top).as_posix()}"] if runs.is_relative_to(top) and runs != top else []
    status = _ask(top, "status", "--porcelain", "--ignore-submodules=dirty", "--", ".", *others, filters=filters)
    if not status.ok:
        return Git(commit=commit.text or None, dirty=None, diff=None)
    lines = status.text.splitlines()
    if not lines:
        return Git(commit=commit.text or None, dirty=False, diff=None)
    changes = ("diff", "HEAD", "--no-ext-diff", "--no-textconv", "--no-color", "--submodule=short", "--src-prefix=a/",
               "--dst-prefix=b/", "--ignore-submodules=dirty")  # fmt: skip
    hidden = [f":(exclude,attr:filter={name})" for name in filters]
    diff = _ask(top, *changes, "--", ".", *hidden, filters=filters) if commit.ok else _Answer(True, b"")
    head = [f"{top.name} at {commit.text or 'no commit yet'}", *lines]
    if hidden:
        head.append(f"left out: files that git stores otherwise than they lie here ({', '.join(filters)})")
    if diff.cut:
        head.append(f"cut after {LIMIT} bytes")
    if not diff.ok:
        head.append(f"git gave no diff: {diff.error}")
    name = _free(folder / "code", re.sub(r"[^\w.-]+", "_", top.name) or "root")
    text = "".join(f"# {line}\n" for line in head).encode(errors="replace")
    write_atomic(folder / name, text + diff.out)
    return Git(commit=commit.text or None, dirty=True, diff=name)


def _filters(top: Path) -> list[str]:
    """The filters that this repository brings itself: programs that change files on their way into git."""
    answer = _ask(top, "config", "--show-scope", "--name-only", "-z", "--get-regexp", r"^filter\.")
    words = answer.out.decode(errors="replace").split("\0")
    own = [key for scope, key in zip(words[::2], words[1::2], strict=False) if scope in ("local", "worktree")]
    return sorted({name for key in own if re.fullmatch(r"[\w.-]+", name := key.split(".", 1)[1].rpartition(".")[0])})


def _ask(where: Path, *question: str, filters: list[str] | None = None) -> _Answer:
    """What git answers, within `PATIENCE` and `LIMIT`."""
    program = shutil.which("git")
    if program is None:
        return _Answer(False, b"")
    off = [f"filter.{name}.{key}" for name in filters or [] for key in ("clean=", "process=", "required=false")]
    settings = [word for setting in (*SILENT, *off) for word in ("-c", setting)]
    env = {name: value for name, value in os.environ.items() if name not in ELSEWHERE}
    with tempfile.TemporaryFile() as said:
        try:
            process = subprocess.Popen(
                [program, "-C", str(where), *settings, *question],
                env=env | HARMLESS, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said,
            )  # fmt: skip
        except OSError as fault:
            return _Answer(False, b"", str(fault))
        assert process.stdout is not None
        timer = threading.Timer(PATIENCE, process.kill)
        timer.start()
        with process.stdout:
            out = process.stdout.read(LIMIT + 1)
        cut = len(out) > LIMIT
        if cut:
            process.kill()
        process.wait()
        late = not timer.is_alive()
        timer.cancel()
        said.seek(0)
        first = next(iter(said.read(2000).decode(errors="replace").splitlines()), "").removeprefix("fatal: ")
    if late:
        return _Answer(False, b"", f"no answer within {PATIENCE:g} s")
    return _Answer(cut or process.returncode == 0, out[:LIMIT], first, cut)


def _free(folder: Path, stem: str) -> str:
    """A name for a diff that no other repository of the run has."""
    number = 1
    while True:
        name = f"{stem}.diff" if number == 1 else f"{stem}-{number}.diff"
        if not (folder / name).exists():
            return f"code/{name}"
        number += 1
