"""Counterfactual weights (released recipe) of 16 AitW utterances of 70 tokens: batched against a loop over positions.

The loop makes one forward pass a row and position through torch's own encoder layers. There are two kinds of batch: 16
different utterances of full length, and utterances drawn with replacement from a few episodes, as an actor step does.
"""

import random
import time
from collections.abc import Callable
from functools import partial
from statistics import median

import torch
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from agentlab_runner.agents.coso.counterfactual import (
    RELEASED,
    counterfactual_weights,
    minmax_sqrt,
    nullified,
    zeroed_ids,
)
from agentlab_runner.agents.coso.scm import ScmNetwork
from benchmarks.figures import Figure

ROWS, LENGTH, REPEATS = 16, 70, 7

TYPES = ("DUAL_POINT", "TYPE", "PRESS_HOME", "PRESS_BACK", "PRESS_ENTER", "STATUS_TASK_COMPLETE", "TASK_IMPOSSIBLE")
QUERIES = (
    "best buy",
    "razer kraken",
    "usb-c to usb-b cable",
    "alarm at 6 am",
    "weather in paris",
    "dell alienware monitor",
)


def utterance(rng: random.Random) -> tuple[str, int]:
    """An AitW action text and its class: mostly taps, each at its own place, as a policy says them."""
    kind = rng.choices(range(len(TYPES)), weights=(60, 14, 4, 8, 8, 5, 1))[0]
    plan = ", ".join(rng.choices(TYPES, weights=(60, 14, 4, 8, 8, 5, 1), k=rng.randint(1, 3)))
    unused = "[-1.0, -1.0]"
    point = f"[{rng.uniform(0.05, 0.95):.4f}, {rng.uniform(0.05, 0.95):.4f}]" if kind == 0 else unused
    text = rng.choice(QUERIES) if kind == 1 else ""
    return (
        f'Action Plan: [{plan}] Action Decision: "action_type": "{TYPES[kind]}", "touch_point": "{point}", '
        f'"lift_point": "{point}", "typed_text": "{text}"'
    ), kind


def tokenizer(texts: list[str]) -> PreTrainedTokenizerFast:
    """Subwords within words and numbers, punctuation apart: about 70 tokens an action."""
    core = Tokenizer(models.BPE(unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Split(Regex(r"[A-Za-z]+|\d{1,2}|[^A-Za-z0-9]"), "isolated")]
    )
    core.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=600, special_tokens=["<pad>", "</s>", "<unk>"]))
    return PreTrainedTokenizerFast(tokenizer_object=core, pad_token="<pad>", eos_token="</s>", unk_token="<unk>")


def batch(rows: int, length: int, distinct: bool) -> tuple[Tensor, Tensor, Tensor, PreTrainedTokenizerFast]:
    """ids and mask [rows, length], labels [rows], tokenizer.

    `distinct`: every row another utterance of the full length. Else like a batch of an actor step: lengths as they
    come, and repeats, since it is drawn with replacement from the steps of a few episodes.
    """
    rng = random.Random(0)
    corpus = [utterance(rng) for _ in range(3000)]
    words = tokenizer([text for text, _ in corpus])
    encoded = {(*words.encode(text), words.eos_token_id): kind for text, kind in corpus}
    full = [ids for ids in encoded if len(ids) == length]
    shorter = [ids for ids in encoded if len(ids) <= length]
    chosen = full[:rows] if distinct else [full[0], *rng.choices(shorter[: 2 * rows], k=rows - 1)]
    if len(chosen) < rows:
        raise ValueError(f"only {len(chosen)} utterances of the corpus have {length} tokens; choose another length")
    padded = torch.full((rows, length), words.pad_token_id)
    for row, ids in zip(padded, chosen, strict=True):
        row[: len(ids)] = torch.tensor(ids)
    return padded, padded != words.pad_token_id, torch.tensor([encoded[ids] for ids in chosen]), words


class ModuleScm(nn.Module):
    """The same network out of torch's own encoder layers, sequence first as in the release."""

    def __init__(self, scm: ScmNetwork) -> None:
        super().__init__()
        self.scm = scm
        width = scm.classifier.in_features
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(width, scm.heads, 4 * width, activation="gelu") for _ in scm.encoder_layers
        ).eval()
        self.layers.load_state_dict(scm.encoder_layers.state_dict())

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        own, places = self.scm, torch.arange(ids.shape[1], device=ids.device)
        embedded = (
            own.embeddings(ids) + own.position_embeddings(places) + own.token_type_embeddings(torch.zeros_like(ids))
        )
        x = own.LayerNorm(embedded).transpose(0, 1)
        for layer in self.layers:
            x = layer(x, src_key_padding_mask=~mask)
        x = x.transpose(0, 1) * mask[..., None]
        logits: Tensor = own.classifier(x.sum(dim=1) / mask.sum(dim=1, keepdim=True))
        return logits


@torch.no_grad()
def loop(scm: nn.Module, ids: Tensor, mask: Tensor, labels: Tensor, zeroed: Tensor, unk_id: int) -> Tensor:
    """B [B, L], one forward pass a row and position."""
    effects = []
    for row, own, label in zip(ids[:, None], mask[:, None], labels.tolist(), strict=True):
        p0 = scm(row, own).softmax(dim=1)[0, label]
        for i in range(row.shape[1]):
            changed = nullified(row, torch.tensor([i], device=ids.device), RELEASED.window, unk_id)
            effects.append((p0 - scm(changed, own).softmax(dim=1)[0, label]).abs())
    found = torch.stack(effects).view(ids.shape)
    return minmax_sqrt(found.masked_fill(torch.isin(ids, zeroed), 0.0), mask)


def batched(scm: ScmNetwork, ids: Tensor, mask: Tensor, labels: Tensor, zeroed: Tensor, unk_id: int) -> Tensor:
    return counterfactual_weights(scm, ids, mask, labels, zeroed=zeroed, unk_id=unk_id)


def seconds(run: Callable[[], Tensor]) -> tuple[float, Tensor]:
    began = time.perf_counter()
    out = run()
    return time.perf_counter() - began, out


def measure(quick: bool = False) -> list[Figure]:
    """Times of both forms on the same batches, in turns so that both meet the same load, and how far apart they are.

    The ratio is the median over the turns.

    The square root magnifies float32's rounding near 0 in either form, so equality is judged in float64.
    """
    figures: list[Figure] = []
    for name, distinct in (("all distinct", True), ("drawn with replacement", False)):
        torch.manual_seed(0)
        ids, mask, labels, words = batch(4 if quick else ROWS, LENGTH, distinct)
        scm = ScmNetwork(len(words), len(TYPES) + 1).eval()
        naive = ModuleScm(scm)
        inputs = (ids, mask, labels, zeroed_ids(words), int(words.unk_token_id))
        batched(scm, *inputs), naive(ids[:1], mask[:1])  # warm
        slow, fast = [], []
        for _ in range(1 if quick else REPEATS):
            took, plainly = seconds(partial(loop, naive, *inputs))
            slow.append(took)
            took, quickly = seconds(partial(batched, scm, *inputs))
            fast.append(took)
        exact = (batched(scm.double(), *inputs) - loop(naive.double(), *inputs)).abs().max()
        details = {
            "rows": len(ids),
            "distinct_rows": len(torch.unique(ids, dim=0)),
            "zeroed_tokens": float((torch.isin(ids, inputs[3]) & mask).sum() / mask.sum()),
            "loop_seconds": median(slow),
            "batched_seconds": median(fast),
            "max_difference_float32": float((quickly - plainly).abs().max()),
            "threads": torch.get_num_threads(),
        }
        about = f"{len(ids)} rows of {LENGTH} tokens, {name}"
        figures += [
            {
                "figure": f"loop / batched time, {about}",
                "measured": median(a / b for a, b in zip(slow, fast, strict=True)),
                "unit": "x",
                "bar": ">= 10",
                "details": details,
            },
            {
                "figure": f"largest difference of a weight, {about}",
                "measured": float(exact),
                "unit": "",
                "bar": "<= 1e-5",
                "details": {},
            },
        ]
    return figures
