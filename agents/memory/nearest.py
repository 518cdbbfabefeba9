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
"""Rows from which faiss, if it is there, is asked for one query; NumPy is the faster one for several, whose rows it
reads once (benchmarks/memory.py)."""
FEW = 4
"""Queries up to which products with a vector are faster than products of matrices."""
SMALL, LARGE = 512, 2**15
"""Rows that few queries are multiplied with at once, so that they stay in the cache and threads have nothing to share;
and many, whose threads are to meet seldom: they spin where others compute, too."""
MOST_SCORES = 2**24
"""Held at once."""
SPARE = 16
"""Rows that faiss gives beyond those wanted, to see that no candidate was left out."""

Found = tuple[NDArray[np.int64], NDArray[np.float32]]
"""Rows and their cosines, in no order; all that may be among the best."""


def nearest(
    vectors: NDArray[np.float32], queries: NDArray[np.float32], visible: Sequence[NDArray[np.bool_]], k: int
) -> list[Found]:
    """For every query its `k` most similar visible rows, and those as similar as the last of them.

    Args:
        vectors: [n, d] unit rows, contiguous.
        queries: [m, d] unit rows.
        visible: m masks [n].
    """
    margin = 2.5 * (vectors.shape[1] + 8) * 2.0**-24  # twice the bound of a float32 product of unit vectors, and a bit
    if len(queries) == 1 and len(vectors) >= FAISS_FROM and has_faiss():
        rows = _by_faiss(vectors, queries, visible[0], k, margin)
        if rows is not None:
            return [_scored(vectors, queries[0], rows, k)]
    found: list[Found] = []
    step = max(1, MOST_SCORES // max(1, len(vectors)))
    for start in range(0, len(queries), step):
        asked, masks = queries[start : start + step], visible[start : start + step]
        seen = np.flatnonzero(np.logical_or.reduce(masks))
        for query, mask, scores in zip(asked, masks, _products(vectors, asked, seen), strict=True):
            found.append(_scored(vectors, query, seen[_best(scores, mask[seen], k, margin)], k))
    return found


@cache
def has_faiss() -> bool:
    return find_spec("faiss") is not None


def _products(
    vectors: NDArray[np.float32], queries: NDArray[np.float32], rows: NDArray[np.int64]
) -> NDArray[np.float32]:
    """[m, rows] of queries with these rows, which are gathered piece by piece."""
    scores = np.empty((len(queries), len(rows)), np.float32)
    few = len(queries) < FEW
    step = SMALL if few else LARGE
    for at in range(0, len(rows), step):
        part = rows[at : at + step]
        whole = part[-1] - part[0] + 1 == len(part)
        gathered = vectors[part[0] : part[-1] + 1] if whole else vectors[part]
        if few:
            for query, row in zip(queries, scores, strict=True):
                np.dot(gathered, query, out=row[at : at + step])
        else:
            np.matmul(queries, gathered.T, out=scores[:, at : at + step])
    return scores


def _best(scores: NDArray[np.float32], visible: NDArray[np.bool_], k: int, margin: float) -> NDArray[np.int64]:
    if not visible.all():
        scores[~visible] = -np.inf
    if len(scores) <= k:
        return np.flatnonzero(visible)
    least = np.partition(scores, len(scores) - k)[len(scores) - k]
    return np.flatnonzero((scores >= least - margin) & visible)


def _by_faiss(
    vectors: NDArray[np.float32], query: NDArray[np.float32], visible: NDArray[np.bool_], k: int, margin: float
) -> NDArray[np.int64] | None:
    """Candidates of one query [1, d]; None if there are more of them than faiss was asked for."""
    import faiss

    (count, width), asked = vectors.shape, k + SPARE
    query = np.ascontiguousarray(query)
    scores, rows = np.empty(asked, np.float32), np.empty(asked, np.int64)
    bits = np.packbits(visible, bitorder="little")
    selector: Any = None if visible.all() else faiss.IDSelectorBitmap(bits)
    asking, held, *answer = (faiss.swig_ptr(array) for array in (query, vectors, scores, rows))
    faiss.knn_inner_product(asking, held, width, 1, count, asked, *answer, selector)  # on these rows: no index, no copy
    near = scores >= scores[k - 1] - margin
    return rows[near & (rows >= 0)] if rows[-1] < 0 or not near[-1] else None


def _scored(vectors: NDArray[np.float32], query: NDArray[np.float32], rows: NDArray[np.int64], k: int) -> Found:
    """The cosines of candidates, each added up by itself in float64, and of these the best."""
    wide = query.astype(np.float64)
    parts = [(vectors[rows[at : at + SMALL]] * wide).sum(axis=1) for at in range(0, len(rows), SMALL)]
    cosines = np.concatenate(parts).astype(np.float32) if parts else np.zeros(0, np.float32)
    if len(rows) > k:
        kept = cosines >= np.partition(cosines, len(cosines) - k)[len(cosines) - k]
        rows, cosines = rows[kept], cosines[kept]
    return rows, cosines
