import pytest
import torch

from agentlab_runner.agents.llm.policy import LanguagePolicy
from agentlab_runner.agents.llm.tiny import create, train_tokenizer
from agentlab_runner.runners.errors import UserError
from tests.agents.llm.conftest import COORDINATES, WORDS, action, corpus, prompt


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(corpus(), 1024)


def ids(tokenizer, text: str) -> list[int]:
    return tokenizer(text, add_special_tokens=False)["input_ids"]


def test_an_action_is_25_to_45_tokens(tokenizer):
    assert 25 <= len(ids(tokenizer, action("DUAL_POINT", COORDINATES[2], COORDINATES[1]))) <= 45
    assert 25 <= len(ids(tokenizer, action("TYPE", typed="coffee maker"))) <= 45


def test_a_recurring_coordinate_is_one_token_and_a_new_one_still_encodes(tokenizer):
    assert all(len(ids(tokenizer, f"{y:.4f}")) == 1 for y in COORDINATES)
    new = ids(tokenizer, "0.9999")
    assert len(new) > 1
    assert tokenizer.decode(new) == "0.9999"


@pytest.mark.parametrize("words", [*WORDS, "never met before"])
def test_words_have_the_same_tokens_in_the_goal_and_in_quotes(tokenizer, words):
    piece = ids(tokenizer, words)
    for text in (prompt(f"Search for {words} on walmart"), prompt(f"Note {words}"), action("TYPE", typed=words)):
        whole = ids(tokenizer, text)
        assert any(whole[i : i + len(piece)] == piece for i in range(len(whole)))


def test_special_tokens_differ(tokenizer):
    assert len({tokenizer.pad_token_id, tokenizer.eos_token_id, tokenizer.unk_token_id, None}) == 4


def test_any_text_comes_back(tokenizer):
    text = "Grüße, 日本 \n\t-0.5 {\"a\": [1]} <b> 'x'"
    assert tokenizer.decode(ids(tokenizer, text)) == text
    assert tokenizer.unk_token_id not in ids(tokenizer, text)


def test_tokenizer_depends_on_the_corpus_alone():
    first, second = (train_tokenizer(corpus(), 600).backend_tokenizer.to_str() for _ in range(2))
    assert first == second
    assert first != train_tokenizer(corpus()[:10], 600).backend_tokenizer.to_str()


def test_weights_depend_on_the_seed_alone(tmp_path):
    def weights(name: str, seed: int) -> torch.Tensor:
        shape = {"image_size": 32, "width": 16, "heads": 2}
        policy = LanguagePolicy.from_pretrained(create(tmp_path / name, corpus(), seed=seed, **shape))
        return torch.cat([parameter.flatten() for parameter in policy.parameters()])

    before = torch.random.get_rng_state()
    first = weights("a", 1)
    torch.manual_seed(99)
    assert torch.equal(first, weights("b", 1))
    assert not torch.equal(first, weights("c", 2))
    torch.random.set_rng_state(before)


def test_global_generator_is_left_alone(tmp_path):
    before = torch.random.get_rng_state()
    create(tmp_path / "m", corpus(), image_size=32, width=16, heads=2)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_bad_requests(tiny_folder, tmp_path):
    with pytest.raises(UserError, match="corpus is empty"):
        create(tmp_path / "m", [])
    with pytest.raises(UserError, match="exists"):
        create(tiny_folder, corpus())
