import json
import shutil

import pytest
from conftest import corpus
from transformers import LlamaConfig, LlamaForCausalLM

from agents.llm.policy import LanguagePolicy
from agents.llm.tiny import train_tokenizer
from runners.errors import UserError


@pytest.mark.parametrize("name", ["nowhere", "/no/such/folder", "./gone", "a/b/c"])
def test_missing_folder(name):
    with pytest.raises(UserError, match="no model folder"):
        LanguagePolicy.from_pretrained(name)


def test_folder_without_a_checkpoint(tmp_path):
    with pytest.raises(UserError, match=r"no config\.json"):
        LanguagePolicy.from_pretrained(tmp_path)


def test_unreachable_hub_names_the_repository_and_the_way_round(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(UserError, match=r"a/vlm cannot be reached.*huggingface-cli download a/vlm"):
        LanguagePolicy.from_pretrained("a/vlm")


def test_text_model_is_refused_by_its_kind(tmp_path):
    tokenizer = train_tokenizer(corpus(), 400)
    config = LlamaConfig(vocab_size=400, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1)
    LlamaForCausalLM(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(UserError, match="is a llama model, which does not read images"):
        LanguagePolicy.from_pretrained(tmp_path)


def test_unknown_model_type(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "no_such_type"}))
    with pytest.raises(UserError, match="cannot be loaded by this version of transformers"):
        LanguagePolicy.from_pretrained(tmp_path)


def test_checkpoint_without_weights(tiny_folder, tmp_path):
    shutil.copytree(tiny_folder, tmp_path / "model")
    (tmp_path / "model" / "model.safetensors").unlink()
    with pytest.raises(UserError, match="incomplete or damaged"):
        LanguagePolicy.from_pretrained(tmp_path / "model")


def test_chat_format_needs_a_template(tiny_folder, tmp_path):
    shutil.copytree(tiny_folder, tmp_path / "model")
    (tmp_path / "model" / "chat_template.jinja").unlink()
    assert LanguagePolicy.from_pretrained(tmp_path / "model").prompts.prompt("x") == "<image>x"
    with pytest.raises(UserError, match="use prompt_format=raw"):
        LanguagePolicy.from_pretrained(tmp_path / "model", prompt_format="chat")
