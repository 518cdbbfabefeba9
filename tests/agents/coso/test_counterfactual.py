"""Counterfactual weights against the recipe written again, and the edges of their input."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch.testing import assert_close

from agentlab_runner.agents.coso.counterfactual import (
    PAPER,
    Recipe,
    counterfactual_weights,
    minmax_sqrt,
    nullified,
    zeroed_ids,
)
from agentlab_runner.agents.coso.scm import ScmNetwork
from agentlab_runner.agents.llm.policy import LanguagePolicy
from tests.agents.coso.reference import ReleasedScm, released_weights

PAD, EOS, UNK, COMMA = 0, 1, 2, 3
ZEROED = torch.tensor([PAD, EOS, UNK, COMMA])
ROWS = [[5, 6, 3, 7, 8, 3, 9, 5, 1], [9, 8, 1], [5, 6, 3, 7, 8, 3, 9, 5, 1], [4, 1], [7, 3, 3, 8, 4, 1]]
LABELS = torch.tensor([0, 2, 0, 1, 1])


def padded(rows):
    width = max(map(len, rows))
    ids = torch.tensor([row + [PAD] * (width - len(row)) for row in rows])
    return ids, ids != PAD


def network(pool: str = "mean") -> ScmNetwork:
    torch.manual_seed(3)
    scm = ScmNetwork(10, 3, width=16, layers=2, heads=2, pool=pool)
    for parameter in scm.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return scm.eval().double()


def weights(scm, ids, mask, labels, **options):
    return counterfactual_weights(scm, ids, mask, labels, zeroed=ZEROED, unk_id=UNK, **options)


def test_released_recipe_equals_a_loop_over_rows_and_positions():
    scm = network("released_mean")
    reference = ReleasedScm(10, 3, 16, 2, 2).eval().double()
    reference.load_state_dict(scm.state_dict())  # the released names, one for one
    ids, mask = padded(ROWS)
    expected = released_weights(reference, ROWS, LABELS.tolist(), PAD, UNK, set(ZEROED.tolist()))
    assert_close(
        weights(scm, ids, mask, LABELS, padding_counts=True), torch.tensor(expected).double(), atol=1e-5, rtol=0
    )


def test_the_forward_pass_in_float32_is_that_of_the_torch_modules():
    scm = network("released_mean").float()
    reference = ReleasedScm(10, 3, 16, 2, 2).eval()
    reference.load_state_dict(scm.state_dict())
    ids, mask = padded(ROWS)
    with torch.no_grad():
        assert_close(scm(ids, mask), reference(ids, mask), atol=1e-5, rtol=1e-5)
    assert_close(scm(ids, mask), reference(ids, mask), atol=1e-5, rtol=1e-5)  # with gradients: other kernels


def test_padding_and_companions_change_nothing():
    scm = network()
    ids, mask = padded(ROWS)
    together = weights(scm, ids, mask, LABELS)
    wider = torch.nn.functional.pad(ids, (0, 5))
    assert_close(weights(scm, wider, wider != PAD, LABELS)[:, : ids.shape[1]], together)
    for i, row in enumerate(ROWS):
        alone = weights(scm, torch.tensor([row]), torch.ones(1, len(row), dtype=torch.bool), LABELS[i : i + 1])
        assert_close(together[i, : len(row)], alone[0])
        assert not together[i, len(row) :].any()


def test_padding_does_change_the_released_pooling():
    scm = network("released_mean")
    ids, mask = padded(ROWS[1:2])
    wider = torch.nn.functional.pad(ids, (0, 5))
    before = weights(scm, ids, mask, LABELS[1:2], padding_counts=True)
    after = weights(scm, wider, wider != PAD, LABELS[1:2], padding_counts=True)[:, : ids.shape[1]]
    assert not torch.allclose(before, after)


@pytest.mark.parametrize("chunk_size", [1, 2, 5, 1000])
def test_chunk_size_alters_nothing(chunk_size):
    scm = network()
    ids, mask = padded(ROWS)
    assert_close(weights(scm, ids, mask, LABELS, chunk_size=chunk_size), weights(scm, ids, mask, LABELS))


def test_threads_alter_nothing_and_leave_torch_as_it_was():
    scm = network()
    ids, mask = padded(ROWS)
    before, seen = torch.get_num_threads(), set()

    def watched(ids, mask):
        seen.add((threading.current_thread() is threading.main_thread(), torch.get_num_threads()))
        return scm(ids, mask)

    try:
        torch.set_num_threads(1)
        alone = weights(scm, ids, mask, LABELS)
        torch.set_num_threads(3)
        assert_close(weights(watched, ids, mask, LABELS, chunk_size=1), alone)
        assert seen == {(False, 1)}
        assert torch.get_num_threads() == 3
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(torch.get_num_threads).result() == 3
    finally:
        torch.set_num_threads(before)


def test_a_classifier_that_fails_says_so_and_leaves_torch_as_it_was():
    def broken(ids, mask):
        raise RuntimeError("no such token")

    before = torch.get_num_threads()
    ids, mask = padded(ROWS)
    with pytest.raises(RuntimeError, match="no such token"):
        weights(broken, ids, mask, LABELS)
    assert torch.get_num_threads() == before


def test_weights_lie_between_0_and_1_and_zeroed_tokens_have_none():
    ids, mask = padded(ROWS)
    b = weights(network(), ids, mask, LABELS)
    assert b.min() >= 0
    assert b.max() <= 1
    assert not b[torch.isin(ids, ZEROED)].any()
    assert b.amax(dim=1)[0] == pytest.approx(1, abs=1e-4)


def test_equal_effects_give_zeros():
    assert_close(minmax_sqrt(torch.full((2, 4), 0.3)), torch.zeros(2, 4))
    assert_close(minmax_sqrt(torch.zeros(1, 3)), torch.zeros(1, 3))

    def indifferent(ids, mask):
        return torch.zeros(len(ids), 3)

    ids, mask = padded(ROWS)
    assert not weights(indifferent, ids, mask, LABELS).any()


def test_one_token_row_and_window_longer_than_the_row():
    one = torch.tensor([[5]])
    mask = torch.ones(1, 1, dtype=torch.bool)
    assert_close(weights(network(), one, mask, LABELS[:1]), torch.zeros(1, 1).double())
    assert weights(network(), one, mask, LABELS[:1], recipe=PAPER).isfinite().all()
    only_end = torch.tensor([[EOS]])
    assert_close(weights(network(), only_end, mask, LABELS[:1]), torch.zeros(1, 1).double())
    ids, mask = padded(ROWS[1:2])
    assert weights(network(), ids, mask, LABELS[1:2], recipe=Recipe(window=50)).isfinite().all()
    assert nullified(torch.tensor([[5, 6, 7, 8]]), torch.tensor([2]), 9, UNK).tolist() == [[5, 6, UNK, UNK]]


def test_paper_recipe_is_the_signed_loss_of_probability():
    scm = network()
    ids, mask = padded(ROWS[4:])
    found = weights(scm, ids, mask, LABELS[4:], recipe=PAPER)
    changed = ids.clone()
    changed[0, 0] = UNK
    with torch.no_grad():
        expected = scm(ids, mask).softmax(1)[0, 1] - scm(changed, mask).softmax(1)[0, 1]
    assert_close(found[0, 0], expected)


def test_effects_are_constants_of_the_policy_gradient():
    scm = network()
    ids, mask = padded(ROWS)
    assert not weights(scm, ids, mask, LABELS).requires_grad


def test_no_rows_is_an_error():
    empty = torch.zeros(0, 3, dtype=torch.int64)
    with pytest.raises(ValueError, match="at least one utterance"):
        weights(network(), empty, empty.bool(), empty[:, 0])


def test_zeroed_ids_are_specials_and_the_encoded_punctuation(folder):
    tokenizer = LanguagePolicy.from_pretrained(folder).tokenizer
    with_punctuation = set(zeroed_ids(tokenizer).tolist())
    assert set(tokenizer.all_special_ids) == set(zeroed_ids(tokenizer, punctuation=False).tolist())
    assert set(tokenizer.encode(",", add_special_tokens=False)) <= with_punctuation
    assert not set(tokenizer.encode("TYPE", add_special_tokens=False)) & with_punctuation
