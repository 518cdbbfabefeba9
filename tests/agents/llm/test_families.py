"""Random checkpoints of hub families, in their own formats, held against their own forward pass."""

import functools
import json

import numpy as np
import pytest
import torch
from torch.testing import assert_close
from transformers import (
    LlavaNextConfig,
    LlavaNextForConditionalGeneration,
    LlavaNextImageProcessorPil,
    LlavaNextProcessor,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen2VLImageProcessorPil,
    SmolVLMConfig,
    SmolVLMForConditionalGeneration,
    SmolVLMImageProcessorPil,
)

from agentlab_runner.agents.llm.policy import LanguagePolicy
from agentlab_runner.agents.llm.tiny import CHAT_TEMPLATE, train_tokenizer
from agentlab_runner.agents.llm.weights.processors import Qwen2_5_VLProcessor, Qwen2VLProcessor, SmolVLMProcessor
from agentlab_runner.runners.errors import UserError
from tests.agents.llm.conftest import corpus, prompt

VISION = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
TEXT = {**VISION, "num_key_value_heads": 2, "bos_token_id": None}


def tokenizer_with(*marks: str):
    tokenizer = train_tokenizer(corpus(), 600)
    tokenizer.add_special_tokens({"additional_special_tokens": list(marks)})
    return tokenizer, {
        **TEXT,
        "vocab_size": len(tokenizer),
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }


def smolvlm():
    """With the hub model's tiles."""
    tokenizer, text = tokenizer_with("<image>")
    image = SmolVLMImageProcessorPil(size={"longest_edge": 64}, max_image_size={"longest_edge": 32})
    processor = SmolVLMProcessor(image, tokenizer, image_seq_len=4, chat_template=CHAT_TEMPLATE)
    config = SmolVLMConfig(
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        pad_token_id=tokenizer.pad_token_id,
        vision_config={**VISION, "image_size": 32, "patch_size": 8},
        text_config={**text, "model_type": "llama"},
    )
    return SmolVLMForConditionalGeneration(config), processor


def llava_next():
    tokenizer, text = tokenizer_with("<image>")
    grid = [[32, 64], [64, 32], [64, 64]]
    image = LlavaNextImageProcessorPil(
        size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}, image_grid_pinpoints=grid
    )
    template = (
        "{% for m in messages %}[INST] {% for c in m['content'] %}{% if c['type'] == 'image' %}<image>\n"
        "{% else %}{{ c['text'] }}{% endif %}{% endfor %} [/INST]{% endfor %}"
    )
    processor = LlavaNextProcessor(
        image, tokenizer, patch_size=8, vision_feature_select_strategy="default", num_additional_image_tokens=1,
        chat_template=template,
    )
    config = LlavaNextConfig(
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        image_grid_pinpoints=grid,
        vision_feature_layer=-1,
        vision_config={**VISION, "model_type": "clip_vision_model", "image_size": 32, "patch_size": 8},
        text_config={**text, "model_type": "llama"},
    )
    return LlavaNextForConditionalGeneration(config), processor


def qwen(config_kind, model_kind, processor_kind, vision):
    marks = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
    tokenizer, text = tokenizer_with(*marks)
    template = (
        "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{% for c in m['content'] %}{% if c['type'] == 'image' %}"
        "<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ c['text'] }}{% endif %}{% endfor %}<|im_end|>\n"
        "{% endfor %}"
    )
    image = Qwen2VLImageProcessorPil(min_pixels=28 * 28 * 2, max_pixels=28 * 28 * 12)
    names = ("vision_start_token_id", "vision_end_token_id", "image_token_id", "video_token_id")
    config = config_kind(
        **dict(zip(names, tokenizer.convert_tokens_to_ids(list(marks)), strict=True)),
        vision_config={"depth": 1, "num_heads": 2, "hidden_size": 32, **vision},
        text_config={**text, "rope_scaling": {"type": "mrope", "mrope_section": [2, 3, 3]}},
    )
    return model_kind(config), processor_kind(image, tokenizer, chat_template=template)


def qwen2_vl():
    return qwen(Qwen2VLConfig, Qwen2VLForConditionalGeneration, Qwen2VLProcessor, {"embed_dim": 32, "mlp_ratio": 1})


def qwen2_5_vl():
    vision = {"intermediate_size": 32, "out_hidden_size": 32, "fullatt_block_indexes": [0], "window_size": 112}
    return qwen(Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration, Qwen2_5_VLProcessor, vision)


FAMILIES = [smolvlm, llava_next, qwen2_vl, qwen2_5_vl]


def as_published(folder):
    """Turn the layout this version of transformers writes into that of the repositories on the hub, which is older."""
    whole = json.loads((folder / "processor_config.json").read_text())
    image = whole.pop("image_processor") | {"processor_class": whole["processor_class"]}
    if "Qwen" in image["image_processor_type"]:
        size = image.pop("size")
        image |= {"min_pixels": size["shortest_edge"], "max_pixels": size["longest_edge"]}
    (folder / "preprocessor_config.json").write_text(json.dumps(image))
    (folder / "processor_config.json").write_text(json.dumps(whole))
    if len(whole) == 1:
        (folder / "processor_config.json").unlink()
    template = folder / "chat_template.jinja"
    (folder / "chat_template.json").write_text(json.dumps({"chat_template": template.read_text()}))
    template.unlink()


def observations() -> list[dict]:
    """Screens of two sizes, prompts of different lengths."""
    draw = np.random.default_rng(0)
    sizes = [(64, 40, 3), (64, 40, 3), (50, 90, 3), (64, 40, 3)]
    return [
        {"text": prompt("Search for " + "usb cable " * i), "image": draw.integers(0, 255, size, dtype=np.uint8)}
        for i, size in enumerate(sizes)
    ]


@pytest.mark.parametrize("prompt_format", ["raw", "chat"])
@pytest.mark.parametrize("make", FAMILIES)
def test_family_agrees_with_its_own_forward_pass(make, prompt_format):
    torch.manual_seed(0)
    model, processor = make()
    model.lm_head.weight.data.mul_(20)
    policy = LanguagePolicy(model, processor, prompt_format=prompt_format, max_new_tokens=5)
    screens = observations()
    said = policy.generate(screens)
    scores = policy.score(screens, [one.token_ids for one in said])
    sampled = [value for one in said for value in one.logprobs]
    assert_close(scores.logprobs[scores.mask].tolist(), sampled, atol=1e-4, rtol=0)
    for i, screen in enumerate(screens):
        inputs = processor(
            text=[policy.prompts.prompt(screen["text"])], images=[[screen["image"]]], return_tensors="pt"
        )
        with torch.no_grad():
            assert_close(scores.logits[i, 0], model(**inputs).logits[0, -1], atol=1e-4, rtol=0)
    policy.freeze_features()
    assert [part.shape for part in policy.features(screens)] == [(4, 32), (4, 32)]


@pytest.mark.parametrize("make", FAMILIES)
def test_family_loads_from_its_folder_with_adapters(make, tmp_path):
    torch.manual_seed(0)
    model, processor = make()
    model.save_pretrained(tmp_path / "base")
    processor.save_pretrained(tmp_path / "base")
    load = functools.partial(LanguagePolicy.from_pretrained, freeze_vision=True, prompt_format="chat")
    policy = load(tmp_path / "base", lora={"r": 2}, max_new_tokens=3)
    screens = observations()[:2]
    said = policy.generate(screens, deterministic=True)
    assert [one.token_ids for one in said] == [
        one.token_ids for one in load(tmp_path / "base", max_new_tokens=3).generate(screens, deterministic=True)
    ]  # new adapters change nothing
    scores = policy.score(screens, [(5, 6)] * 2)
    scores.logprobs.sum().backward()
    trained = [name for name, parameter in policy.named_parameters() if parameter.grad is not None]
    assert trained
    assert all("lora_" in name and "vision" not in name for name in trained)

    with torch.no_grad():
        for parameter in policy.trainable_parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    changed = policy.score(screens, [(5, 6)] * 2).logprobs
    assert (changed - scores.logprobs).abs().max() > 1e-3
    state = policy.state_dict()
    assert all("lora_" in name for name in state)
    other = load(tmp_path / "base", lora={"r": 2})
    other.load_state_dict(state)
    assert_close(other.score(screens, [(5, 6)] * 2).logprobs, changed)
    with policy.model.disable_adapter():
        assert_close(policy.score(screens, [(5, 6)] * 2).logprobs, scores.logprobs)

    policy.save_pretrained(tmp_path / "adapters")
    third = load(tmp_path / "base", lora={"r": 2, "start": str(tmp_path / "adapters")})
    assert_close(third.score(screens, [(5, 6)] * 2).logprobs, changed)
    state.popitem()
    with pytest.raises(RuntimeError, match="this state is of another model"):
        third.load_state_dict(state)


@pytest.mark.parametrize("make", FAMILIES)
@pytest.mark.parametrize("published", [False, True], ids=["as_saved_here", "as_on_the_hub"])
def test_whole_model_is_saved_and_loaded(make, published, tmp_path):
    policy = LanguagePolicy(*make())
    policy.save_pretrained(tmp_path)
    if published:
        as_published(tmp_path)
    screens = observations()[:2]
    again = LanguagePolicy.from_pretrained(tmp_path)
    assert again.prompts.prompt("x") == policy.prompts.prompt("x")
    assert_close(again.score(screens, [(5, 6)] * 2).logprobs, policy.score(screens, [(5, 6)] * 2).logprobs)


def test_adapters_of_another_base_are_refused(tmp_path):
    for name, make in (("smolvlm", smolvlm), ("llava", llava_next)):
        model, processor = make()
        model.save_pretrained(tmp_path / name)
        processor.save_pretrained(tmp_path / name)
    LanguagePolicy.from_pretrained(tmp_path / "smolvlm", lora={"r": 2}).save_pretrained(tmp_path / "adapters")
    with pytest.raises(UserError, match=r"belong to another base model.*load the model they were trained on, .*smolv"):
        LanguagePolicy.from_pretrained(tmp_path / "llava", lora={"r": 2, "start": str(tmp_path / "adapters")})


def test_image_marks_come_from_the_chat_template():
    assert LanguagePolicy(*qwen2_5_vl()).prompts.prompt("x") == "<|vision_start|><|image_pad|><|vision_end|>x"
    assert LanguagePolicy(*llava_next()).prompts.prompt("x") == "<image>\nx"
    assert LanguagePolicy(*smolvlm()).prompts.prompt("x") == "<image>x"
