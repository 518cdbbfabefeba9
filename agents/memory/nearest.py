"""Exact search: the rows most like a query, the same ones whoever does the multiplying.

NumPy and faiss add up a product in different orders, and so does either of them for another number of rows. Their
scores therefore only choose candidates, with a margin that is wider than float32 can err; what is told, and what
decides the order, is computed again for each candidate by itself.
"""

from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

FAISS_FROM = 100_000
"""Rows from which faiss, if it is there, is asked where it is the faster one."""
FEW = 4
"""Queries from which one product of matrices is the faster one (benchmarks/memory.py)."""
MOST_SCORES = 2**24
"""Held at once."""
SPARE = 16
"""Rows that faiss gives beyond those wanted, to see that no candidate was left out."""
AT_ONCE = 4096
"""Candidates scored again at once."""

Found = tuple[NDArray[np.int64], NDArray[np.float32]]
"""Rows and their cosines, in no order; all that may be among the best."""


def nearest(
    vectors: NDArray[np.float32], queries: NDArray[np.float32], visible: Sequence[NDArray[np.bool_]], k: int
) -> list[Found]:
    """For every query its `k` most similar visible rows, and those as similar as the last of them.

    Args:
        vectors: [n, d] unit rows, contiguous.
        queries: [m, d] unit rows.
        visible: m masks [n]; queries that share one share the work.
    """
    margin = 2.5 * (vectors.shape[1] + 8) * 2.0**-24  # twice the bound of a float32 product of unit vectors, and a bit
    candidates: list[NDArray[np.int64] | None] = [None] * len(queries)
    if len(vectors) >= FAISS_FROM and has_faiss():
        for group in _sharing(visible):
            if len(group) < FEW:
                told = _by_faiss(vectors, queries[group], visible[group[0]], k, margin)
                for query, rows in zip(group, told, strict=True):
                    candidates[query] = rows
    rest = [query for query, rows in enumerate(candidates) if rows is None]
    step = max(1, MOST_SCORES // max(1, len(vectors)))
    for start in range(0, len(rest), step):
        block = rest[start : start + step]
        for query, scores in zip(block, queries[block] @ vectors.T, strict=True):
            candidates[query] = _best(scores, visible[query], k, margin)
    return [_scored(vectors, queries[query], rows, k) for query, rows in enumerate(candidates) if rows is not None]


@cache
def has_faiss() -> bool:
    return find_spec("faiss") is not None


def _sharing(visible: Sequence[NDArray[np.bool_]]) -> list[list[int]]:
    groups: dict[int, list[int]] = {}
    for query, mask in enumerate(visible):
        groups.setdefault(id(mask), []).append(query)
    return list(groups.values())


def _best(scores: NDArray[np.float32], visible: NDArray[np.bool_], k: int, margin: float) -> NDArray[np.int64]:
    if not visible.all():
        scores[~visible] = -np.inf
    if len(scores) <= k:
        return np.flatnonzero(visible)
    least = np.partition(scores, len(scores) - k)[len(scores) - k]
    return np.flatnonzero((scores >= least - margin) & visible)


def _by_faiss(
    vectors: NDArray[np.float32], queries: NDArray[np.float32], visible: NDArray[np.bool_], k: int, margin: float
) -> list[NDArray[np.int64] | None]:
    """Candidates of queries that see the same rows; None for a query with more of them than faiss was asked for."""
    import faiss

    asked = k + SPARE
    scores, rows = np.empty((len(queries), asked), np.float32), np.empty((len(queries), asked), np.int64)
    bits = np.packbits(visible, bitorder="little")
    selector: Any = None if visible.all() else faiss.IDSelectorBitmap(bits)
    queries = np.ascontiguousarray(queries)
    asking, held, *answer = (faiss.swig_ptr(array) for array in (queries, vectors, scores, rows))
    count, width = vectors.shape
    faiss.knn_inner_product(asking, held, width, len(queries), count, asked, *answer, selector)  # no index, no copy
    found: list[NDArray[np.int64] | None] = []
    for told, row in zip(scores, rows, strict=True):
        whole = row[-1] < 0 or told[-1] < told[k - 1] - margin
        found.append(row[(row >= 0) & (told >= told[k - 1] - margin)] if whole else None)
    return found


def _scored(vectors: NDArray[np.float32], query: NDArray[np.float32], rows: NDArray[np.int64], k: int) -> Found:
    """The cosines of candidates, each added up by itself in float64, and of these the best."""
    wide = query.astype(np.float64)
    parts = [(vectors[rows[at : at + AT_ONCE]] * wide).sum(axis=1) for at in range(0, len(rows), AT_ONCE)]
    cosines = np.concatenate(parts).astype(np.float32) if parts else np.zeros(0, np.float32)
    if len(rows) > k:
        kept = cosines >= np.partition(cosines, len(cosines) - k)[len(cosines) - k]
        rows, cosines = rows[kept], cosines[kept]
    return rows, cosines
