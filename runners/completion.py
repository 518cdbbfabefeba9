"""What TAB offers for overrides: groups and their choices, keys of the chosen experiment, values a key may take."""

import io
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Literal, get_args, get_origin

from agentlab_runner.runners.config.listing import choices, groups, is_group
from agentlab_runner.runners.config.modules import find_own_modules
from agentlab_runner.runners.errors import UserError

_APART = {"exp", "claim", "command", "import", "phone"}
"""Groups that are not parts of a run's config."""
_HYDRA = {
    "hydra/launcher": {
        "basic": "hydra", "joblib": "hydra_plugins.hydra_joblib_launcher", "ray": "hydra_plugins.hydra_ray_launcher",
        "submitit_local": "hydra_plugins.hydra_submitit_launcher",
        "submitit_slurm": "hydra_plugins.hydra_submitit_launcher",
    },
    "hydra/sweeper": {"basic": "hydra", "optuna": "hydra_plugins.hydra_optuna_sweeper"},
}  # fmt: skip
"""Choices of Hydra's own groups and what brings each; Hydra would have to import all plugins to tell."""


def complete(verb: str, given: Sequence[str], incomplete: str) -> list[str]:
    """Candidates that begin with `incomplete`.

    Args:
        verb: the verb being completed; `eval` and `resume` also take `run=` and `checkpoint=`.
        given: the overrides before it, for `claim` behind the claim's name.
        incomplete: what was typed of the override.
    """
    found = [offer for offer in _cheap(verb) if offer.startswith(incomplete)]
    if incomplete.startswith("exp"):
        found += [f"exp={name}" for name in choices("exp") if f"exp={name}".startswith(incomplete)]
    group = incomplete.partition("=")[0]
    if incomplete and (not found or "=" not in incomplete) and not is_group(group):
        with suppress(UserError):  # what was typed before is wrong; the verb will say so
            find_own_modules()
            found += [offer for offer in _of_config(verb, given, incomplete) if offer.startswith(incomplete)]
    return found


@contextmanager
def bash_words() -> Iterator[None]:
    """Bash splits words at `=`: join them for the completer, and give bash only what stands behind the last `=`."""
    given, position = os.environ["COMP_WORDS"], int(os.environ["COMP_CWORD"])
    words = given.split("\n" if "\n" in given else " ")
    joined: list[str] = []
    for word in [*words, ""][: position + 1]:
        if joined and (word.startswith("=") or joined[-1].endswith("=")):
            joined[-1] += word
        else:
            joined.append(word)
    os.environ["COMP_WORDS"], os.environ["COMP_CWORD"] = " ".join(joined), str(len(joined) - 1)
    known, equals, _ = joined[-1].rpartition("=")
    output = io.StringIO()
    try:
        with redirect_stdout(output):
            yield
    finally:
        for line in output.getvalue().splitlines():
            print(line.removeprefix(known + equals))
        sys.stdout.flush()


def _cheap(verb: str) -> Iterator[str]:
    """Candidates that need no more than a look at the conf and runs folders."""
    if verb in ("eval", "resume"):
        yield from _runs()
        yield from ("checkpoint=last", "checkpoint=best")
    if verb == "resume":
        return
    yield from (f"+exp={name}" for name in choices("exp"))
    for group in groups():
        if group.partition("/")[0] not in {*_APART, "hydra"}:
            yield from (f"{group}={choice}" for choice in choices(group))
    if verb in ("sweep", "claim"):
        for group, known in _HYDRA.items():
            installed = {choice for choice, module in known.items() if _is_installed(module)}
            yield from (f"{group}={choice}" for choice in sorted(installed | choices(group).keys()))


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # not even the package that all plugins share
        return False


def _runs() -> Iterator[str]:
    from pathlib import Path

    from agentlab_runner.runners.config.compose import draft

    yield "run=latest"
    for manifest in sorted(Path(draft([]).runs_dir).expanduser().glob("[!.]*/manifest.json"), reverse=True):
        yield f"run={manifest.parent}"


def _of_config(verb: str, given: Sequence[str], incomplete: str) -> Iterator[str]:
    """`key=value` for the keys of the config so far, with the values its schema allows or the present one."""
    from omegaconf import OmegaConf

    from agentlab_runner.runners.config.compose import draft
    from agentlab_runner.runners.config.identity import flatten
    from agentlab_runner.runners.config.validate import take_schemas
    from agentlab_runner.runners.launch import find_run, split

    own, rest = split(given)
    if "run" in own:
        cfg = find_run(own).config
    elif verb == "resume":
        return
    elif verb == "claim":
        cfg = draft([], config=f"claim/{given[0]}") if incomplete.startswith("claim") else draft(rest[1:])
    else:
        cfg = draft(rest)
    schemas = take_schemas(cfg)
    mark = incomplete[: len(incomplete) - len(incomplete.lstrip("+~"))]
    for key, value in flatten(OmegaConf.to_container(cfg)).items():
        if key.rpartition(".")[2].startswith("_") or is_group(key):
            continue
        if mark == "~":
            yield f"~{key}"
        else:
            yield from (f"{mark}{key}={value}" for value in _allowed(key, schemas) or [_written(value)])


def _allowed(key: str, schemas: dict[str, str]) -> list[str]:
    """The values of a key whose schema lists them."""
    owners = [path for path in schemas if not path or key.startswith(f"{path}.")]
    if not owners:
        return []
    owner = max(owners, key=len)
    module, _, name = schemas[owner].rpartition(".")
    annotation: Any = getattr(import_module(module), name)
    for part in key.removeprefix(f"{owner}.").split("."):
        fields = [m.model_fields for m in (annotation, *get_args(annotation)) if hasattr(m, "model_fields")]
        if not fields or part not in fields[0]:
            return []
        annotation = fields[0][part].annotation
    branches = (annotation, *get_args(annotation))
    literals = [str(value) for branch in branches if get_origin(branch) is Literal for value in get_args(branch)]
    return literals or (["true", "false"] if bool in branches else [])


def _written(value: Any) -> str:
    """A value as an override spells it; nothing for one that would need quotes."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    text = str(value)
    return text if isinstance(value, int | float | str) and re.fullmatch(r"[\w./+-]+", text) else ""
