"""The marker is found by text under any tokenizer; the released arithmetic is reproduced column for column."""

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch.testing import assert_close
from transformers import PreTrainedTokenizerFast

from agentlab_runner.agents.llm.marker import action_starts, token_weights
from agentlab_runner.agents.llm.tiny import train_tokenizer

ANSWERS = [
    '{"current number": 3, "thoughts": "go up", "action": "+"}',
    '{ "thoughts": "the "action" follows ✓ 🂡",  "action" : "hit"}',
    '🂡"action":"a"',
]


def byte_bpe():
    core = Tokenizer(models.BPE())
    core.pre_tokenizer, core.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=["</s>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    core.train_from_iterator(ANSWERS, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=core, eos_token="</s>")


def sentencepiece_like():
    """LLaMA's kind: pieces with a word-start mark, and bytes for what has no piece."""
    pieces = [("</s>", 0.0), ("<unk>", 0.0), *((f"<0x{byte:02X}>", -12.0) for byte in range(256))]
    letters = sorted(set("".join(ANSWERS[:1])) | set("hitwlbacks") | {"▁"})
    pieces += [(letter, -8.0) for letter in letters]
    pieces += [('"', -7.0), ("action", -3.0), ('":', -3.0), ('▁"', -3.0), ("▁the", -4.0), ("thoughts", -3.0)]
    core = Tokenizer(models.Unigram([*dict(pieces).items()], unk_id=1, byte_fallback=True))
    core.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    core.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=core, eos_token="</s>", unk_token="<unk>")


TOKENIZERS = {
    "byte-bpe": byte_bpe(),
    "sentencepiece": sentencepiece_like(),
    "tiny": train_tokenizer(ANSWERS * 3, 400),
    "bytes": train_tokenizer(["x"], 300),
}


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("name", TOKENIZERS)
def test_the_marker_is_found_by_text(name, answer):
    tokenizer = TOKENIZERS[name]
    ids = [*tokenizer(answer, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]

    def decode(some):
        return tokenizer.decode(some, skip_special_tokens=True, clean_up_tokenization_spaces=False)

    assert decode(ids) == answer
    place = answer.rindex('"action"')
    (start,) = action_starts(ids, decode)
    assert len(decode(ids[:start])) <= place < len(decode(ids[: start + 1]))
    weights = token_weights(ids, decode, 0.25)
    assert weights.tolist() == [0.25] * start + [1.0] * (len(ids) - start)


def spell(ids):
    """One token a letter; 0 ends."""
    return "".join(chr(i) for i in ids if i)


def test_without_a_marker_the_last_four_tokens_act():
    assert token_weights([*map(ord, "hello"), 0], spell, 0.5).tolist() == [0.5, 0.5, 1, 1, 1, 1]
    assert token_weights([0], spell, 0.5).tolist() == [1.0]


def test_the_last_marker_counts():
    text = '"action":x "action":y'
    assert token_weights([*map(ord, text)], spell, 0.0).nonzero().flatten().tolist() == list(range(11, len(text)))


def released(logprobs, match_index, coef):
    """Its slices on a row padded with zeros; column k holds the log-probability of token k + 1."""
    selected = torch.cat([logprobs[1:], torch.zeros(9)])
    return coef * selected[1 : match_index - 1].sum() + selected[match_index - 1 :].sum()


@pytest.mark.parametrize(
    ("text", "match_index"),
    [
        ('no "action":a, "action":b', 15),  # two markers: the last one's first token
        ('one "action":b', None),  # a single marker is not used: four columns from the end
        ("no marker at all", None),
        ("seven!", None),
        ("five!", None),
    ],
)
def test_released_arithmetic(text, match_index):
    ids = [*map(ord, text)]
    logprobs = -torch.rand(len(ids), generator=torch.manual_seed(0)) - 0.1
    index = len(ids) - 1 - 4 if match_index is None else match_index
    weights = token_weights(ids, spell, 0.5, "released")
    assert_close((weights * logprobs).sum(), released(logprobs, index, 0.5))


def test_released_constant_for_fewer_than_five_tokens():
    assert not token_weights([*map(ord, "four")], spell, 0.5, "released").any()
