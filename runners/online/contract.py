"""What environments and agents answer, held against what they promise: a breach is named where it happens."""

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.frames import Frame
from agentlab_runner.runners.online.evaluation import is_texts
from agentlab_runner.runners.types import Decision, Histogram, Metrics, Observation, Picture, Series, StopReason, Table

OBSERVED = ("text", "image", "actions", "action_ids", "vector")
"""What an observation may hold for agents to read (docs/adding_an_env.md)."""

Outcome = tuple[Observation, float, bool, bool, Mapping[str, Any]]

SUCCEEDED = {StopReason.SUCCESS: True} | dict.fromkeys(
    (StopReason.FAILURE, StopReason.TIMEOUT, StopReason.GAVE_UP, StopReason.ERROR, StopReason.CANCELLED), False
)
"""What `success` must be beside a stop that settles it."""
CALL = {"module": str, "messages": Sequence, "reply": str, "tokens_in": int, "tokens_out": int, "cached": bool}
"""What a call holds beside `seconds` and `cost`, which are finite numbers."""
LARGEST_RECORD = 2**16
"""Characters of a decision's `record`."""


def begun(env: Any, answer: Any) -> tuple[Observation, Mapping[str, Any]]:
    """What `reset` gave: an observation and an info.

    Raises:
        ValueError: naming the environment, what it gave and what was expected.
    """
    if not (isinstance(answer, tuple | list) and len(answer) == 2):
        raise ValueError(f"{_name(env)}.reset gave {_shape(answer)}, but must give (observation, info)")
    observation, info = answer
    told = _told(env, "reset", info)
    if not isinstance(told.get("restart", {}), Mapping):
        wanted = "but it is the options that begin this episode again, as {'task': ...}"
        raise ValueError(f"{_name(env)}.reset says restart={_short(told['restart'])}, {wanted}")
    if not is_texts(told.get("conditions", {})):
        wanted = "but they are texts by name, as {'variant': 'stock'}"
        raise ValueError(f"{_name(env)}.reset says conditions={_short(told['conditions'])}, {wanted}")
    return _seen(env, "reset", observation), told


def check(env: Any) -> None:
    """Let an environment that has a `check` refuse before anything is played; it is asked once for all like it."""
    if ask := getattr(getattr(env, "unwrapped", env), "check", None):
        ask()


def stepped(env: Any, answer: Any) -> Outcome:
    """What `step` gave: an observation, one finite reward, two flags and an info, which says `success` at the end.

    Raises:
        ValueError: as `begun`.
    """
    if not (isinstance(answer, tuple | list) and len(answer) == 5):
        wanted = "(observation, reward, terminated, truncated, info)"
        raise ValueError(f"{_name(env)}.step gave {_shape(answer)}, but must give {wanted}")
    observation, reward, terminated, truncated, info = answer
    if not _is_finite(reward):
        raise ValueError(f"{_name(env)}.step gave the reward {_short(reward)}, but a reward is one finite number")
    told = _told(env, "step", info)
    if terminated or truncated:
        if "success" not in told:
            raise ValueError(f"{_name(env)}.step ended an episode, but its info does not say 'success'; add it")
        if told.get("stop", StopReason.SUCCESS) not in list(StopReason):
            reasons = ", ".join(StopReason)
            raise ValueError(f"{_name(env)}.step says stop={told['stop']!r}, but must say one of {reasons}")
        if not _is_finite(told.get("episode_return", 0.0)):
            raise ValueError(
                f"{_name(env)}.step says episode_return={_short(told['episode_return'])}, but it is one finite number"
            )
        if "stop" in told and SUCCEEDED.get(StopReason(told["stop"]), told["success"]) != told["success"]:
            said = f"stop={str(told['stop'])!r} and success={bool(told['success'])}"
            raise ValueError(f"{_name(env)}.step says {said}, which cannot both be; say what happened")
    return _seen(env, "step", observation), float(reward), bool(terminated), bool(truncated), told


def taken(env: Any, task: str, start: Mapping[str, Any]) -> None:
    """Whether `reset` began the task that was asked for by name.

    Raises:
        UserError: if it did not.
    """
    if start.get("task") != task:
        raise UserError(
            f"{_name(env)} was asked for the task {task!r} and began {start.get('task')!r}; it takes no task by name "
            "(reset must obey options['task'] and say it in info['task']), so leave eval.tasks empty"
        )


@contextmanager
def reading(agent: Any, env: Any, observation: Observation) -> Iterator[None]:
    """Inside, an agent reads observations like this one of an environment.

    Raises:
        UserError: naming agent, environment and key, if it reads one of `OBSERVED` that they do not have.
    """
    try:
        yield
    except KeyError as fault:
        key = fault.args[0] if fault.args else None
        if key not in OBSERVED or key in observation:
            raise
        gives = ", ".join(map(repr, observation)) or "nothing"
        raise UserError(
            f"{_name(agent)} reads {key!r} of an observation, but those of {_name(env)} hold {gives}; "
            f"add {key!r} to the environment's observations, or choose another agent"
        ) from fault


def decided(agent: Any, answer: Any, count: int) -> Sequence[Decision]:
    """What `act` gave: a Decision for each of `count` observations.

    Raises:
        ValueError: as `begun`, of the agent.
    """
    if not isinstance(answer, Iterable):
        raise ValueError(f"{_name(agent)}.act gave {_shape(answer)}, but must give a list of Decisions")
    decisions = list(answer)
    odd = [decision for decision in decisions if not isinstance(decision, Decision)]
    if odd:
        raise ValueError(f"{_name(agent)}.act gave {_shape(odd[0])} where a Decision belongs; give one an observation")
    if len(decisions) != count:
        given = f"{_name(agent)}.act gave {len(decisions)} decisions for {count} observations"
        raise ValueError(f"{given}; give one for each, in their order")
    for decision in decisions:
        if decision.give_up is not None and not (isinstance(decision.give_up, str) and decision.give_up.strip()):
            raise ValueError(f"{_name(agent)}.act gave up with {_short(decision.give_up)}; say why in words, or None")
        if "calls" in decision.extras:
            _check_calls(agent, decision.extras["calls"])
        if "record" in decision.extras:
            _check_record(agent, decision.extras["record"])
    return decisions


def reported(agent: Any, verb: str, answer: Any) -> Metrics:
    """What `learn` and its like gave: metrics by name.

    Raises:
        ValueError: as `begun`, of the agent.
    """
    if not isinstance(answer, Mapping):
        raise ValueError(f"{_name(agent)}.{verb} gave {_shape(answer)}, but must give a dict of metrics; {{}} for none")
    for name, value in answer.items():
        given = f"{_name(agent)}.{verb} gave the metric {name!r}: {_short(value)}"
        known = isinstance(value, Histogram | Picture | Series | Table) or _is_number(value)
        if not (isinstance(name, str) and known):
            kinds = "a number, a Histogram, a Picture, a Series or a Table"
            raise ValueError(f"{given}, but a metric is a name with {kinds}")
        if isinstance(value, Series) and not all(len(line) == len(value.x) for line in value.lines.values()):
            raise ValueError(f"{given}, but every line of a Series has as many values as its x")
        if isinstance(value, Table) and not all(len(row) == len(value.columns) for row in value.rows):
            raise ValueError(f"{given}, but every row of a Table has as many cells as it has columns")
    return answer


def _seen(env: Any, verb: str, observation: Any) -> Observation:
    if not isinstance(observation, Mapping):
        wanted = "an observation is a dict, as {'text': ..., 'image': ...}"
        raise ValueError(f"{_name(env)}.{verb} gave {_shape(observation)} as observation, but {wanted}")
    image = observation.get("image")
    if image is not None and not (
        isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3
    ):
        kind = f"{image.dtype} {list(image.shape)}" if isinstance(image, np.ndarray) else _shape(image)
        raise ValueError(f"{_name(env)}.{verb} shows an image of {kind}, but an image is uint8 [height, width, 3]")
    return observation


def _told(env: Any, verb: str, info: Any) -> Mapping[str, Any]:
    if not isinstance(info, Mapping):
        raise ValueError(f"{_name(env)}.{verb} gave {_shape(info)} as info, but info is a dict")
    for group in ("scores", "measures"):
        numbers = info.get(group, {})
        if not isinstance(numbers, Mapping):
            raise ValueError(f"{_name(env)}.{verb} says {group}={_short(numbers)}, but {group} are numbers by name")
        for name, value in numbers.items():
            if not (isinstance(name, str) and _is_finite(value)):
                said = f"{_name(env)}.{verb} says {name!r}: {_short(value)} in its {group}"
                raise ValueError(f"{said}, but they are finite numbers by name; leave out what was not measured")
    return info


def _check_calls(agent: Any, calls: Any) -> None:
    if not isinstance(calls, list | tuple):
        raise ValueError(f"{_name(agent)}.act gave {_shape(calls)} as extras['calls'], but they are a list of calls")
    for call in calls:
        if wrong := _wrong(call):
            raise ValueError(f"{_name(agent)}.act gave a call that is none ({wrong}); see runners.types.Call")


def _wrong(call: Any) -> str:
    """What keeps something from being a call; "" if nothing does."""
    if not isinstance(call, Mapping):
        return _short(call)
    for name, kind in CALL.items():
        if not isinstance(call.get(name), kind):
            return f"its {name} is {_short(call.get(name))}"
    for name in ("seconds", "cost"):
        if not _is_finite(call.get(name)):
            return f"its {name} is {_short(call.get(name))}"
    if not isinstance(call.get("model", ""), str):
        return f"its model is {_short(call['model'])}"
    odd = next((message for message in call["messages"] if not _is_message(message)), None)
    return "" if odd is None else f"a message is {_short(odd)}"


def _is_message(message: Any) -> bool:
    if not (isinstance(message, Mapping) and isinstance(message.get("role"), str)):
        return False
    parts = message.get("parts")
    return isinstance(parts, list | tuple) and all(
        isinstance(part.get("frame"), str) if isinstance(part, Mapping) else isinstance(part, str | Frame)
        for part in parts
    )


def _check_record(agent: Any, record: Any) -> None:
    try:
        size = len(json.dumps(record, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as fault:
        raise ValueError(f"{_name(agent)}.act gave extras['record'] that JSON cannot hold: {fault}") from fault
    if size > LARGEST_RECORD:
        most = f"{LARGEST_RECORD} characters"
        raise ValueError(f"{_name(agent)}.act gave extras['record'] of {size} characters; keep it below {most}")


def _is_number(value: Any) -> bool:
    if isinstance(value, str | bytes):
        return False
    try:
        float(value)
    except (TypeError, ValueError, RuntimeError, OverflowError):  # torch says RuntimeError
        return False
    return True


def _is_finite(value: Any) -> bool:
    return _is_number(value) and math.isfinite(float(value))


def _name(part: Any) -> str:
    """The class a user wrote, whatever wraps it."""
    kind = part if isinstance(part, type) else type(getattr(part, "unwrapped", part))
    return f"{kind.__module__}.{kind.__qualname__}"


def _shape(value: Any) -> str:
    if isinstance(value, tuple | list):
        return f"{len(value)} values"
    return "None" if value is None else f"a {type(value).__name__}"


def _short(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."
