"""What environments and agents answer, held against what they promise: a breach is named where it happens."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.types import Decision, Histogram, Metrics, Observation, Picture, StopReason

OBSERVED = ("text", "image", "actions", "action_ids", "vector")
"""What an observation may hold for agents to read (docs/adding_an_env.md)."""

Outcome = tuple[Observation, float, bool, bool, Mapping[str, Any]]


def begun(env: Any, answer: Any) -> tuple[Observation, Mapping[str, Any]]:
    """What `reset` gave: an observation and an info.

    Raises:
        ValueError: naming the environment, what it gave and what was expected.
    """
    if not (isinstance(answer, tuple | list) and len(answer) == 2):
        raise ValueError(f"{_name(env)}.reset gave {_shape(answer)}, but must give (observation, info)")
    observation, info = answer
    return _seen(env, "reset", observation), _told(env, "reset", info)


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
    return _seen(env, "step", observation), float(reward), bool(terminated), bool(truncated), told


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
    return decisions


def reported(agent: Any, verb: str, answer: Any) -> Metrics:
    """What `learn` and its like gave: metrics by name.

    Raises:
        ValueError: as `begun`, of the agent.
    """
    if not isinstance(answer, Mapping):
        raise ValueError(f"{_name(agent)}.{verb} gave {_shape(answer)}, but must give a dict of metrics; {{}} for none")
    for name, value in answer.items():
        if not (isinstance(name, str) and (isinstance(value, Histogram | Picture) or _is_number(value))):
            given = f"{_name(agent)}.{verb} gave the metric {name!r}: {_short(value)}"
            raise ValueError(f"{given}, but a metric is a name with a number, a Histogram or a Picture")
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
    return info


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
