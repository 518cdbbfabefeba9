"""Checkpoints of adapters: ours, the original's, and those that do not fit."""

import json
import shutil
from pathlib import Path
from traceback import format_exception

import pytest
import torch
from safetensors.torch import load_file
from torch.testing import assert_close

from agentlab_runner.agents.llm.policy import LanguagePolicy
from agentlab_runner.agents.llm.weights.adapters import load_adapters
from agentlab_runner.agents.twosome.critic import Critic
from agentlab_runner.agents.twosome.states import question_of
from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.processes.trainer import Trainer
from tests.agents.causal_models import TARGETS, causal, text_policy, tokenizer
from tests.agents.twosome.tidy import Tidy


@pytest.fixture
def saved(make_agent, play, tmp_path) -> tuple:
    """An agent that has learnt, and the folder it was saved in."""
    agent = make_agent(last_k_layers=None)
    agent.learn(play(agent, 0), Trainer())
    agent.save(tmp_path / "kept")
    return agent, tmp_path / "kept"


def test_a_folder_is_standard_peft_and_starts_an_equal_agent(saved, make_agent):
    from peft import PeftModel

    agent, folder = saved
    fresh = make_agent(last_k_layers=None, adapter=str(folder))
    question = question_of(Tidy().reset(seed=0)[0])
    assert torch.equal(fresh.actor.log_policies([question])[0], agent.actor.log_policies([question])[0])
    assert_close(fresh.critic.state_dict(), agent.critic.state_dict(), atol=0, rtol=0)
    theirs = PeftModel.from_pretrained(causal("llama", tokenizer()), folder)
    ids = torch.tensor([agent.policy.tokenizer(question.prompt)["input_ids"]])
    with torch.no_grad():
        assert_close(theirs(ids).logits, agent.policy.model(ids).logits, atol=1e-4, rtol=0)


def original_style(folder: Path, to: Path) -> Path:
    """What peft 0.2 wrote: adapter_model.bin and a config of few keys."""
    to.mkdir()
    torch.save(load_file(folder / "adapter_model.safetensors"), to / "adapter_model.bin")
    config = {
        "base_model_name_or_path": "some/base",
        "bias": "none",
        "inference_mode": True,
        "lora_alpha": 8,
        "lora_dropout": 0.0,
        "peft_type": "LORA",
        "r": 4,
        "target_modules": ["q_proj", "v_proj"],
        "task_type": "CAUSAL_LM",
    }
    (to / "adapter_config.json").write_text(json.dumps(config))
    return to


def test_an_original_folder_is_loaded(saved, tmp_path):
    agent, folder = saved
    names = load_file(folder / "adapter_model.safetensors").keys()
    assert "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight" in names
    policy = text_policy("llama", perturbed=False)
    load_adapters(policy.model, original_style(folder, tmp_path / "epoch_0003"))
    for ours, theirs in zip(policy.trainable_parameters(), agent.policy.trainable_parameters(), strict=True):
        assert torch.equal(ours, theirs)


def wider() -> LanguagePolicy:
    lora = {"r": 4, "alpha": 8, "targets": TARGETS["llama"]}
    return LanguagePolicy(causal("llama", words := tokenizer(), width=64), words, lora=lora)


def other_rank() -> LanguagePolicy:
    return LanguagePolicy(
        causal("llama", words := tokenizer()), words, lora={"r": 2, "alpha": 8, "targets": TARGETS["llama"]}
    )


def other_alpha() -> LanguagePolicy:
    return LanguagePolicy(
        causal("llama", words := tokenizer()), words, lora={"r": 4, "alpha": 99, "targets": TARGETS["llama"]}
    )


@pytest.mark.parametrize(
    ("policy", "fault"),
    [
        (wider, r"another base model or rank .*\[4, 32\].*\[4, 64\].*load the model they were trained on, some/base"),
        (other_rank, r"model\.lora\.r=4"),
        (other_alpha, r"set model\.lora\.alpha=8"),
        (lambda: text_policy("gpt2"), r"another base model or to other lora settings"),
        (lambda: text_policy("llama", 2), r"in the folder alone"),
        (lambda: LanguagePolicy(causal("llama", words := tokenizer()), words), r"give it some by model\.lora"),
    ],
)
def test_adapters_of_another_model_are_refused_in_one_sentence(saved, tmp_path, policy, fault):
    folder = original_style(saved[1], tmp_path / "epoch_0003")
    with pytest.raises(UserError, match=fault):
        load_adapters(policy().model, folder)


def test_missing_and_dangerous_files(tmp_path):
    policy = text_policy("llama")
    with pytest.raises(UserError, match="give the folder of a PEFT checkpoint"):
        load_adapters(policy.model, tmp_path)
    torch.save({"x": Path("/")}, tmp_path / "adapter_model.bin")  # a pickle that would run code is not opened
    with pytest.raises(UserError, match="holds more than tensors") as refused:
        load_adapters(policy.model, tmp_path)
    assert "weights_only" not in "".join(format_exception(refused.value))


def test_a_critic_of_other_widths(saved, tmp_path):
    shutil.copy(saved[1] / "critic.safetensors", tmp_path)
    with pytest.raises(UserError, match=r"set agent\.critic_widths"):
        Critic(32, (64, 16)).load(tmp_path)
    critic = load_file(tmp_path / "critic.safetensors")
    assert {name: list(value.shape) for name, value in critic.items()} == {
        "v_head_mlp1.weight": [32, 32],
        "v_head_mlp2.weight": [16, 32],
        "v_head_mlp3.weight": [1, 16],
    }
