"""The classifier's training: equal draws collapse without changing the loss, and it learns."""

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from agentlab_runner.agents.coso.scm import ScmNetwork, Utterances, check, pad, train_round
from agentlab_runner.runners.processes.trainer import Trainer

POOL = {(4, 5, 1): 0, (6, 5, 1): 1, (6, 7, 7, 1): 1}


def network(dropout: float = 0.0) -> ScmNetwork:
    torch.manual_seed(0)
    return ScmNetwork(8, 2, width=8, layers=1, heads=2, dropout=dropout)


def test_state_dict_has_the_released_names():
    names = set(ScmNetwork(11, 8).state_dict())
    layer = "self_attn.in_proj_weight self_attn.out_proj.weight linear1.weight linear2.bias norm1.weight norm2.bias"
    assert {f"encoder_layers.{i}.{name}" for i in range(3) for name in layer.split()} <= names
    assert {"embeddings.weight", "position_embeddings.weight", "token_type_embeddings.weight"} <= names
    assert {"LayerNorm.weight", "classifier.weight"} <= names
    assert ScmNetwork(11, 8).classifier.weight.shape == (8, 128)


def test_draws_leave_out_what_does_not_parse_and_collapse_what_is_equal():
    said = [(4, 5, 1), (4, 5, 1), (9, 9), (6, 5, 1)]
    drawn = Utterances.draw(POOL, said, 400, np.random.default_rng(0))
    assert set(drawn.ids) == {(4, 5, 1), (6, 5, 1)}
    counts = dict(zip(drawn.ids, drawn.count, strict=True))
    assert sum(drawn.count) == pytest.approx(300, abs=40)
    assert counts[4, 5, 1] == pytest.approx(200, abs=40)


def test_a_collapsed_round_is_the_round_over_all_draws():
    collapsed, spread = network(), network()
    batch = Utterances(tuple(POOL), tuple(POOL.values()), (3, 1, 2))
    trainer = Trainer()
    train_round(
        collapsed, torch.optim.SGD(collapsed.parameters(), 0.1), batch, 0, trainer, batch_size=2, max_grad_norm=100
    )
    rows = [ids for ids, n in zip(batch.ids, batch.count, strict=True) for _ in range(n)]
    labels = torch.tensor([POOL[ids] for ids in rows])
    loss = torch.nn.functional.cross_entropy(spread(*pad(rows, 0, 512, torch.device("cpu"))), labels)
    loss.backward()
    for mine, theirs in zip(collapsed.parameters(), spread.parameters(), strict=True):
        if theirs.grad is not None:
            assert_close(mine, theirs - 0.1 * theirs.grad, atol=1e-5, rtol=1e-4)


def test_it_learns_and_is_left_in_evaluation_mode():
    scm, trainer = network(0.1), Trainer()
    optimizer = torch.optim.Adam(scm.parameters(), 1e-2)
    batch = Utterances(tuple(POOL), tuple(POOL.values()), (1, 1, 1))
    before = check(scm, batch, 0, 8)["loss"]
    for _ in range(30):
        train_round(scm, optimizer, batch, 0, trainer, batch_size=8, max_grad_norm=1.0)
    after = check(scm, batch, 0, 8)
    assert after["loss"] < before / 2
    assert after["acc"] == 1
    assert not scm.training


def test_rows_longer_than_the_positions_are_cut():
    ids, mask = pad([[1] * 9, [2]], 0, 4, torch.device("cpu"))
    assert ids.shape == (2, 4)
    assert mask.sum(dim=1).tolist() == [4, 1]
