"""Exemplars and what they are found by, in the two files of the original: `exemplars.json` and `specifiers.json`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agentlab_runner.agents.synapse import page
from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.files.received import read_object

PROMPTS = ("filter_prompt", "code_filter_prompt")


@dataclass(frozen=True, slots=True)
class Turn:
    """One step of a demonstration."""

    act: str
    """The program."""
    state: str | None = None
    """The page's html."""
    obs: str | None = None
    """What is left of it."""


@dataclass(frozen=True, slots=True)
class Demo:
    """A task that was solved."""

    turns: tuple[Turn, ...]
    task: str | None = None
    """Its words; None where they stand in what is shown alone, as those of the original's single steps do."""
    is_trajectory: bool = False
    """Shown as a whole that begins with the task; else as a turn by itself."""


def words_of(demo: Demo) -> str:
    """The words of an exemplar's task, as it says them or as its page does."""
    first = demo.turns[0]
    return demo.task if demo.task is not None else page.query(first.state or "") or first.obs or ""


@dataclass(frozen=True, slots=True)
class Exemplars:
    """All that is shown of one task."""

    demos: tuple[Demo, ...]
    filter_prompt: tuple[str, ...] = ()
    """Says how a page is abstracted, one for all steps or one a step."""
    code_filter_prompt: tuple[str, ...] = ()
    """Asks for a program that does, with <task> and <state> to be filled in; "" at a step without."""
    act_prompt: str | None = None
    """Said before the demonstrations of whole pages."""

    def step(self, prompts: tuple[str, ...], step: int) -> str:
        """The prompt of a step, from 0; "" if there is none."""
        return prompts[min(step, len(prompts) - 1)] if prompts else ""


@dataclass(frozen=True, slots=True)
class Exemplary:
    """Exemplars by task, and for each task the texts that it is found by."""

    exemplars: Mapping[str, Exemplars]
    specifiers: Mapping[str, tuple[str, ...]]


def load(folder: Path) -> Exemplary:
    """Both files of a folder.

    Raises:
        UserError: naming the file, the task and the field that is not as it should be.
    """
    shown, found_by = _content(folder, "exemplars.json"), _content(folder, "specifiers.json")
    if odd := sorted(shown.keys() ^ found_by.keys()):
        where = "specifiers.json" if odd[0] in shown else "exemplars.json"
        raise UserError(f"{folder}: {odd[0]} is missing from {where}; the two must have the same tasks")
    if not shown:
        raise UserError(f"{folder}: there is no task in exemplars.json; a memory needs at least one")
    return Exemplary(
        {task: _exemplars(folder, task, content) for task, content in shown.items()},
        {task: _texts(folder / "specifiers.json", task, "", content) for task, content in found_by.items()},
    )


def as_json(exemplary: Exemplary) -> tuple[dict[str, Any], dict[str, Any]]:
    """The content of the two files, which `load` reads again."""
    return (
        {task: _plain(own) for task, own in exemplary.exemplars.items()},
        {task: list(texts) for task, texts in exemplary.specifiers.items()},
    )


def _content(folder: Path, name: str) -> dict[str, Any]:
    try:
        return read_object(folder, name)
    except FileNotFoundError:
        raise UserError(f"{folder} has no {name}; a memory of Synapse is a folder with both files") from None


def _exemplars(folder: Path, task: str, content: Any) -> Exemplars:
    file = folder / "exemplars.json"
    if not isinstance(content, dict) or not isinstance(content.get("demo"), list) or not content["demo"]:
        raise _odd(file, task, "demo", "a list of at least one demonstration")
    demos = tuple(_demo(file, task, number, demo) for number, demo in enumerate(content["demo"]))
    if len({demo.is_trajectory for demo in demos}) > 1:
        raise _odd(file, task, "demo", "all single steps or all trajectories")
    prompts = {name: _texts(file, task, name, content[name]) for name in PROMPTS if content.get(name) is not None}
    act_prompt = content.get("ablation_act_prompt")
    if act_prompt is not None and not isinstance(act_prompt, str):
        raise _odd(file, task, "ablation_act_prompt", "a text")
    return Exemplars(demos, act_prompt=act_prompt, **prompts)


def _demo(file: Path, task: str, number: int, content: Any) -> Demo:
    where = f"demo {number}"
    if not isinstance(content, dict):
        raise _odd(file, task, where, "an object")
    if "trajectory" not in content:
        if not isinstance(content.get("task", ""), str):
            raise _odd(file, task, f"task of {where}", "a text")
        return Demo((_turn(file, task, where, content),), content.get("task"))
    steps = content["trajectory"]
    if not isinstance(steps, list) or not steps or not isinstance(content.get("task"), str):
        raise _odd(file, task, where, "a trajectory of at least one step, and its task")
    turns = tuple(_turn(file, task, f"{where} step {step}", turn) for step, turn in enumerate(steps))
    return Demo(turns, content["task"], is_trajectory=True)


def _turn(file: Path, task: str, where: str, content: Any) -> Turn:
    if not isinstance(content, dict):
        raise _odd(file, task, where, "an object")
    for name in ("act", "state", "obs"):
        if not isinstance(content.get(name), str) and (name == "act" or content.get(name) is not None):
            raise _odd(file, task, f"{name} of {where}", "a text")
    return Turn(content["act"], content.get("state"), content.get("obs"))


def _texts(file: Path, task: str, field: str, content: Any) -> tuple[str, ...]:
    texts = [content] if isinstance(content, str) else content
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise _odd(file, task, field or "its entry", "a text or a list of texts")
    return tuple(texts)


def _odd(file: Path, task: str, field: str, wanted: str) -> UserError:
    return UserError(f"{file}: {field} of {task} must be {wanted}")


def _plain(own: Exemplars) -> dict[str, Any]:
    def turn(one: Turn) -> dict[str, str]:
        return {name: text for name in ("state", "obs", "act") if (text := getattr(one, name)) is not None}

    demos = [
        ({"task": demo.task} if demo.task is not None else {})
        | ({"trajectory": [turn(one) for one in demo.turns]} if demo.is_trajectory else turn(demo.turns[0]))
        for demo in own.demos
    ]
    said: dict[str, Any] = {"demo": demos}
    for name in PROMPTS:
        if texts := list(getattr(own, name)):
            said[name] = texts[0] if len(texts) == 1 else texts
    return said | ({"ablation_act_prompt": own.act_prompt} if own.act_prompt is not None else {})
