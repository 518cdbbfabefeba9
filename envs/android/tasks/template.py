"""A task template: a sentence with gaps, how a phone is set up for it, when it is done, and how an expert does it."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import product
from random import Random

from envs.android.device import TaskSpec
from envs.android.hand import Link, Route, Tap
from envs.android.sim.state import PhoneState

TEST_SHARE = 0.25
HELD_OUT_SHARE = 0.125

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

    def combinations(self) -> Iterator[tuple[tuple[str, str], ...]]:
        """Every allowed choice of parameters, as sorted (name, value) pairs."""
        names = sorted(self.values)
        for choice in product(*(self.values[name] for name in names)):
            params = tuple(zip(names, choice, strict=True))
            if self.allowed(dict(params)):
                yield params

    def spec(self, params: tuple[tuple[str, str], ...], phrasing: int) -> TaskSpec:
        goal = self.goals[phrasing % len(self.goals)].format(**dict(params))
        return TaskSpec(self.name, goal, self.level, params)


def rank(*words: object) -> int:
    """A number that depends on the words alone, the same on every machine and in every process."""
    return int.from_bytes(hashlib.blake2b(repr(words).encode(), digest_size=8).digest(), "big")


@cache
def split_of(template: Template) -> Mapping[str, tuple[tuple[tuple[str, str], ...], ...]]:
    """Disjoint parameter combinations for `train` and `test`.

    Test gets every combination with a held-out value (one value in eight of the parameters in `held_out`) and, by rank
    of a stable hash, as many others as bring it to a quarter of all. Apart from the held-out values words are shared;
    combinations never are.
    """
    kept = {
        name: set(
            sorted(template.values[name], key=lambda value: rank(template.name, name, value))[
                : round(len(template.values[name]) * HELD_OUT_SHARE)
            ]
        )
        for name in template.held_out
    }
    order = sorted(
        template.combinations(),
        key=lambda params: (
            not any(value in kept.get(name, ()) for name, value in params),
            rank(template.name, params),
        ),
    )
    held = sum(any(value in kept.get(name, ()) for name, value in params) for params in order)
    count = max(1, held, round(len(order) * TEST_SHARE))
    return {
        "test": tuple(sorted(order[:count], key=lambda p: rank("order", p))),
        "train": tuple(sorted(order[count:], key=lambda p: rank("order", p))),
    }
