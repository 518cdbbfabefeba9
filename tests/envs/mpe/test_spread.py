"""Spread against mpe2, by hand, and in other rows, batches and mixtures."""

import numpy as np
import pytest
import torch
from mpe2 import simple_spread_v3
from torch.testing import assert_close

from agentlab_runner.envs.mpe.spread import Spread
from tests.envs.mpe.oracle import put


def walk(n, seed, crowd=1.0, steps=25, **keys):
    """Play both; gives (observations, rewards, terminated, truncated) of every step, theirs and ours."""
    options = dict(keys)
    continuous = options.pop("actions", "discrete") == "continuous"
    theirs_keys = {"continuous_actions": continuous, "N": n, "max_cycles": options.get("horizon", 25)}
    theirs_keys |= {name: options[name] for name in ("local_ratio", "terminate_on_success") if name in options}
    if "neighbors" in options:
        theirs_keys |= {f"num_{kind}_neighbors": options["neighbors"] for kind in ("agent", "landmark")}
    theirs = simple_spread_v3.parallel_env(**theirs_keys)
    theirs.reset(seed=seed)
    ours = Spread(1, n=n, **keys)
    ours.reset(torch.tensor([0]), torch.tensor([seed]), [None])
    for disc in theirs.unwrapped.world.agents:
        disc.state.p_pos = disc.state.p_pos * crowd
    put(ours, theirs.unwrapped.world)
    chance = np.random.default_rng(seed)
    for _ in range(steps):
        chosen = chance.random((n, 5), np.float32) if continuous else chance.integers(0, 5, n)
        seen, rewards, terminated, truncated, _ = theirs.step({f"agent_{i}": chosen[i] for i in range(n)})
        outcome = ours.step(torch.tensor(chosen)[None])
        yield (
            (seen, rewards, terminated, truncated),
            (ours.view().observations[0], outcome.rewards[0], outcome.terminated[0], outcome.truncated[0]),
        )


def same(theirs, ours, columns=slice(None)):
    names = list(theirs[0])
    assert_close(ours[0][:, columns], torch.tensor(np.stack([theirs[0][name] for name in names])), atol=1e-5, rtol=0)
    assert_close(ours[1].double(), torch.tensor([theirs[1][name] for name in names]).double(), atol=1e-5, rtol=1e-6)
    assert ours[2].tolist() == [theirs[2][name] for name in names]
    assert ours[3].tolist() == [theirs[3][name] for name in names]


@pytest.mark.parametrize("n", range(1, 9))
@pytest.mark.parametrize("crowd", [1.0, 0.25])
def test_walks_are_those_of_mpe2(n, crowd):
    touched = 0
    for seed in range(2):
        for theirs, ours in walk(n, seed, crowd):
            same(theirs, ours)
            others = ours[0][:, 4 + 2 * n : 2 + 4 * n].unflatten(1, (n - 1, 2))
            touched += int((others.norm(dim=2) < 0.3).sum())
    assert touched or n == 1 or crowd == 1.0


@pytest.mark.parametrize(
    "keys",
    [
        {"actions": "continuous"},
        {"local_ratio": 0.1, "horizon": 7},
        {"terminate_on_success": True, "radius": 0.1},
    ],
)
def test_so_are_those_with_other_keys(keys):
    for seed in range(3):
        for theirs, ours in walk(2, seed, steps=keys.get("horizon", 25), **keys):
            same(theirs, ours)
            if ours[2].all():
                return


@pytest.mark.parametrize(("n", "nearest"), [(1, 2), (3, 1), (5, 3), (4, 6)])
def test_neighbours_are_those_of_mpe2(n, nearest):
    for theirs, ours in walk(n, 4, neighbors=nearest):
        same(({name: seen[: 4 + 4 * nearest] for name, seen in theirs[0].items()}, *theirs[1:]), ours,
             slice(0, 4 + 4 * nearest))  # fmt: skip
        there = ours[0][:, 4 + 4 * nearest :]
        assert there.sum(dim=1).tolist() == [min(n, nearest) + min(n - 1, nearest)] * n
