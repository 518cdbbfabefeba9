"""Episodes played to be compared: what was shown and said at every moment, as digests by name."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import numpy as np

from agentlab_runner.runners.check.finding import Broken
from agentlab_runner.runners.frames import Frames
from agentlab_runner.runners.online.contract import begun, stepped
from agentlab_runner.runners.online.rollout import ended
from agentlab_runner.runners.types import Decision, Observation, Start, Step, Trajectory

LONGEST = 2000
"""Steps after which an episode counts as one without end."""
HELD = 64
"""Observations of an episode that are looked at again when it is over."""
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")

Choose = Callable[[Observation, int], Any]
"""The action on an observation, which is that of the step with this number, from 0."""
Moment = Mapping[str, str]
"""What was given, by its name: `observation['text']`, `reward`, ... -> digest."""


@dataclass(slots=True)
class Trace:
    """One episode."""

    start: Start
    actions: list[Any] = field(default_factory=list)
    moments: list[Moment] = field(default_factory=list)
    """Of `reset`, then of every step."""
    steps: list[Step] = field(default_factory=list)
    final: Observation = field(default_factory=dict)
    begun: Mapping[str, Any] = field(default_factory=dict)
    """The info of `reset`."""
    terminated: bool = False
    truncated: bool = False
    both: int | None = None
    """The step that said terminated and truncated."""
    outside: str = ""
    """What lay outside of the declared spaces."""
    changed: str = ""
    """Which observation was no longer what it had been when the episode was over."""

    @property
    def last(self) -> Mapping[str, Any]:
        """The info of the end."""
        return self.steps[-1].info

    @property
    def success(self) -> bool:
        return bool(self.last["success"])

    @property
    def observations(self) -> list[Observation]:
        return [*(step.observation for step in self.steps), self.final]

    def trajectory(self) -> Trajectory:
        """As the runner hands it on."""
        return ended(self.start, self.begun, self.steps, self.final, self.truncated)


def digest(value: Any) -> str:
    """Equal for equal values, in every process; whether something is a list or a tuple makes no difference."""
    state = blake2b(digest_size=12)
    _feed(value, state.update)
    return state.hexdigest()


def name_of(part: Any) -> str:
    """The class a user wrote, whatever wraps it."""
    kind = part if isinstance(part, type) else type(getattr(part, "unwrapped", part))
    return f"{kind.__module__}.{kind.__qualname__}"


def short(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."


def played(
    env: Any, start: Start, choose: Choose, steps: int | None = None, frames: Frames | None = None
) -> Trace:
    """An episode, to its end or for so many steps; its pictures are kept at rest.

    Raises:
        Broken: if the environment raises, gives what it may not, or comes to no end.
        ConnectionError: as the environment's own.
    """
    trace, frames = Trace(start), frames or Frames()
    name = name_of(env)
    answer = _called(f"{name}.reset", "", lambda: env.reset(seed=start.seed, options=dict(start.options)))
    observation, trace.begun = _promised(lambda: begun(env, answer))
    trace.moments.append(_moment(observation, trace.begun))
    shown = [observation]
    _look(trace, env, "observation", observation, "reset")
    for number in range(LONGEST if steps is None else steps):
        action = choose(observation, number)
        _look(trace, env, "action", action, "step")
        answer = _called(f"{name}.step", f" for the action {short(action)}", lambda: env.step(action))  # noqa: B023 - at once
        seen, reward, trace.terminated, trace.truncated, info = _promised(lambda: stepped(env, answer))  # noqa: B023
        trace.actions.append(action)
        trace.steps.append(Step(frames.keep(observation), Decision(action), reward, info))
        flags = {"reward": reward, "terminated": trace.terminated, "truncated": trace.truncated}
        trace.moments.append({**_moment(seen, info), **{key: digest(value) for key, value in flags.items()}})
        _look(trace, env, "observation", seen, "step")
        if len(shown) < HELD:
            shown.append(seen)
        observation, trace.final = seen, frames.keep(seen)
        if trace.terminated and trace.truncated and trace.both is None:
            trace.both = number
        if trace.terminated or trace.truncated:
            trace.changed = _changed(trace.moments, shown)
            return trace
    if steps is None:
        raise Broken(f"{name}.step has ended no episode in {LONGEST} steps; set truncated at a step limit")
    return trace


def again(env: Any, known: Trace) -> Trace:
    """The same start with the same actions."""
    return played(env, known.start, lambda _, number: known.actions[number], steps=len(known.actions))


def difference(first: Sequence[Moment], second: Sequence[Moment]) -> str | None:
    """The first thing that differs, and when; None if nothing does."""
    for number, (one, other) in enumerate(zip(first, second, strict=False)):
        names = [name for name in {**one, **other} if one.get(name) != other.get(name)]
        if names:
            return f"{names[0]} of {f'step {number}' if number else 'reset'}"
    return None if len(first) == len(second) else f"the length, {len(first) - 1} or {len(second) - 1} steps"


def _called(what: str, given: str, call: Callable[[], Any]) -> Any:
    try:
        return call()
    except ConnectionError:
        raise
    except (Exception, SystemExit) as fault:
        said = " ".join(str(fault).split())[:200]
        raise Broken(
            f"{what} raised {type(fault).__name__}{given}: {said}; mend it, or let what cannot be done cost a step"
        ) from fault


def _promised(check: Callable[[], Any]) -> Any:
    try:
        return check()
    except ValueError as fault:
        raise Broken(str(fault)) from fault


def _moment(observation: Observation, info: Mapping[str, Any]) -> Moment:
    groups = (("observation", observation), ("info", info))
    return {f"{group}[{key!r}]": digest(value) for group, given in groups for key, value in given.items()}


def _changed(moments: Sequence[Moment], shown: Sequence[Observation]) -> str:
    """The first observation that is no longer what it was when it was given, if any."""
    for number, (moment, observation) in enumerate(zip(moments, shown, strict=False)):
        now = _moment(observation, {})
        for name in now:
            if moment.get(name) != now[name]:
                return f"{name} of {f'step {number}' if number else 'reset'}"
    return ""


def _look(trace: Trace, env: Any, kind: str, value: Any, verb: str) -> None:
    """Whether a value lies in the space that is declared for it; the first that does not is kept."""
    space = getattr(env, f"{kind}_space", None)
    if trace.outside or space is None or space.contains(value):
        return
    wrong = f"{short(value)} is not in {short(space)}"
    if kind == "observation" and isinstance(value, Mapping) and hasattr(space, "spaces"):
        keys = [key for key in space.spaces if key not in value or not space.spaces[key].contains(value[key])]
        more = [key for key in value if key not in space.spaces]
        if keys or more:
            key = (keys or more)[0]
            wrong = f"{key!r} is {short(value.get(key))}, declared {short(space.spaces.get(key))}"
    trace.outside = f"{name_of(env)}.{verb}: {kind} {wrong}"


def _feed(value: Any, feed: Callable[[bytes], None]) -> None:
    if isinstance(value, np.ndarray):
        feed(f"array {value.dtype} {value.shape} ".encode())
        feed(np.ascontiguousarray(value).tobytes() if value.dtype != object else repr(value.tolist()).encode())
    elif isinstance(value, Mapping):
        feed(f"mapping {len(value)} ".encode())
        for key in sorted(value, key=repr):
            feed(f"{key!r}: ".encode("utf-8", "surrogatepass"))
            _feed(value[key], feed)
    elif isinstance(value, list | tuple):
        feed(f"list {len(value)} ".encode())
        for item in value:
            _feed(item, feed)
    elif isinstance(value, set | frozenset):
        feed(f"set {sorted(map(repr, value))} ".encode("utf-8", "surrogatepass"))
    else:
        plain = value.item() if isinstance(value, np.generic) else value
        plain = str(plain) if isinstance(plain, str) else plain  # an enumeration's as its text
        feed(f"{type(plain).__name__} {_ADDRESS.sub('', repr(plain))} ".encode("utf-8", "surrogatepass"))
