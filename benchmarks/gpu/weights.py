"""The released recipe's counterfactual weights, batched: against one pass a row and position, and against the CPU."""

from collections.abc import Iterator

import torch

from agentlab_runner.agents.coso.counterfactual import counterfactual_weights, zeroed_ids
from agentlab_runner.agents.coso.scm import ScmNetwork
from benchmarks.counterfactual import LENGTH, ROWS, TYPES, ModuleScm, batch, loop
from benchmarks.figures import Figure
from benchmarks.gpu.device import Lap, exact, figure

CHUNKS = (32, 256, 2048)
"""Rows in one call of the classifier; 32 is what agents use."""


def check(device: torch.device, quick: bool) -> Iterator[Figure]:
    """In float64 for equality: the recipe's square root magnifies rounding near 0."""
    exact()
    torch.manual_seed(0)
    ids, mask, labels, words = batch(2 if quick else ROWS, LENGTH, distinct=True)
    scm = ScmNetwork(len(words), len(TYPES) + 1).eval()
    zeroed, unk = zeroed_ids(words), int(words.unk_token_id)
    right = counterfactual_weights(scm.double(), ids, mask, labels, zeroed=zeroed, unk_id=unk)
    ids, mask, labels, zeroed = (tensor.to(device) for tensor in (ids, mask, labels, zeroed))
    own = counterfactual_weights(scm.to(device), ids, mask, labels, zeroed=zeroed, unk_id=unk).cpu()
    apart = float((own - right).abs().max())
    yield figure("largest difference of a weight, against the CPU, float64", apart, bar="<= 1e-5")
    scm.float()
    seconds = {}
    for chunk in CHUNKS[:1] if quick else CHUNKS:
        for _ in range(2):  # the first chooses kernels
            lap = Lap(device)
            counterfactual_weights(scm, ids, mask, labels, zeroed=zeroed, unk_id=unk, chunk_size=chunk)
            seconds[chunk] = lap.read()
        yield figure(f"{len(ids)} utterances, {chunk} rows a call", 1000 * seconds[chunk], "ms")
    lap = Lap(device)
    loop(ModuleScm(scm).to(device), ids, mask, labels, zeroed, unk)
    ratio = lap.read() / seconds[CHUNKS[0]]
    yield figure(f"loop / batched time, {len(ids)} utterances, {CHUNKS[0]} rows a call", ratio, "x")
