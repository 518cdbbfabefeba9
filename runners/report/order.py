"""In which order evaluations and recordings were made, by what they say of themselves: a copy has other file times."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from agentlab_runner.runners.run.manifest import moment

NAMED = re.compile(r"(iteration|checkpoint)_(\d+)")
"""What an evaluation is called that belongs to a step."""
TELLING = {"eval/success": "success", "eval/return": "return", "eval/length": "length"}
"""Logged beside an evaluation with the values it has."""

Logged = Mapping[str, Mapping[int, tuple[float | None, float | None]]]
"""name -> step -> (time, value)."""


def in_order(said: Mapping[str, Mapping[str, Any]], logged: Logged) -> list[str]:
    """The names by step, those of one step by time.

    Args:
        said: what each says of itself, by name: `step` and `time`; older folders have neither, so that the step is
            read off the name, or off the logged line with the same values.
    """
    return sorted(said, key=lambda name: _place(name, said[name], logged))


def overtaken(said: Mapping[str, Mapping[str, Any]], resumed: Sequence[Any]) -> list[str]:
    """The names of those from a course that the run left when it was resumed at an earlier step."""
    turns = [(_number(turn.get("step")), moment(turn.get("time"))) for turn in resumed if isinstance(turn, Mapping)]

    def left(one: Mapping[str, Any]) -> bool:
        step, time = _number(one.get("step")), _number(one.get("time"))
        if step is None or time is None:
            return False
        return any(at is not None and time < at and back is not None and back < step for back, at in turns)

    return [name for name, one in said.items() if left(one)]


def _place(name: str, said: Mapping[str, Any], logged: Logged) -> tuple[Any, ...]:
    step, time = _number(said.get("step")), _number(said.get("time"))
    if step is None:
        step = _step_of(name, said, logged)
    natural = [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)]  # text and number in turn
    return step, time or 0.0, not name.startswith("iteration"), natural


def _step_of(name: str, said: Mapping[str, Any], logged: Logged) -> float:
    if named := NAMED.fullmatch(name):
        return int(named[2])
    telling = {metric: said[key] for metric, key in TELLING.items() if key in said and metric in logged}
    steps = [
        step
        for step in next((logged[metric] for metric in telling), {})
        if all(logged[metric].get(step, (None, None))[1] == value for metric, value in telling.items())
    ]
    return max(steps, default=-1)


def _number(value: Any) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
