"""Recorded tasks as the Mind2Web data have them, of which only what is shown and scored is kept in memory."""

import json
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Any

from agentlab_runner.envs.mind2web.actions import OPS, Action
from agentlab_runner.envs.mind2web.pruning import element, parsed, shown
from agentlab_runner.envs.mind2web.scores import Ranks

MADE = Path(__file__).parent / "made"
"""The corpus that `tests/envs/mind2web/make_corpus.py` makes, in place of the real data."""


@dataclass(frozen=True, eq=False)
class Step:
    """One action of a task, and the page on which it was taken."""

    where: str
    """File, task and action, for messages."""
    page: bytes
    """The cleaned page, deflated."""
    true: Action
    words: str
    """The action in words, as `[button]  Search -> CLICK`."""
    positives: tuple[tuple[str, float], ...]
    """Id and rank of the candidates that are what was acted on."""
    negatives: tuple[str, ...]
    """Ids of the others, the likeliest first."""
    hidden: str = ""
    """The element itself where no candidate is what was acted on: the cleaned page lacks it."""

    def is_ranked(self, count: int) -> bool:
        """Whether the element is among the first `count` candidates."""
        return any(rank < count for _, rank in self.positives)

    def observation(self, count: int) -> str:
        """The page round the first element that was acted on and the `count` - 1 likeliest others.

        An element that the cleaned page lacks stands at its end.
        """
        return _observed(self, count)


@lru_cache(4096)
def _observed(step: Step, count: int) -> str:
    ids = [key for key, _ in step.positives[:1]] + list(step.negatives[: count - 1])
    try:
        page = shown(parsed(zlib.decompress(step.page).decode()), ids)
    except ValueError as fault:
        raise ValueError(f"the cleaned_html of {step.where} is not as it should be: {fault}") from None
    if not step.hidden:
        return page
    head, mark, _ = page.rpartition("</html>")
    return f"{head if mark else '<html> '}{step.hidden} </html>"


@dataclass(frozen=True, eq=False)
class Sample:
    """One task on one web site."""

    name: str
    """Its annotation_id."""
    website: str
    domain: str
    subdomain: str
    goal: str
    steps: tuple[Step, ...]

    @cached_property
    def specifier(self) -> str:
        """What it is looked up by."""
        return (
            f"Website: {self.website}\nDomain: {self.domain}\nSubdomain: {self.subdomain}\nTask: {self.goal}"
        )


@cache
def load(folder: Path, split: str) -> tuple[Sample, ...]:
    """All tasks of a split, files in the order of the numbers that their names end in; read once.

    Raises:
        ValueError: naming file, task and field of what is not as it should be.
    """
    files = sorted((folder / split).glob("*_*.json"), key=_number)
    if not files:
        raise ValueError(f"{folder / split} holds no NAME_N.json; give env.path the folder `data` of Mind2Web")
    ranks = Ranks(folder)
    return tuple(_sample(content, f"{file}: task {place}", ranks) for file in files for place, content in _tasks(file))


def _number(file: Path) -> int:
    digits = file.stem.rpartition("_")[2]
    if not re.fullmatch(r"[0-9]+", digits):
        raise ValueError(f"{file} does not end in _ and a number, by which files are put in order; rename it")
    return int(digits)


def _tasks(file: Path) -> Iterator[tuple[int, Any]]:
    try:
        content = json.loads(file.read_bytes())
    except (ValueError, RecursionError) as fault:
        raise ValueError(f"{file} is no JSON ({fault}); fetch it again") from None
    if not isinstance(content, list):
        raise ValueError(f"{file} must hold a list of tasks")
    return enumerate(content)


def _sample(content: Any, where: str, ranks: Ranks) -> Sample:
    names = ("annotation_id", "website", "domain", "subdomain", "confirmed_task")
    name, website, domain, subdomain, goal = (_field(content, field, str, where) for field in names)
    actions, words = (_field(content, field, list, where) for field in ("actions", "action_reprs"))
    if not actions or len(actions) != len(words) or not all(isinstance(one, str) for one in words):
        raise ValueError(
            f"{where} ({name}) has {len(actions)} actions and {len(words)} action_reprs; it needs at least one, and a "
            "text for each"
        )
    steps = tuple(
        _step(one, said, name, f"{where} ({name}), action {at}", ranks)
        for at, (one, said) in enumerate(zip(actions, words, strict=True))
    )
    return Sample(name, website, domain, subdomain, goal, steps)


def _step(content: Any, words: str, task: str, where: str, ranks: Ranks) -> Step:
    uid, page = (_field(content, field, str, where) for field in ("action_uid", "cleaned_html"))
    operation = _field(content, "operation", dict, where)
    op, value = (_field(operation, field, str, f"operation of {where}") for field in ("op", "value"))
    if op not in OPS:
        raise ValueError(f"the op of {where} is {op!r}; it must be one of {', '.join(OPS)}")
    key = f"{task}_{uid}"
    positives, negatives = (
        [(one, ranks.of(key, one)) for one in _ids(content, field, where)]
        for field in ("pos_candidates", "neg_candidates")
    )
    hidden = ""
    if positives:
        true = positives[0][0]
    else:
        try:
            true, hidden = element(parsed(_field(content, "raw_html", str, where)), uid)
        except ValueError as fault:
            raise ValueError(f"{where} has no pos_candidates, and {fault}; leave the task out") from None
    likeliest = tuple(one for one, _ in sorted(negatives, key=lambda pair: pair[1]))
    action = Action(op, true, None if op == "CLICK" else value)
    return Step(where, zlib.compress(page.encode(errors="replace")), action, words, tuple(positives), likeliest, hidden)


def _ids(content: Mapping[str, Any], field: str, where: str) -> Sequence[str]:
    return [_field(one, "backend_node_id", str, f"{field} of {where}") for one in _field(content, field, list, where)]


def _field(content: Any, name: str, kind: type, where: str) -> Any:
    found = content.get(name) if isinstance(content, dict) else None
    if not isinstance(found, kind):
        called = {"str": "a text", "list": "a list", "dict": "an object"}[kind.__name__]
        raise ValueError(f"{name} of {where} is {type(found).__name__}; it must be {called}")
    return found
