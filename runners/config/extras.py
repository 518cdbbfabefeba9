"""The optional extras: what each needs, and the command that installs it."""

import importlib.metadata
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement

DISTRIBUTION = "agentlab-runner"
CHECKOUT = Path(__file__).resolve().parents[2] / "pyproject.toml"


def extras() -> dict[str, list[Requirement]]:
    """What each extra needs, from the checkout or the installed package; an extra that others make up names theirs."""
    if CHECKOUT.exists():
        project = tomllib.loads(CHECKOUT.read_text())["project"]["optional-dependencies"]
        direct = {name: [Requirement(text) for text in needs] for name, needs in project.items()}
    else:
        metadata = importlib.metadata.metadata(DISTRIBUTION)
        needs = [Requirement(text) for text in importlib.metadata.requires(DISTRIBUTION) or []]
        direct = {
            name: [need for need in needs if need.marker and need.marker.evaluate({"extra": name})]
            for name in metadata.get_all("Provides-Extra") or []
        }
    return {name: list(_whole(name, direct)) for name in direct}


def install(extra: str) -> str:
    """The command that installs what an extra needs.

    Outside a checkout it names the packages themselves: whatever a package index has under this project's name is not
    this project.
    """
    if CHECKOUT.exists():
        return f"pip install -e '.[{extra}]'"
    return "pip install " + " ".join(_argument(need) for need in extras()[extra])


def remedy(fault: BaseException | None) -> str:
    """How to install the module whose absence is behind a fault; empty if none is, or no extra brings it."""
    seen: list[BaseException] = []
    while fault is not None and fault not in seen:  # whoever raised them may have made them each other's cause
        seen.append(fault)
        if isinstance(fault, ModuleNotFoundError) and fault.name:
            package = _normal(fault.name.partition(".")[0])
            bringing = (extra for extra, needs in extras().items() if package in (_normal(n.name) for n in needs))
            return next(map(install, bringing), "")
        fault = fault.__cause__
    return ""


def advised(text: str, fault: BaseException) -> str:
    """What is said of a fault, with its remedy behind it if there is one."""
    command = remedy(fault)
    return f"{text}; install what is missing with: {command}" if command else text


def _whole(extra: str, direct: dict[str, list[Requirement]]) -> Iterator[Requirement]:
    for need in direct[extra]:
        if need.name == DISTRIBUTION:
            for part in sorted(need.extras):
                yield from _whole(part, direct)
        else:
            yield need


def _argument(need: Requirement) -> str:
    """A requirement as a shell's user types it."""
    options = f"[{','.join(sorted(need.extras))}]" if need.extras else ""
    text = f"{need.name}{options}{need.specifier}"
    return text if re.fullmatch(r"[\w.=-]+", text) else f"'{text}'"


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
