"""The five of 10^5 records most like a query and available by then, from a memory and from faiss's flat index."""

import time
from collections.abc import Callable, Sequence

import faiss
import numpy as np
from numpy.typing import NDArray

from agentlab_runner.agents.memory import nearest
from agentlab_runner.agents.memory.embedders import Hashed, unit
from agentlab_runner.agents.memory.store import Memory, Record
from benchmarks.figures import Figure, spread

RECORDS, WIDTH, BEST = 100_000, 384, 5
TOGETHER = 16
"""Queries of a batch of episodes."""
ROUNDS = 15
BAR = "<= 2.5"

Ids = list[list[int]]
Search = Callable[[NDArray[np.float32], Sequence[float]], Ids]


def measure(quick: bool = False) -> list[Figure]:
    """Seconds of one query and of a batch, with faiss and without, as multiples of faiss's; and whether ids agree."""
    chance = np.random.default_rng(0)
    vectors = unit(chance.standard_normal((RECORDS, WIDTH)))
    gates = chance.random(RECORDS)
    memory = Memory(Hashed())  # its own vectors are not used
    memory.add(*(Record(f"{row:06}", "news", "", {}, gate) for row, gate in enumerate(gates)), vectors=vectors)
    index = faiss.IndexFlatIP(WIDTH)
    index.add(vectors)

    def ours(queries: NDArray[np.float32], times: Sequence[float]) -> Ids:
        return [[int(hit.record.id) for hit in hits] for hits in memory.search(queries, BEST, now=times)]

    def alone(queries: NDArray[np.float32], times: Sequence[float]) -> Ids:
        before, nearest.FAISS_FROM = nearest.FAISS_FROM, RECORDS + 1
        try:
            return ours(queries, times)
        finally:
            nearest.FAISS_FROM = before

    def theirs(queries: NDArray[np.float32], times: Sequence[float]) -> Ids:
        found = np.empty((len(queries), BEST), np.int64)
        for now in set(times):
            asking = [query for query, time in enumerate(times) if time == now]
            seen = faiss.IDSelectorBitmap(np.packbits(gates <= now, bitorder="little"))
            found[asking] = index.search(queries[asking], BEST, params=faiss.SearchParameters(sel=seen))[1]
        return [[row for row in rows if row >= 0] for rows in found.tolist()]

    cases = {
        "one query, half of them available": [0.5],
        "one query, a twentieth available": [0.05],
        f"{TOGETHER} queries, half of them available": [0.5] * TOGETHER,
        f"{TOGETHER} queries at {TOGETHER} times": np.linspace(0, 1, TOGETHER).tolist(),
    }
    searches: dict[str, Search] = {"ours": ours, "NumPy alone": alone, "faiss": theirs}
    seconds: dict[tuple[str, str], list[float]] = {}
    asked = equal = 0
    for _ in range(3 if quick else ROUNDS):
        for case, times in cases.items():
            queries = unit(chance.standard_normal((len(times), WIDTH)))
            found = {}
            for name, search in searches.items():
                began = time.perf_counter()
                found[name] = search(queries, times)
                seconds.setdefault((case, name), []).append(time.perf_counter() - began)
            asked += len(times)
            equal += sum(one == other == third for one, other, third in zip(*found.values(), strict=True))
    figures = [
        _figure(f"top {BEST} of {RECORDS} x {WIDTH}, {case}, {name} / faiss flat", seconds, case, name)
        for case, times in cases.items()
        for name in (("ours", "NumPy alone") if len(times) == 1 else ("ours",))  # several are NumPy's in any case
    ]
    share = 100 * equal / asked
    same = Figure(figure="queries answered with the same ids", measured=share, unit="%", bar=">= 100", details={})
    return [*figures, same]


def _figure(title: str, seconds: dict[tuple[str, str], list[float]], case: str, name: str) -> Figure:
    own, faiss_own = spread(seconds[case, name]), spread(seconds[case, "faiss"])
    details = {"seconds": own, "faiss_seconds": faiss_own}
    return Figure(figure=title, measured=own["median"] / faiss_own["median"], unit="x", bar=BAR, details=details)
