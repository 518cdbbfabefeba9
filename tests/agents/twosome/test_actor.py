"""The policy over phrases, whole and token by token."""

import pytest
import torch
from torch.testing import assert_close

from agentlab_runner.agents.llm.candidates import Question
from agentlab_runner.agents.twosome.actor import PhraseActor
from agentlab_runner.agents.twosome.states import question_of
from agentlab_runner.runners.errors import UserError
from tests.agents.causal_models import text_policy

NESTED = Question("You should", ("walk", "walk to the kitchen", "walk to the bedroom", "pick up the bowl"))


def observation(question: Question) -> dict:
    ids = tuple(range(10, 10 + len(question.candidates)))
    return {"text": question.prompt, "actions": question.candidates, "action_ids": ids}


@pytest.mark.parametrize("algo", ["twosome", "poad", "ntpo"])
def test_probabilities_sum_to_one_and_are_products_of_the_elementary_ones(algo):
    actor = PhraseActor(text_policy(), algo)
    (state,) = actor.state_policies([NESTED])
    (whole,) = actor.log_policies([NESTED])
    assert float(whole.exp().sum()) == pytest.approx(1, abs=1e-5)
    for choice, own in enumerate(actor.parts(NESTED)):
        assert_close(whole[choice], state.logprobs[[k for _, k in own]].sum().detach())
        assert len(own) == 1 if algo == "twosome" else len(own) > 1


@pytest.mark.parametrize("algo", ["twosome", "poad"])
def test_where_one_action_is_admissible_it_is_certain(algo):
    actor = PhraseActor(text_policy(), algo)
    alone = Question("You should", ("walk to the kitchen",))
    (state,) = actor.state_policies([alone])
    assert state.entropies.tolist() == [0.0] * len(state.entropies)
    assert actor.log_policies([alone])[0].tolist() == [0.0]
    (state.logprobs.sum() + state.entropies.sum()).backward()
    assert all(torch.isfinite(p.grad).all() for p in actor.scorer.policy.trainable_parameters())


def test_token_policy_renormalises_the_model_over_what_may_follow():
    actor = PhraseActor(text_policy(), "poad")
    (scores,) = actor.scorer.score([NESTED])
    (state,) = actor.state_policies([NESTED])
    tree = scores.tree
    for row in range(1 + len(tree.nodes)):
        edges = [i for i, (own, _) in enumerate(tree.edges) if own == row]
        assert_close(state.logprobs[edges], scores.logprobs[edges].log_softmax(0))
        probabilities = scores.logprobs[edges].softmax(0)
        assert_close(state.entropies[row], -(probabilities * probabilities.log()).sum())


def test_a_phrase_within_another_ends_by_a_decision():
    actor = PhraseActor(text_policy(), "poad")
    tree, parts = actor.scorer.tree(NESTED), actor.parts(NESTED)
    end = tree.edges[parts[0][-1][1]]
    assert end[1] == actor.scorer.policy.tokenizer.eos_token_id
    assert len(parts[0]) == len(tree.paths[0]) + 1


def test_whole_policy_is_the_normalised_softmax():
    for mode in ("sum", "token", "word"):
        actor = PhraseActor(text_policy(), "twosome", mode)
        (scores,), (log_policy,) = actor.scorer.score([NESTED]), actor.log_policies([NESTED])
        lengths = {
            "sum": [1] * 4,
            "token": [len(path) for path in scores.tree.paths],
            "word": [1, 4, 4, 4],
        }[mode]
        assert_close(log_policy, (scores.joint() / torch.tensor(lengths)).log_softmax(0).detach())


def test_sampling_follows_the_policy_and_gives_the_environments_ids():
    actor = PhraseActor(text_policy())
    (log_policy,) = actor.log_policies([NESTED])
    torch.manual_seed(0)
    drawn = [decision.action for decision in actor.decide([observation(NESTED)] * 4000, False)]
    found = torch.tensor([drawn.count(10 + i) / 4000 for i in range(4)])
    assert_close(found, log_policy.exp(), atol=0.03, rtol=0)
    (greedy,) = actor.decide([observation(NESTED)], True)
    assert greedy.action == 10 + int(log_policy.argmax())


def test_answers_are_computed_once_until_the_adapters_move(monkeypatch):
    actor = PhraseActor(text_policy())
    asked = []
    score = actor.scorer.score
    monkeypatch.setattr(actor.scorer, "score", lambda questions: (asked.extend(questions), score(questions))[1])
    actor.decide([observation(NESTED)] * 3, False)
    actor.decide([observation(NESTED)], False)
    assert asked == [NESTED]
    actor.changed()
    actor.decide([observation(NESTED)], False)
    assert asked == [NESTED] * 2


@pytest.mark.parametrize(
    ("wrong", "fault"),
    [
        ({"text": "You should", "vector": [1]}, "the observation lists none"),
        ({"text": "You should", "actions": ("go", "stay"), "action_ids": (0,)}, "2 actions and 1 action_ids"),
    ],
)
def test_observations_without_a_proper_list(wrong, fault):
    with pytest.raises(UserError, match=fault):
        question_of(wrong)
