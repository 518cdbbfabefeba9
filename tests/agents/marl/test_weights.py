"""Weights by name out of files, as the released code names them."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from agentlab_runner.agents.marl.ppo import TeamPPO
from agentlab_runner.agents.marl.weights import read_weights
from agentlab_runner.runners.errors import UserError
from tests.agents.marl.batches import WALKERS

SIZES = {"hidden": 16, "heads": 2, "head_dim": 4, "context_size": 8}


@pytest.fixture
def state():
    torch.manual_seed(5)
    return TeamPPO(WALKERS, **SIZES).level.network.state_dict()


def saved(state, file):
    if file.suffix == ".npz":
        np.savez(file, **{name: value.numpy() for name, value in state.items()})
    elif file.suffix == ".safetensors":
        save_file(state, file)
    else:
        torch.save(state, file)
    return str(file)


@pytest.mark.parametrize("name", ["w.npz", "w.safetensors", "w.pt"])
def test_every_weight_is_taken_over(state, name, tmp_path):
    agent = TeamPPO(WALKERS, **SIZES, weights=saved(state, tmp_path / name))
    own = agent.level.network.state_dict()
    assert own.keys() == state.keys()
    assert all(torch.equal(own[name], state[name]) for name in state)


def test_a_central_critic_leaves_the_one_in_the_file(state, tmp_path):
    agent = TeamPPO(WALKERS, **SIZES, critic="central", weights=saved(state, tmp_path / "w.npz"))
    assert torch.equal(agent.level.network.state_dict()["qkv_layer.weight"], state["qkv_layer.weight"])


def test_other_sizes_and_missing_weights_are_named(state, tmp_path):
    file = saved(state, tmp_path / "w.npz")
    with pytest.raises(UserError, match=r"obs_encoder\.2\.weight \[16, 16\].*set hidden, heads, head_dim"):
        TeamPPO(WALKERS, **{**SIZES, "hidden": 8}, weights=file)
    del state["fc1.bias"]
    with pytest.raises(UserError, match=r"has no weight fc1\.bias"):
        TeamPPO(WALKERS, **SIZES, weights=saved(state, tmp_path / "w.pt"))


@pytest.mark.parametrize("name", ["w.npz", "w.safetensors", "w.pt"])
def test_what_is_no_such_file_is_not_read(name, tmp_path):
    (tmp_path / name).write_bytes(b"nothing of the kind")
    with pytest.raises(UserError):
        read_weights(tmp_path / name)
    with pytest.raises(UserError):
        read_weights(tmp_path / f"no_{name}")


def test_objects_are_never_unpickled(tmp_path):
    np.savez(tmp_path / "w.npz", a=np.array([{"an": "object"}], dtype=object))
    with pytest.raises(UserError, match="cannot be read as arrays"):
        read_weights(tmp_path / "w.npz")
    torch.save({"a": 1}, tmp_path / "w.pt")
    with pytest.raises(UserError, match="no mapping of names to tensors"):
        read_weights(tmp_path / "w.pt")
