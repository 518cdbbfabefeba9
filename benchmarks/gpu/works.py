"""Pieces of training small enough to be made on the spot, each a module and its loss, the same on every device."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import LlamaConfig, LlamaForCausalLM

from agentlab_runner.agents.coso.entropy import token_entropy
from agentlab_runner.agents.coso.scm import ScmNetwork
from agentlab_runner.agents.llm import tiny
from agentlab_runner.agents.llm.candidates import CandidateScorer, Question
from agentlab_runner.agents.llm.policy import LanguagePolicy
from agentlab_runner.runners.types import Observation
from benchmarks.candidates import ACTIONS, PROMPT
from benchmarks.counterfactual import TYPES, batch, utterance

Work = Callable[[torch.device], tuple[nn.Module, Callable[[], Tensor]]]
"""The module, still on the CPU, and its loss once it has been moved."""

SMOLLM2 = {"hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30, "num_attention_heads": 9}
SMOLLM2 |= {"num_key_value_heads": 3, "vocab_size": 49152}
"""The shape of SmolLM2-135M."""
SMALL = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 3, "num_attention_heads": 4}
SMALL |= {"num_key_value_heads": 2, "vocab_size": 512}
LORA = {"r": 8, "alpha": 16, "targets": ["q_proj", "v_proj"]}


@contextmanager
def phone_model() -> Iterator[Path]:
    """A folder with the tiny model, as `model=tiny` makes it."""
    rng = random.Random(0)
    texts = [utterance(rng)[0] for _ in range(400)]
    with TemporaryDirectory() as folder:
        yield tiny.create(Path(folder, "model"), [*texts, *(o["text"] for o in screens(32))])


def screens(count: int) -> list[Observation]:
    """Prompts of different lengths with noise for pictures."""
    draw = np.random.default_rng(0)
    goals = ["Goal: search for " + "headphones and a usb-c cable " * (1 + i % 3) for i in range(count)]
    return [{"text": goal, "image": draw.integers(0, 255, (96, 96, 3), dtype=np.uint8)} for goal in goals]


def phone(folder: Path, rows: int = 8) -> Work:
    """The tiny policy's log-probability and entropy of action texts on screens: an actor's loss."""

    def work(device: torch.device) -> tuple[nn.Module, Callable[[], Tensor]]:
        policy = LanguagePolicy.from_pretrained(folder)
        rng = random.Random(1)
        said = [policy.encode(utterance(rng)[0]) for _ in range(rows)]
        seen = screens(rows)

        def loss() -> Tensor:
            scores = policy(seen, said)
            entropy = (token_entropy(scores.logits) * scores.mask).sum() / scores.mask.sum()
            found: Tensor = -scores.logprobs.sum() / scores.mask.sum() - 0.1 * entropy
            return found

        return policy, loss

    return work


def reader(shape: dict[str, int], **options: Any) -> LanguagePolicy:
    """A model of random weights that reads text alone, with adapters that are not silent."""
    words = tiny.train_tokenizer([PROMPT, *ACTIONS] * 2, 400)
    torch.manual_seed(0)
    special = {"bos_token_id": None, "eos_token_id": words.eos_token_id, "pad_token_id": words.pad_token_id}
    model = LlamaForCausalLM(LlamaConfig(**shape, **special, max_position_embeddings=2048, tie_word_embeddings=True))
    return loud(LanguagePolicy(model, words, lora=LORA | options))


@torch.no_grad()
def loud(policy: LanguagePolicy) -> LanguagePolicy:
    """Adapters begin at 0; these do not, so that a fault in them shows."""
    torch.manual_seed(1)
    for parameter in policy.trainable_parameters():
        parameter.add_(0.02 * torch.randn_like(parameter))
    return policy.eval()


def phrases(device: torch.device) -> tuple[nn.Module, Callable[[], Tensor]]:
    """A phrase's log-probability among the admissible ones, by the token tree."""
    policy = reader(SMALL)
    scorer = CandidateScorer(policy, micro_batch=2)
    questions = [Question(PROMPT.replace("two", number), ACTIONS[:6]) for number in ("two", "three", "four")]

    def loss() -> Tensor:
        return -torch.stack([scores.joint().log_softmax(0)[0] for scores in scorer.score(questions)]).mean()

    return policy, loss


def causal_model(device: torch.device) -> tuple[nn.Module, Callable[[], Tensor]]:
    """The released recipe's classifier; without dropout, whose draws no two devices share."""
    ids, mask, labels, words = batch(8, 70, distinct=False)
    torch.manual_seed(0)
    scm = ScmNetwork(len(words), len(TYPES) + 1, dropout=0.0).train()

    def loss() -> Tensor:
        return F.cross_entropy(scm(ids.to(device), mask.to(device)), labels.to(device))

    return scm, loss
