import json
import shutil

import pytest

from agentlab_runner.agents.llm.policy import LanguagePolicy
from agentlab_runner.runners.errors import UserError


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


def test_narrow_weights_need_a_gpu(tiny_folder, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(UserError, match=r"quantize=4bit needs a CUDA GPU.*use model\.quantize=null"):
        LanguagePolicy.from_pretrained(tiny_folder, lora={"r": 2}, quantize="4bit")
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("agentlab_runner.agents.llm.weights.loading.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"needs bitsandbytes; pip install -e '\.\[quantize\]'"):
        LanguagePolicy.from_pretrained(tiny_folder, lora={"r": 2}, quantize="8bit")
