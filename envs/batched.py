"""Ground of environments for teams that are stepped many at a time, in torch: what they show and say, and their chance.

B counts rows, each an episode under way; N agents, as many as the largest team has; A actions; D and Z numbers.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Spec:
    """Sizes."""

    agents: int
    """N."""
    observation: int
    """D."""
    actions: int
    """A; how many numbers an action has where they are continuous."""
    state: int
    """Z."""
    continuous: bool = False


@dataclass(frozen=True, slots=True)
class View:
    """What is seen; never written to again."""

    observations: Tensor
    """[B, N, D] float32; zeros for an agent that is not there."""
    present: Tensor
    """[B, N] bool: in the team, and alive."""
    state: Tensor
    """[B, Z] float32: everything, for critics and pictures."""
    legal: Tensor | None = None
    """[B, N, A] bool; None: every action is."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a step."""

    rewards: Tensor
    """[B, N] float32."""
    terminated: Tensor
    """[B, N] bool."""
    truncated: Tensor
    """[B, N] bool."""
    ended: Tensor
    """[B] bool: the episode is over."""
    success: Tensor
    """[B] bool; counts where `ended`, as do the measures."""
    measures: Mapping[str, Tensor] = field(default_factory=dict)
    """[B] by name."""
    stops: Mapping[int, tuple[str, str]] = field(default_factory=dict)
    """By row, why an episode stopped otherwise than the flags tell, and in which words."""


def draws(seeds: Tensor, counter: Tensor | int, count: int) -> Tensor:
    """[B, count] float64 in (0, 1): a function of each row's seed and counter alone.

    So an episode is the same in every row, batch and process, and no generator is made for it. By splitmix64
    (Steele et al. 2014) of seed, counter and place.

    Args:
        seeds: [B] int64, of the episodes.
        counter: [B] int64 or one number: which drawing of the episode this is.
    """
    drawing = torch.as_tensor(counter, dtype=torch.int64, device=seeds.device)
    rows = _mixed(_mixed(seeds + _GOLDEN) + _mixed(drawing))
    bits = _mixed(rows[:, None] + torch.arange(1, count + 1, device=seeds.device) * _GOLDEN)
    return (((bits >> 12) & (2**52 - 1)).double() + 0.5) * 2.0**-52


_GOLDEN = -7046029254386353131
"""2^64 over the golden ratio, odd, as a signed number."""


def _mixed(values: Tensor) -> Tensor:
    values = (values ^ _shifted(values, 30)) * -4658895280553007687
    values = (values ^ _shifted(values, 27)) * -7723592293110705685
    return values ^ _shifted(values, 31)


def _shifted(values: Tensor, bits: int) -> Tensor:
    """As unsigned numbers are shifted."""
    return (values >> bits) & ((1 << (64 - bits)) - 1)
