"""A random Auto-UI checkpoint in the release's own format."""

import json
from traceback import format_exception

import numpy as np
import pytest
import torch
from torch import nn
from torch.testing import assert_close
from transformers import (
    Blip2VisionConfig,
    Blip2VisionModel,
    BlipImageProcessorPil,
    T5Config,
    T5ForConditionalGeneration,
)

from agentlab_runner.agents.llm.autoui import AutoUIModel, AutoUIPolicy
from agentlab_runner.agents.llm.policy import LanguagePolicy
from agentlab_runner.agents.llm.tiny import train_tokenizer
from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.processes.trainer import Trainer
from tests.agents.llm.conftest import corpus, prompt

WIDTH = 24
"""Of the image features; 1408 in the release."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """config.json, pytorch_model.bin and tokenizer.json, and nothing else."""
    folder = tmp_path_factory.mktemp("autoui")
    tokenizer = train_tokenizer(corpus(), 500)
    tokenizer.backend_tokenizer.save(str(folder / "tokenizer.json"))
    torch.manual_seed(0)
    config = T5Config(
        vocab_size=len(tokenizer), d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2, img_dim=WIDTH,
        pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.eos_token_id, tie_word_embeddings=False,
        decoder_start_token_id=tokenizer.pad_token_id, feed_forward_proj="gated-gelu", dropout_rate=0.0,
        architectures=["T5ForMultimodalGeneration"],
    )  # fmt: skip
    model = AutoUIModel(config)
    for module in (model.lm_head, model.image_dense, model.gate_dense):
        nn.init.normal_(module.weight, std=1.0)
    config.save_pretrained(folder)
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    assert {file.name for file in folder.iterdir()} == {"config.json", "pytorch_model.bin", "tokenizer.json"}
    return folder


@pytest.fixture(scope="module")
def eyes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("blip2")
    config = Blip2VisionConfig(
        hidden_size=WIDTH, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=28,
        patch_size=14,
    )
    Blip2VisionModel(config).save_pretrained(folder)
    BlipImageProcessorPil(size={"height": 28, "width": 28}).save_pretrained(folder)
    return str(folder)


def observations(features: bool = True) -> list[dict]:
    draw = np.random.default_rng(0)
    return [
        {"text": prompt("Search for " + "usb cable " * i), "image": draw.integers(0, 255, (64, 40, 3), dtype=np.uint8)}
        | ({"image_features": draw.normal(size=WIDTH)} if features else {})
        for i in range(3)
    ]


def test_it_computes_what_the_release_describes(folder):
    policy = AutoUIPolicy.from_pretrained(folder, max_new_tokens=6)
    model = policy.model.eval()
    seen = observations()
    targets = [policy.encode("Action Plan"), policy.encode("DUAL"), policy.encode("x")]
    scores = policy.score(seen, targets)
    for row, (observation, ids) in enumerate(zip(seen, targets, strict=True)):
        text = torch.tensor([policy.tokenizer(observation["text"])["input_ids"]])
        states = model.encoder(input_ids=text).last_hidden_state
        image = model.image_dense(torch.tensor(observation["image_features"]).float())
        seen_there = (image @ model.mha_layer.in_proj_weight[-16:].T + model.mha_layer.in_proj_bias[-16:])
        attended = model.mha_layer.out_proj(seen_there).expand_as(states)  # one key: its weight is 1
        gate = torch.sigmoid(model.gate_dense(torch.cat([states, attended], dim=-1)))
        fused = (1 - gate) * states + gate * attended
        given = torch.tensor([[policy.tokenizer.pad_token_id, *ids[:-1]]])
        decoded = model.decoder(input_ids=given, encoder_hidden_states=fused).last_hidden_state
        logits = model.lm_head(decoded)[0]
        assert_close(scores.logits[row, : len(ids)], logits, rtol=1e-4, atol=1e-4)
        assert_close(scores.states[row], decoded[0, 0], rtol=1e-4, atol=1e-4)


def test_generation_agrees_with_scoring(folder):
    policy = AutoUIPolicy.from_pretrained(folder, max_new_tokens=6, temperature=0.8)
    torch.manual_seed(1)
    said = policy.generate(observations())
    scores = policy.score(observations(), [one.token_ids for one in said])
    assert_close(scores.logprobs[scores.mask].tolist(), [v for one in said for v in one.logprobs], atol=1e-4, rtol=0)
    assert_close(torch.stack([one.state for one in said]), scores.states, atol=1e-4, rtol=0)
    dark = [o | {"image_features": np.zeros(WIDTH)} for o in observations()]
    assert (policy.score(dark, [one.token_ids for one in said]).logprobs - scores.logprobs).abs().max() > 1e-2


def test_it_sees_with_blip2(folder, eyes):
    policy = AutoUIPolicy.from_pretrained(folder, vision=eyes, max_new_tokens=4)
    seen = observations(features=False)
    assert all("eyes" not in name for name in policy.state_dict())
    model, processor = policy.eyes
    for observation in seen:
        pixels = processor(observation["image"], return_tensors="pt")["pixel_values"]
        assert_close(policy._look(observation), model(pixel_values=pixels).pooler_output[0])
    policy.freeze_features()
    text, image = policy.features(seen)
    assert (text.shape, image.shape) == ((3, 16), (3, WIDTH))
    assert policy.generate(seen)
    with pytest.raises(UserError, match="observations hold no image"):
        policy.generate([{"text": seen[0]["text"]}])


def test_it_learns_and_is_saved_in_its_own_format(folder, tmp_path):
    policy = AutoUIPolicy.from_pretrained(folder)
    trainer, seen = Trainer(), observations()
    trainer.prepare(policy)
    optimizer = torch.optim.Adam(policy.trainable_parameters(), lr=1e-2)
    targets = [policy.encode("PRESS_HOME")] * 3
    losses = []
    for _ in range(15):
        loss = -policy(seen, targets).logprobs.sum()
        losses.append(loss.item())
        trainer.step(optimizer, [loss], policy.trainable_parameters(), 1.0)
    assert losses[-1] < losses[0] / 2
    policy.save_pretrained(tmp_path)
    again = AutoUIPolicy.from_pretrained(tmp_path)
    assert_close(again.score(seen, targets).logprobs, policy.score(seen, targets).logprobs)
    other = AutoUIPolicy.from_pretrained(folder)
    other.load_state_dict(policy.state_dict())
    assert_close(other.score(seen, targets).logprobs, policy.score(seen, targets).logprobs)


def test_adapters(folder):
    policy = AutoUIPolicy.from_pretrained(folder, lora={"r": 2, "targets": ["q", "v"]})
    policy.score(observations(), [(5, 6)] * 3).logprobs.sum().backward()
    assert {n.split(".")[-3] for n, p in policy.named_parameters() if p.grad is not None} == {"lora_A", "lora_B"}


def test_other_checkpoints_are_refused(folder, tmp_path):
    with pytest.raises(UserError, match=r"a T5 model; an Auto-UI checkpoint.*loads by model=autoui"):
        LanguagePolicy.from_pretrained(folder)
    plain = tmp_path / "t5"
    config = T5Config(vocab_size=50, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=1)
    T5ForConditionalGeneration(config).save_pretrained(plain)
    with pytest.raises(UserError, match=r"is a T5 without gate_dense\.bias, so it cannot see"):
        AutoUIPolicy.from_pretrained(plain)
    with pytest.raises(UserError, match=r"holds no config\.json"):
        AutoUIPolicy.from_pretrained(tmp_path)
    policy = AutoUIPolicy.from_pretrained(folder)
    with pytest.raises(UserError, match=r"no image_features; give the model eyes by model\.vision"):
        policy.generate(observations(features=False))


def test_a_folder_that_runs_code_is_refused(folder, tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "opened"), "w"))

    bad = tmp_path / "bad"
    bad.mkdir()
    (bad / "config.json").write_text(json.dumps(json.loads((folder / "config.json").read_text())))
    (bad / "tokenizer.json").write_text((folder / "tokenizer.json").read_text())
    torch.save({"shared.weight": Evil()}, bad / "pytorch_model.bin")
    with pytest.raises(UserError, match="holds more than weights, or is damaged, and is not read") as refused:
        AutoUIPolicy.from_pretrained(bad)
    assert "weights_only" not in "".join(format_exception(refused.value))
    assert not (tmp_path / "opened").exists()
