"""Phrases that are listed, and the parser: what can be said is what can be seen, and is read as it was written."""

from collections.abc import Mapping

import numpy as np

from agentlab_runner.runners.check.actions import SHOWN, examples, forms
from agentlab_runner.runners.check.finding import Broken, NotAsked
from agentlab_runner.runners.check.subject import Environment
from agentlab_runner.runners.check.trace import digest, name_of, short
from agentlab_runner.runners.experiment import Parser
from agentlab_runner.runners.types import Observation

PHRASES = ("actions", "action_ids")
GARBAGE = (
    "", " ", "\n", "\x00", "{", "}", '{"action": ', '{"action": null}', '{"action": []}', "[[[[", "null", "Action:",
    "I cannot do that.", "\ud83d\ude00 \u202e", "9" * 5000, "(" * 2000, '"' * 999, "a: b: c: d", "0.5, 0.5", "\\",
)  # fmt: skip
"""What a model may write instead of an action."""


def phrases(one: Environment) -> str:
    """None twice, none empty, an id of the action space for each."""
    listing = [seen for seen in _observations(one) if any(key in seen for key in PHRASES)]
    if not listing:
        raise NotAsked("observations list no actions")
    space = one.declared["action_space"]
    for seen in listing:
        if lacking := [key for key in PHRASES if key not in seen]:
            raise Broken(f"{one.name}: an observation has no {lacking[0]!r}; give actions and action_ids, as many")
        said, ids = [str(phrase) for phrase in seen["actions"]], list(seen["action_ids"])
        if len(said) != len(ids):
            raise Broken(f"{one.name}: {len(said)} actions and {len(ids)} action_ids; give an id with each phrase")
        if not said or not all(phrase.strip() for phrase in said):
            raise Broken(f"{one.name}: an observation lists {short(said)}; list at least one action, none empty")
        if len(set(said)) < len(said) or len({digest(number) for number in ids}) < len(ids):
            raise Broken(f"{one.name}: an observation lists a phrase or an id twice: {short(said)}, {short(ids)}")
        if space is not None and not all(space.contains(number) for number in ids):
            raise Broken(f"{one.name}: the action_ids {short(ids)} are not all in {short(space)}")
    return f"{len({digest(seen['actions']) for seen in listing})} lists in {len(listing)} observations"


def same_view(one: Environment) -> str:
    """Phrases are a function of what is shown: of words and pictures where there are any, else of the numbers."""
    seen = [each for each in _observations(one) if any(key in each for key in PHRASES)]
    if not seen:
        raise NotAsked("observations list no actions")
    view = [key for key in ("image", "text") if any(key in each for each in seen)] or ["vector"]
    known: dict[str, Mapping[str, str]] = {}
    for each in seen:
        given = {key: digest(each.get(key)) for key in PHRASES}
        before = known.setdefault(digest({key: each.get(key) for key in view}), given)
        if odd := [key for key in PHRASES if before[key] != given[key]]:
            raise Broken(
                f"{one.name} gives two {odd[0]!r} for one {' and '.join(view)}, so they tell what is not shown; make "
                "them a function of what is"
            )
    return f"{len(known)} views in {len(seen)} observations"


def vectors(one: Environment) -> str:
    """Finite numbers, always as many."""
    known = [each["vector"] for each in _observations(one) if "vector" in each]
    if not known:
        raise NotAsked("observations have no vector")
    for vector in known:
        numbers = np.asarray(vector)
        if numbers.ndim != 1 or numbers.dtype.kind not in "fiub" or not np.isfinite(numbers).all():
            raise Broken(f"{one.name}: a vector is {short(vector)}; give finite numbers in one dimension")
        if numbers.shape != np.shape(known[0]):
            raise Broken(f"{one.name}: a vector has {numbers.size} numbers, another {np.size(known[0])}; give as many")
    return f"{np.size(known[0])} numbers"


def api(one: Environment) -> str:
    """Every example that the parser shows is read, is of a class, and is written as it is read."""
    parser = _parser(one)
    name, shown = name_of(parser), examples(str(getattr(parser, "api", "")))
    if not shown:
        raise Broken(f"{name}.api shows no action; end a line in {SHOWN!r}, and give examples in those that follow")
    for line in shown:
        action = parser.parse(line)
        if action is None:
            raise Broken(f"{name}.parse reads no action in {short(line)}, which is an example of its own api")
        label = parser.label(action)
        if not 0 <= label < len(parser.labels):
            raise Broken(f"{name}.label gave {label} for {short(line)}, but there are {len(parser.labels)} labels")
    return f"{len(shown)} examples of {len(parser.labels)} classes"


def round_trip(one: Environment) -> str:
    """`parse` gives back what `render` wrote."""
    parser = _parser(one)
    shown = [*examples(str(getattr(parser, "api", ""))), *forms(parser)]
    actions = [action for line in shown if (action := parser.parse(line)) is not None]
    if not actions:
        raise NotAsked("api shows no action that is read")
    name = name_of(parser)
    for action in actions:
        written = parser.render(action)
        back = parser.parse(written)
        if back is None or not parser.same(action, back) or not parser.same(back, action):
            raise Broken(
                f"{name}.parse reads {short(back)} in {short(written)}, which {name}.render wrote for {short(action)}"
            )
        space = one.declared["action_space"]
        if space is not None and not space.contains(written):
            raise Broken(f"{name}.render wrote {short(written)}, which is not in the action_space of {one.name}")
    for number, action in enumerate(actions):
        for other in actions[:number]:
            if parser.same(action, other) and parser.label(action) != parser.label(other):
                raise Broken(f"{name}.same takes {short(action)} and {short(other)} for one, {name}.label for two")
    return f"{len(actions)} actions written and read"


def garbage(one: Environment) -> str:
    """A parser reads whatever a model writes, and says None where it means nothing."""
    parser = _parser(one)
    for text in GARBAGE:
        try:
            action = parser.parse(text)
            if action is not None:
                parser.label(action), parser.render(action)
        except Exception as fault:
            said = f"{type(fault).__name__}: {fault}"[:200]
            raise Broken(
                f"{name_of(parser)}.parse raised {said} for {short(text)}; give None for what means nothing"
            ) from fault
    return f"{len(GARBAGE)} texts that mean nothing"


def _parser(one: Environment) -> Parser:
    if one.parser is None:
        raise NotAsked("it has no parser")
    return one.parser


def _observations(one: Environment) -> list[Observation]:
    return [seen for trace in one.traces for seen in trace.observations]

