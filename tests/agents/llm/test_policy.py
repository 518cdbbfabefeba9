import pytest
import torch
from torch.testing import assert_close

from agentlab_runner.agents.llm.policy import LanguagePolicy, Utterance
from agentlab_runner.runners.errors import UserError
from tests.agents.llm.conftest import action, screens


def logprobs(utterances: list[Utterance]) -> list[float]:
    return [value for utterance in utterances for value in utterance.logprobs]


def given(scores) -> list[float]:
    return scores.logprobs[scores.mask].tolist()


@pytest.mark.parametrize("temperature", [1.0, 0.3])
@pytest.mark.parametrize("prompt_format", ["raw", "chat"])
def test_scores_are_the_sampled_logprobs(tiny_folder, temperature, prompt_format):
    policy = LanguagePolicy.from_pretrained(
        tiny_folder, max_new_tokens=12, temperature=temperature, prompt_format=prompt_format
    )
    policy.model.lm_head.weight.data.mul_(20)  # far from uniform, so that a wrong position or mask shows
    observations = screens(6)
    said = policy.generate(observations)
    scores = policy.score(observations, [utterance.token_ids for utterance in said])
    assert_close(given(scores), logprobs(said), atol=1e-4, rtol=0)
    assert_close(scores.logits.logsumexp(-1).shape, scores.mask.shape)


def test_an_utterance_does_not_depend_on_its_batch(policy):
    observations = screens(6)
    policy.model.lm_head.weight.data.mul_(20)
    said = policy.generate(observations, deterministic=True)
    alone = [policy.generate([observation], deterministic=True)[0] for observation in observations]
    assert [one.token_ids for one in alone] == [one.token_ids for one in said]
    assert_close(logprobs(alone), logprobs(said), atol=1e-4, rtol=0)
    rows = [(policy.encode(action("TYPE", typed=word))) for word in ("a", "usb cable", "alarm clock x y z")]
    together = policy.score(observations[:3], rows)
    for i, row in enumerate(rows):
        one = policy.score(observations[i : i + 1], [row])
        assert_close(one.logprobs[0], together.logprobs[i, : len(row)], atol=1e-4, rtol=0)
        assert_close(one.logits[0], together.logits[i, : len(row)], atol=1e-4, rtol=0)


def test_logits_are_the_models_own(policy):
    observation = screens(5)[3]
    inputs = policy.processor(
        text=[policy.prompts.prompt(observation["text"])], images=[[observation["image"]]], return_tensors="pt"
    )
    with torch.no_grad():
        expected = policy.model(**inputs).logits[0, -1]
    others = screens(3)
    scores = policy.score([*others, observation], [policy.encode("Action")] * 4)
    assert_close(scores.logits[3, 0], expected, atol=1e-5, rtol=0)


def test_sampling_follows_torchs_generator_and_greedy_does_not(policy):
    observations = screens(4)

    def sample(seed: int, deterministic: bool) -> list[tuple[int, ...]]:
        torch.manual_seed(seed)
        return [said.token_ids for said in policy.generate(observations, deterministic=deterministic)]

    assert sample(1, False) == sample(1, False) != sample(2, False)
    assert sample(1, True) == sample(2, True)


def test_sampling_frequencies_are_the_distribution(policy):
    policy.max_new_tokens = 1
    policy.model.lm_head.weight.data.mul_(60)
    observation = screens(1)
    said = policy.generate(observation * 2000)
    probabilities = policy.score(observation, [(0,)]).logits[0, 0].softmax(-1)
    counts = torch.bincount(torch.tensor([one.token_ids[0] for one in said]), minlength=len(probabilities)) / 2000
    assert (counts - probabilities).abs().max() < 0.04


def test_generation_stops_at_the_end_token(policy):
    end = policy.tokenizer.eos_token_id
    policy.eos_ids = frozenset(range(0, len(policy.tokenizer), 5))
    said = policy.generate(screens(8))
    assert {one.token_ids[-1] in policy.eos_ids for one in said if len(one.token_ids) < 12} == {True}
    assert not any(token in policy.eos_ids for one in said for token in one.token_ids[:-1])
    assert all(len(one.token_ids) == len(one.logprobs) for one in said)
    assert policy.encode("Action")[-1] in policy.eos_ids or end not in policy.eos_ids


def test_encode_is_the_inverse_of_decode(policy):
    text = action("TYPE", typed='ein "Schlüssel", ✓ 0.12345')
    ids = policy.encode(text)
    assert ids[-1] == policy.tokenizer.eos_token_id
    assert policy.decode(ids) == text


def test_vision_trains_unless_frozen(tiny_folder):
    observations, rows = screens(3), [(5, 6), (7,), (8, 9, 10)]
    free, frozen = (LanguagePolicy.from_pretrained(tiny_folder, freeze_vision=value) for value in (False, True))
    scores = [policy.score(observations, rows) for policy in (free, frozen)]
    assert_close(scores[0].logprobs, scores[1].logprobs, atol=1e-5, rtol=0)
    for one in scores:
        one.logprobs.sum().backward()
    for name in ("vision_model.embeddings.patch_embedding.weight", "connector.modality_projection.proj.weight"):
        assert free.get_parameter(f"model.model.{name}").grad.abs().sum() > 0
        assert frozen.get_parameter(f"model.model.{name}").grad is None
    assert frozen.model.lm_head.weight.grad.abs().sum() > 0
    assert len(frozen.trainable_parameters()) < len(free.trainable_parameters())


def test_gradient_reaches_the_vision_from_every_row_of_a_shared_image(policy):
    same = [screens(1)[0]] * 2
    weight = policy.model.model.connector.modality_projection.proj.weight
    policy.score(same, [(5,), (6,)]).logprobs.sum().backward()
    together = weight.grad.clone()
    weight.grad = None
    for row in ((5,), (6,)):
        policy.score(same[:1], [row]).logprobs.sum().backward()
    assert_close(together, weight.grad, atol=1e-5, rtol=1e-4)


def test_kept_images_are_seen_anew_when_the_vision_changes(policy):
    observations = screens(2)
    with torch.no_grad():
        before = policy.score(observations, [(5,)] * 2).logprobs
        assert torch.equal(policy.score(observations, [(5,)] * 2).logprobs, before)
        policy.model.model.connector.modality_projection.proj.weight.mul_(3)
        after = policy.score(observations, [(5,)] * 2).logprobs
    assert_close(after, policy.score(observations, [(5,)] * 2).logprobs.detach(), atol=1e-5, rtol=0)
    assert (after - before).abs().max() > 1e-4


def test_after_its_state_was_taken_a_policy_goes_on_to_the_last_bit_like_one_that_loaded_it(policy, tiny_folder):
    """Screens encoded alone and together differ in their last bits, so neither may remember how it first saw them."""
    observations = screens(6)
    for observation in observations:
        policy.generate([observation])
    state = policy.state_dict()
    other = LanguagePolicy.from_pretrained(tiny_folder, max_new_tokens=policy.max_new_tokens)
    other.load_state_dict(state)
    said = []
    for one in (policy, other):
        torch.manual_seed(0)
        said.append(one.generate(observations))
    assert said[0] == said[1]


def test_features_stay_when_the_policy_learns(policy, tiny_folder):
    observations = screens(4)
    with pytest.raises(ValueError, match="freeze_features"):
        policy.features(observations)
    policy.freeze_features()
    text, image = policy.features(observations)
    assert text.shape == image.shape == (4, 32)
    assert torch.equal(image[0], image[3])
    assert not torch.equal(image[0], image[1])
    with torch.no_grad():
        for parameter in policy.trainable_parameters():
            parameter.add_(0.1)
    other = LanguagePolicy.from_pretrained(tiny_folder)
    other.load_state_dict(policy.state_dict())
    for again in (policy, other):
        again._features.clear()
        assert torch.equal(torch.cat(again.features(observations)), torch.cat([text, image]))
    assert torch.equal(policy.features(observations[2:3])[0][0], text[2])


def test_state_comes_back(policy, tiny_folder):
    with torch.no_grad():
        policy.model.lm_head.weight.add_(0.3 * torch.randn_like(policy.model.lm_head.weight))
    other = LanguagePolicy.from_pretrained(tiny_folder)
    other.load_state_dict(policy.state_dict())
    rows = [(5, 6)] * 2
    assert torch.equal(other.score(screens(2), rows).logprobs, policy.score(screens(2), rows).logprobs)


def test_saved_model_loads_again(policy, tmp_path):
    with torch.no_grad():
        policy.model.lm_head.weight.mul_(2)
    policy.save_pretrained(tmp_path)
    other = LanguagePolicy.from_pretrained(tmp_path)
    assert torch.equal(other.score(screens(1), [(5,)]).logits, policy.score(screens(1), [(5,)]).logits)


def test_lora_trains_adapters_alone(tiny_folder):
    policy = LanguagePolicy.from_pretrained(tiny_folder, lora={"r": 2, "targets": ["q_proj", "v_proj"]})
    names = [name for name, parameter in policy.named_parameters() if parameter.requires_grad]
    assert names
    assert all("lora_" in name for name in names)
    policy.freeze_features()
    assert policy.frozen is None
    text, image = policy.features(screens(2))
    with torch.no_grad():
        for parameter in policy.trainable_parameters():
            parameter.add_(0.5)
    policy._features.clear()
    assert torch.equal(policy.features(screens(2))[0], text)
    assert torch.equal(policy.features(screens(2))[1], image)
    said = policy.generate(screens(2))
    assert_close(given(policy.score(screens(2), [one.token_ids for one in said])), logprobs(said), atol=1e-4, rtol=0)


def test_nothing_to_say_to_nobody(policy):
    assert policy.generate([]) == []
    with pytest.raises(ValueError, match="no token"):
        policy.score(screens(1), [()])
    with pytest.raises(ValueError, match="give one each"):
        policy.score(screens(2), [(5,)])


def test_eyes_without_a_picture_are_told(policy):
    with pytest.raises(UserError, match=r"observations hold no image; set env\.observation=both .*, or choose a"):
        policy.generate([{"text": "Press home"}])


def test_lora_without_a_layer_names_the_layers(tiny_folder):
    with pytest.raises(UserError, match=r"no layer of the model; it has .*q_proj"):
        LanguagePolicy.from_pretrained(tiny_folder, lora={"targets": ["query"]})


def test_the_state_is_the_last_prompt_tokens_whatever_follows(policy):
    observations = screens(4)
    said = policy.generate(observations)
    scored = policy.score(observations, [(5, 6), (7,), (8, 9, 10), (5,)])
    assert_close(torch.stack([one.state for one in said]), scored.states, atol=1e-4, rtol=0)
    assert_close(policy.model.lm_head(scored.states), scored.logits[:, 0])
    scored.states.sum().backward()
    assert policy.model.get_input_embeddings().weight.grad.abs().sum() > 0
