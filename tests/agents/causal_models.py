"""Random causal language models of three families, small enough to be made in a test, with one tokenizer."""

import torch
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from agentlab_runner.agents.llm.policy import LanguagePolicy
from agentlab_runner.agents.llm.tiny import train_tokenizer

FAMILIES = ("llama", "qwen2", "gpt2")
PLACES = ("kitchen", "bedroom", "living room")
CORPUS = [
    f"There is a {item} in the {place}. To tidy up, you should walk to the {place} and pick up the {item}."
    for place in PLACES
    for item in ("bowl", "tomato", "pancake", "book")
] * 2
TARGETS = {"llama": ["q_proj", "v_proj"], "qwen2": ["q_proj", "v_proj"], "gpt2": ["c_attn"]}


def tokenizer() -> PreTrainedTokenizerFast:
    return train_tokenizer(CORPUS, 400)


def causal(family: str, words: PreTrainedTokenizerFast, layers: int = 4, width: int = 32) -> PreTrainedModel:
    """A model far from uniform, so that a wrong position or mask shows."""
    own = {"vocab_size": len(words), "bos_token_id": None}
    own |= {"eos_token_id": words.eos_token_id, "pad_token_id": words.pad_token_id}
    shape = {
        "hidden_size": width,
        "intermediate_size": width,
        "num_hidden_layers": layers,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "max_position_embeddings": 256,
    }
    torch.manual_seed(0)
    model: PreTrainedModel
    if family == "gpt2":
        model = GPT2LMHeadModel(GPT2Config(**own, n_embd=width, n_layer=layers, n_head=2, n_positions=256))
    elif family == "qwen2":
        model = Qwen2ForCausalLM(Qwen2Config(**own, **shape))
    else:
        model = LlamaForCausalLM(LlamaConfig(**own, **shape))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(8.0)
    return model.eval()


def text_policy(
    family: str = "llama", last_k_layers: int | None = None, perturbed: bool = True, **options
) -> LanguagePolicy:
    """A policy with adapters; `perturbed` moves them away from their silent start."""
    words = tokenizer()
    lora = {"r": 4, "alpha": 8, "targets": TARGETS[family], "last_k_layers": last_k_layers}
    policy = LanguagePolicy(causal(family, words), words, lora=lora, **options)
    if perturbed:
        torch.manual_seed(1)
        with torch.no_grad():
            for parameter in policy.trainable_parameters():
                parameter.add_(0.3 * torch.randn_like(parameter))
    return policy.eval()
