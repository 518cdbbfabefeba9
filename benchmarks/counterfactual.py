"""Counterfactual weights (released recipe) of 16 realistic AitW utterances: batched form against a loop over rows and positions.

Run: python -m benchmarks.counterfactual     (prints both times, their ratio, and how far the two results differ)
"""

import argparse
import json
import random
import time
from collections.abc import Callable

import torch
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from agents.coso.counterfactual import (
    RELEASED,
    causal_effects,
    counterfactual_weights,
    minmax_sqrt,
    nullified,
    zeroed_ids,
)
from agents.coso.scm import ScmNetwork

TYPES = ("DUAL_POINT", "TYPE", "PRESS_HOME", "PRESS_BACK", "PRESS_ENTER", "STATUS_TASK_COMPLETE", "TASK_IMPOSSIBLE")
QUERIES = ("best buy", "razer kraken", "usb-c to usb-b cable", "alarm at 6 am", "weather in paris", "dell alienware monitor")


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
    """Subwords within words and numbers, punctuation runs apart: about 70 tokens an action, as Auto-UI's tokenizer has."""
    core = Tokenizer(models.BPE(unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Split(Regex(r"[A-Za-z]+|\d{1,2}|[^A-Za-z0-9]"), "isolated")]
    )
    core.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=600, special_tokens=["<pad>", "</s>", "<unk>"]))
    return PreTrainedTokenizerFast(tokenizer_object=core, pad_token="<pad>", eos_token="</s>", unk_token="<unk>")


def batch(rows: int, length: int, distinct: bool, seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor, PreTrainedTokenizerFast]:
    """ids, mask [rows, length], labels [rows], zeroed ids, tokenizer. Not `distinct`: what 16 live phones say, repeats included."""
    rng = random.Random(seed)
    corpus = [utterance(rng) for _ in range(2000)]
    words = tokenizer([text for text, _ in corpus])
    fitting = [(e, k) for t, k in corpus if (e := [*words.encode(t), words.eos_token_id]) and length - 15 <= len(e) <= length]
    full = [pair for pair in fitting if len(pair[0]) == length]
    pool = full[:rows] if distinct else [full[0], *rng.choices(fitting[: 3 * rows // 4], k=rows - 1)]
    if len(pool) < rows:
        raise SystemExit(f"only {len(pool)} utterances have {length} tokens; choose another --length")
    ids = torch.full((rows, length), words.pad_token_id)
    for i, (encoded, _) in enumerate(pool):
        ids[i, : len(encoded)] = torch.tensor(encoded)
    mask = ids != words.pad_token_id
    return ids, mask, torch.tensor([k for _, k in pool]), zeroed_ids(words), words


@torch.inference_mode()
def loop(scm: ScmNetwork, ids: Tensor, mask: Tensor, labels: Tensor, zeroed: Tensor, unk_id: int) -> Tensor:
    """Effects [B, L], one forward pass a row and position."""
    effects = torch.zeros(ids.shape, dtype=scm.classifier.weight.dtype)
    for b in range(len(ids)):
        row, own = ids[b : b + 1], mask[b : b + 1]
        p0 = scm(row, own).softmax(dim=1)[0, labels[b]]
        for i in range(row.shape[1]):
            changed = nullified(row, torch.tensor([i]), RELEASED.window, unk_id)
            p = scm(changed, own).softmax(dim=1)[0, labels[b]]
            effects[b, i] = 0.0 if row[0, i] in zeroed else (p0 - p).abs()
    return effects


def best_of(times: int, run: Callable[[], Tensor]) -> tuple[float, Tensor]:
    results = []
    for _ in range(times):
        began = time.perf_counter()
        out = run()
        results.append(time.perf_counter() - began)
    return min(results), out


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", type=int, default=16)
    options.add_argument("--length", type=int, default=70)
    options.add_argument("--repeats", type=int, default=3)
    options.add_argument("--threads", type=int, default=2)
    given = options.parse_args()
    torch.set_num_threads(given.threads)
    for name, distinct in (("as sampled", False), ("all rows distinct and full", True)):
        torch.manual_seed(0)
        ids, mask, labels, zeroed, words = batch(given.rows, given.length, distinct, seed=0)
        scm = ScmNetwork(len(words), 8).eval()
        fixed = {"zeroed": zeroed, "unk_id": words.unk_token_id}

        def batched() -> Tensor:
            return counterfactual_weights(scm, ids, mask, labels, **fixed)  # noqa: B023

        batched()
        fast, _ = best_of(given.repeats, batched)
        slow, naive = best_of(given.repeats, lambda: minmax_sqrt(loop(scm, ids, mask, labels, **fixed), mask))  # noqa: B023
        float32 = float((causal_effects(scm, ids, mask, labels, **fixed) - loop(scm, ids, mask, labels, **fixed)).abs().max())
        scm.double()  # sqrt magnifies float32 rounding near 0, so equality of B is judged in float64
        difference = batched() - minmax_sqrt(loop(scm, ids, mask, labels, **fixed), mask)
        print(
            json.dumps(
                {
                    "batch": name,
                    "distinct_rows": len(torch.unique(ids, dim=0)),
                    "zeroed_tokens": round(float((torch.isin(ids, zeroed) & mask).sum() / mask.sum()), 3),
                    "loop_s": round(slow, 3),
                    "batched_s": round(fast, 4),
                    "ratio": round(slow / fast, 1),
                    "max_difference_B_float64": float(difference.abs().max()),
                    "max_difference_effect_float32": float32,
                    "threads": given.threads,
                }
            )
        )
        assert naive.shape == ids.shape


if __name__ == "__main__":
    main()
