"""The tree scorer against each candidate with its own full prompt, and what must not change its numbers."""

from itertools import pairwise

import pytest
import torch
from torch.testing import assert_close

from agentlab_runner.agents.llm.candidates import CandidateScorer, Question, log_policy
from agentlab_runner.agents.llm.token_tree import build
from agentlab_runner.runners.errors import UserError
from tests.agents.causal_models import FAMILIES, text_policy

QUESTIONS = [
    Question("There is a bowl in the kitchen. To tidy up, you should", ("pick up the bowl", "walk to the bedroom")),
    Question("To tidy up", ("pick up the book", "pick up the bowl", "pick up", "walk to the living room", "tidy")),
    Question("There is a pancake in the living room and a book. You should walk to the", ("kitchen",)),
]


def naive(policy, question: Question) -> torch.Tensor:
    """ln P of each candidate, a forward pass each over the ids of the whole text."""
    prompt, found = policy.tokenizer(question.prompt)["input_ids"], []
    for phrase in question.candidates:
        ids = policy.tokenizer(f"{question.prompt} {phrase}")["input_ids"]
        assert ids[: len(prompt)] == prompt
        logprobs = policy.model(torch.tensor([ids])).logits[0].log_softmax(-1)
        found.append(sum(logprobs[t - 1, ids[t]] for t in range(len(prompt), len(ids))))
    return torch.stack(found)


def gradients(policy) -> list[torch.Tensor]:
    found = [parameter.grad.clone() for parameter in policy.trainable_parameters()]
    policy.zero_grad()
    return found


@pytest.mark.parametrize("last_k_layers", [None, 2])
@pytest.mark.parametrize("family", FAMILIES)
def test_tree_scores_and_gradients_are_the_naive_ones(family, last_k_layers):
    policy = text_policy(family, last_k_layers)
    scorer = CandidateScorer(policy, micro_batch=3)
    scores = [one.joint() for one in scorer.score(QUESTIONS)]
    expected = [naive(policy, question) for question in QUESTIONS]
    assert_close(scores, expected, atol=1e-4, rtol=0)
    for log_probabilities in (scores, expected):
        sum(log_policy(own, [1] * len(own), [1] * len(own), "sum")[0] for own in log_probabilities[:2]).backward()
        if log_probabilities is scores:
            ours = gradients(policy)
    assert_close(ours, gradients(policy), rtol=1e-4, atol=1e-4 * max(float(g.abs().max()) for g in ours))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("micro_batch", [1, 2, 3])
@pytest.mark.parametrize("padding_side", ["left", "right"])
def test_numbers_do_not_depend_on_the_company(family, micro_batch, padding_side):
    policy = text_policy(family, 2)
    alone = CandidateScorer(policy)
    policy.tokenizer.padding_side = padding_side
    scorer = CandidateScorer(policy, micro_batch=micro_batch)
    asked = [QUESTIONS[i] for i in (2, 0, 1, 0)]
    with torch.no_grad():
        together = scorer.score(asked)
        assert_close([s.logprobs for s in together], [alone.score([q])[0].logprobs for q in asked], atol=1e-4, rtol=0)
    assert_close(scorer.features(asked), [alone.features([q])[0] for q in asked], atol=0, rtol=0)


@pytest.mark.parametrize("family", FAMILIES)
def test_features_are_the_frozen_models_last_states(family):
    policy = text_policy(family, 2)
    question = QUESTIONS[1]
    features, tree = CandidateScorer(policy).features([question])[0], CandidateScorer(policy).tree(question)
    with torch.no_grad(), policy.model.disable_adapter():
        decoder = policy.model.get_base_model().get_decoder()
        for path in tree.paths:
            ids = [*tree.prompt, *(tree.edges[edge][1] for edge in path[:-1])]
            states = decoder(torch.tensor([ids])).last_hidden_state[0]
            rows = [tree.edges[edge][0] for edge in path]
            assert_close(features[rows], states[len(tree.prompt) - 1 :], atol=1e-4, rtol=1e-4)


def test_equal_questions_are_computed_once(monkeypatch):
    scorer = CandidateScorer(text_policy(last_k_layers=2), micro_batch=8)
    sizes = []
    run = scorer._run
    monkeypatch.setattr(scorer, "_run", lambda embeds, *a, **k: (sizes.append(len(embeds)), run(embeds, *a, **k))[1])
    scorer.score([QUESTIONS[0]] * 5)
    assert sizes == [1, 1]  # once frozen, once with adapters
    scorer.score(QUESTIONS[:2])
    assert sizes == [1, 1, 1, 2]


def test_shared_beginnings_are_encoded_once():
    tree = build([7, 8], [(1, 2, 3), (1, 2, 4), (1, 2), (5,)], end=0)
    assert tree.nodes == (1, 2)
    assert tree.parents == (0, 1)
    assert set(tree.edges) == {(0, 1), (1, 2), (2, 3), (2, 4), (0, 5), (2, 0)}
    assert [[tree.edges[e][1] for e in path] for path in tree.paths] == [[1, 2, 3], [1, 2, 4], [1, 2], [5]]
    assert [stop and tree.edges[stop] for stop in tree.stops] == [None, None, (2, 0), None]
    assert tree.positions.tolist() == [0, 1, 2, 3]
    forked = build([7], [(1, 2, 3), (4, 5)], end=0)
    assert forked.positions.tolist() == [0, 1, 2, 1]
    assert forked.mask[3].tolist() == [True, False, False, True]


@pytest.mark.parametrize(("mode", "lengths"), [("sum", [1, 1, 1]), ("token", [2, 5, 3]), ("word", [2, 3, 1])])
def test_normalisation_against_the_formula(mode, lengths):
    joint = torch.tensor([-3.0, -7.5, -1.25], dtype=torch.float64)
    weights = [float(torch.exp(value / length)) for value, length in zip(joint, lengths, strict=True)]
    policy = log_policy(joint, [2, 5, 3], [2, 3, 1], mode).exp()
    assert_close(policy.tolist(), [weight / sum(weights) for weight in weights], atol=1e-9, rtol=0)
    assert float(policy.sum()) == pytest.approx(1, abs=1e-12)


def test_a_single_action_is_certain():
    policy = log_policy(torch.tensor([-80.0]), [4], [2], "word")
    assert policy.tolist() == [0.0]
    assert float(-(policy.exp() * policy).sum()) == 0.0


def test_scores_are_log_probabilities_over_the_whole_vocabulary():
    policy = text_policy()
    vocabulary = policy.model.config.vocab_size
    scorer = CandidateScorer(policy)
    with torch.no_grad():
        (score,) = scorer.score([QUESTIONS[0]])
        ids = torch.tensor([score.tree.prompt])
        logits = policy.model(ids).logits[0, -1]
    (row, token), value = score.tree.edges[0], score.logprobs[0]
    assert row == 0
    assert len(logits) == vocabulary
    assert_close(value, logits.log_softmax(-1)[token], atol=1e-4, rtol=0)


@pytest.mark.parametrize("family", FAMILIES)
def test_merged_adapters_give_the_same_scores(family):
    policy = text_policy(family, 2)
    with torch.no_grad():
        before = [s.logprobs for s in CandidateScorer(policy).score(QUESTIONS)]
        policy.model.merge_adapter()
        merged = [s.logprobs for s in CandidateScorer(policy).score(QUESTIONS)]
    assert_close(merged, before, atol=1e-4, rtol=1e-4)


def test_a_tokenizer_that_joins_prompt_and_action_falls_back_to_what_is_common(caplog):
    policy = text_policy()
    ids = policy.prompts.text_ids

    def joining(text: str) -> tuple[int, ...]:
        """The prompt's last token becomes another one as soon as something follows."""
        whole = ids(text)
        end = len(ids(QUESTIONS[0].prompt))
        return (*whole[: end - 1], 9, *whole[end:]) if len(whole) > end else whole

    policy.prompts.text_ids = joining
    scorer = CandidateScorer(policy)
    tree = scorer.tree(QUESTIONS[0])
    assert "joins the end" in caplog.text
    assert len(tree.prompt) == len(ids(QUESTIONS[0].prompt)) - 1
    assert all(tree.edges[path[0]][1] == 9 for path in tree.paths)
    assert len(tree.nodes) < sum(map(len, tree.paths))


def test_the_beginning_of_sequence_token_stands_once():
    policy = text_policy()
    policy.tokenizer.bos_token = "<unk>"
    from tokenizers.processors import TemplateProcessing

    policy.tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<unk> $A", special_tokens=[("<unk>", policy.tokenizer.unk_token_id)]
    )
    tree = CandidateScorer(policy).tree(QUESTIONS[0])
    everything = [*tree.prompt, *tree.nodes, *(token for _, token in tree.edges)]
    assert tree.prompt[0] == policy.tokenizer.unk_token_id
    assert everything.count(policy.tokenizer.unk_token_id) == 1


@pytest.mark.parametrize(
    ("candidates", "fault"),
    [
        ((), "no action is admissible"),
        (("go", " "), "an action phrase is empty"),
        (("go", "stay", "go"), r"\['go'\] stand twice"),
    ],
)
def test_bad_candidates(candidates, fault):
    with pytest.raises(UserError, match=fault):
        CandidateScorer(text_policy()).score([Question("You should", candidates)])


def test_a_prompt_longer_than_the_context():
    with pytest.raises(UserError, match="but the model reads 256; shorten"):
        CandidateScorer(text_policy()).score([Question("book bowl " * 300, ("go",))])


def test_unknown_normalisation():
    with pytest.raises(UserError, match="choose sum, token or word"):
        log_policy(torch.zeros(2), [1, 1], [1, 1], "mean")


def test_no_room_is_needed_for_more_than_is_kept():
    scorer = CandidateScorer(text_policy(last_k_layers=2), cache_mb=1)
    questions = [Question(f"book {'bowl ' * i}", ("go", "stay")) for i in range(40)]
    with torch.no_grad():
        first = scorer.score(questions)
        assert scorer._frozen.size <= 2**20
        again = scorer.score(questions)
    assert all(torch.equal(a.logprobs, b.logprobs) for a, b in zip(first, again, strict=True))
    assert any(not torch.equal(a.logprobs, b.logprobs) for a, b in pairwise(first))
