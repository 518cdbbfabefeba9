"""Causal language models without eyes take the same path as vision-language models."""

import json

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from agentlab_runner.agents.llm.policy import LanguagePolicy
from agentlab_runner.agents.llm.weights import loading
from agentlab_runner.agents.llm.weights.gguf_file import unpack
from agentlab_runner.agents.llm.weights.layers import last_layers, layer_stack
from agentlab_runner.agents.llm.weights.loading import load
from agentlab_runner.runners.errors import UserError
from tests.agents.causal_models import FAMILIES, TARGETS, causal, text_policy, tokenizer

TEXTS = ["There is a bowl in the kitchen.", "To tidy up, you should walk to the bedroom", "book"]


@pytest.mark.parametrize("family", FAMILIES)
def test_scores_are_the_sampled_logprobs(family):
    policy = text_policy(family, max_new_tokens=8)
    observations = [{"text": text} for text in TEXTS]
    said = policy.generate(observations)
    scores = policy.score(observations, [one.token_ids for one in said])
    assert_close(scores.logprobs[scores.mask].tolist(), [p for one in said for p in one.logprobs], atol=1e-4, rtol=0)
    for i, text in enumerate(TEXTS):
        ids = torch.tensor([policy.tokenizer(text)["input_ids"]])
        with torch.no_grad():
            assert_close(scores.logits[i, 0], policy.model(ids).logits[0, -1], atol=1e-4, rtol=0)


def test_features_are_text_alone():
    policy = text_policy()
    policy.freeze_features()
    assert [part.shape for part in policy.features([{"text": text} for text in TEXTS])] == [(3, 32), (3, 0)]


def test_pictures_it_cannot_see_are_said_once(caplog):
    policy = text_policy(max_new_tokens=2)
    policy.generate([{"text": text} for text in TEXTS])
    assert not caplog.messages
    picture = np.zeros((8, 8, 3), np.uint8)
    policy.generate([{"text": text, "image": picture} for text in TEXTS])
    (said,) = caplog.messages
    assert "reads text alone" in said


@pytest.mark.parametrize("family", FAMILIES)
def test_a_folder_is_loaded_by_its_kind_and_adapted_where_asked(family, tmp_path):
    words = tokenizer()
    causal(family, words).save_pretrained(tmp_path)
    words.save_pretrained(tmp_path)
    policy = LanguagePolicy.from_pretrained(tmp_path, lora={"r": 2, "targets": TARGETS[family], "last_k_layers": 2})
    owner, name = layer_stack(policy._base)
    adapted = [any("lora_" in n for n, _ in layer.named_parameters()) for layer in getattr(owner, name)]
    assert adapted == [False, False, True, True]
    assert policy.generate([{"text": TEXTS[0]}])


def test_adapters_name_their_base_as_it_was_asked_for(tmp_path, monkeypatch, recwarn):
    words = tokenizer()
    causal("llama", words).save_pretrained(tmp_path / "cache")
    words.save_pretrained(tmp_path / "cache")
    monkeypatch.setattr(loading, "unpack", lambda name: tmp_path / "cache")
    policy = LanguagePolicy.from_pretrained("package:words/x.gguf", lora={"r": 2, "targets": TARGETS["llama"]})
    policy.save_pretrained(tmp_path / "adapters")
    files = [file for file in (tmp_path / "adapters").iterdir() if file.suffix in (".json", ".md")]
    written = {file.name: file.read_text() for file in files}
    assert json.loads(written["adapter_config.json"])["base_model_name_or_path"] == "package:words/x.gguf"
    assert not [name for name, text in written.items() if str(tmp_path) in text]
    assert not [warning for warning in recwarn if "config file" in str(warning.message)]


def test_all_linear_targets_may_be_restricted_to_the_last_layers():
    policy = LanguagePolicy(causal("llama", words := tokenizer()), words, lora={"r": 2, "last_k_layers": 1})
    names = {name.split(".lora_")[0] for name, p in policy.model.named_parameters() if p.requires_grad}
    assert len(names) == 7
    assert all(".layers.3." in name for name in names)


def test_more_layers_than_there_are():
    with pytest.raises(UserError, match="last_k_layers is 9, but the model has 4 layers"):
        last_layers(causal("llama", tokenizer()), 9)


def test_a_model_that_generates_nothing_is_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "clip_text_model"}')
    with pytest.raises(UserError, match="does not generate text; choose"):
        load(str(tmp_path), "float32")


def test_missing_package_and_file_are_named(tmp_path):
    with pytest.raises(UserError, match="package no-such-package, which is not installed; pip install gguf"):
        unpack("package:no_such_package/x.gguf")
    with pytest.raises(UserError, match=r"holds no file 'x\.gguf'"):
        unpack("package:peft/x.gguf")
    with pytest.raises(UserError, match="there is no file"):
        unpack(str(tmp_path / "x.gguf"))


def test_a_damaged_gguf_file(tmp_path, monkeypatch):
    pytest.importorskip("gguf")
    monkeypatch.setenv("AGENTLAB_CACHE", str(tmp_path / "cache"))
    (tmp_path / "x.gguf").write_bytes(b"GGUF" + bytes(100))
    with pytest.raises(UserError, match=r"x\.gguf is damaged"):
        unpack(str(tmp_path / "x.gguf"))
    assert not list((tmp_path / "cache" / "models").iterdir())
