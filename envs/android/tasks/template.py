"""A task template: a sentence with gaps, how a phone is set up for it, when it is done, and how an expert does it."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import product
from random import Random

from agentlab_runner.envs.android.device import TaskSpec
from agentlab_runner.envs.android.hand import Link, Route, Tap
from agentlab_runner.envs.android.sim.state import PhoneState

TEST_SHARE = 0.25
HELD_OUT_SHARE = 0.125

Params = tuple[tuple[str, str], ...]
"""Sorted (name, value) pairs."""
Setup = Callable[[PhoneState, TaskSpec, Random], None]


def _leave(state: PhoneState, task: TaskSpec, rng: Random) -> None:
    """Nothing to prepare."""


def via(app: str, *links: Link) -> Route:
    """From the home screen into an app, then on."""
    return (("launcher.home", [Tap(f"app/{app}")]), *links)


def here(state: PhoneState, page: str) -> bool:
    """Whether this page is in front."""
    return state.page.key == page


@dataclass(frozen=True, eq=False)
class Template:
    name: str
    level: int
    goals: tuple[str, ...]
    """Paraphrases; `{param}` marks a gap."""
    values: Mapping[str, tuple[str, ...]]
    """What may fill each gap. A parameter named `start` is the app in front when the episode begins."""
    done: Callable[[PhoneState, TaskSpec], bool]
    route: Callable[[PhoneState, TaskSpec], Route]
    setup: Setup = _leave
    slip: str = "early"
    """A careless user's mistake at the last step: early (declares it done) | neighbour (hits the thing beside it)."""
    held_out: tuple[str, ...] = ()
    """Parameters of which one value in eight is never trained on."""
    allowed: Callable[[Mapping[str, str]], bool] = lambda params: True

    def combinations(self) -> Iterator[Params]:
        """Every allowed choice of parameters, as sorted (name, value) pairs."""
        names = sorted(self.values)
        for choice in product(*(self.values[name] for name in names)):
            params = tuple(zip(names, choice, strict=True))
            if self.allowed(dict(params)):
                yield params

    def spec(self, params: Params, phrasing: int) -> TaskSpec:
        goal = self.goals[phrasing % len(self.goals)].format(**dict(params))
        return TaskSpec(self.name, goal, self.level, params)


def rank(*words: object) -> int:
    """A number that depends on the words alone, the same on every machine and in every process."""
    return int.from_bytes(hashlib.blake2b(repr(words).encode(), digest_size=8).digest(), "big")


@cache
def split_of(template: Template) -> Mapping[str, tuple[Params, ...]]:
    """Parameter combinations for `train` and `test`, disjoint even when the app an episode starts in is left aside.

    Where an episode starts is nuisance: what is asked for decides, and each of its starts goes the same way. Test gets
    everything with a held-out value (one value in eight of the parameters in `held_out`) and, by rank of a stable hash,
    as much else as brings it to a quarter of all. Among several parameters a combination stays in train if it is the
    last there to show one of its other values, so that test combines what was seen apart; a single parameter has values
    in test that training never names. What can be asked for in one way only is trained on and never tested.
    """
    held = {(name, value) for name in template.held_out for value in _kept_back(template, name)}
    starts: dict[Params, list[Params]] = {}
    for params in template.combinations():
        starts.setdefault(asked(params), []).append(params)
    order = sorted(starts, key=lambda params: rank(template.name, params))
    test = [params for params in order if not held.isdisjoint(params)]
    train = [params for params in order if held.isdisjoint(params)]
    left = Counter(pair for params in train for pair in params)
    for params in tuple(train):
        if len(test) >= max(1, round(len(order) * TEST_SHARE)) or len(train) == 1:
            break
        if len(params) == 1 or all(left[pair] > 1 for pair in params):
            left.subtract(params)
            train.remove(params)
            test.append(params)
    everywhere = {
        "train": [params for own in train for params in starts[own]],
        "test": sorted((params for own in test for params in starts[own]), key=lambda params: rank("test", params)),
    }
    return {name: tuple(params) for name, params in everywhere.items()}


def asked(params: Params) -> Params:
    """What a task asks for: its parameters but the app it starts in."""
    return tuple(pair for pair in params if pair[0] != "start")


def _kept_back(template: Template, name: str) -> list[str]:
    values = sorted(template.values[name], key=lambda value: rank(template.name, name, value))
    return values[: round(len(values) * HELD_OUT_SHARE)]
