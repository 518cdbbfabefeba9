"""Exact search: the same rows from NumPy, from faiss and from arithmetic without rounding."""

import math

import numpy as np
import pytest

from agentlab_runner.agents.memory import nearest as module
from agentlab_runner.agents.memory.embedders import unit
from agentlab_runner.agents.memory.nearest import has_faiss, nearest

faiss = pytest.mark.skipif(not has_faiss(), reason="pip install faiss-cpu")


def exactly(vectors, query, visible, k):
    """Rows and cosines of the k best and their equals; every product is exact, every sum rounded once."""
    told = {
        row: float(np.float32(math.fsum(float(a) * float(b) for a, b in zip(vectors[row], query, strict=True))))
        for row in np.flatnonzero(visible).tolist()
    }
    least = sorted(told.values(), reverse=True)[:k][-1] if told else 0
    return {row: cosine for row, cosine in told.items() if cosine >= least}


def drawn(seed, count, width, ties):
    """Rows of which many are equal, and others differ in the last digits alone."""
    chance = np.random.default_rng(seed)
    rows = chance.standard_normal((max(1, count // ties), width))
    rows = np.concatenate([rows] * ties)[:count]
    rows += np.where(chance.random((len(rows), 1)) < 0.3, chance.standard_normal(rows.shape) * 1e-7, 0)
    vectors = unit(rows)
    near = vectors[chance.integers(len(vectors), size=7)] + chance.standard_normal((7, width)) * 0.01
    return vectors, unit(near), [chance.random(len(vectors)) < share for share in (1, 1, 0.5, 0.5, 0.02, 0, 0.9)]


@pytest.mark.parametrize("engine", ["numpy", pytest.param("faiss", marks=faiss)])
@pytest.mark.parametrize(("count", "width", "ties"), [(1, 8, 1), (50, 3, 10), (400, 64, 1), (400, 48, 40), (9, 385, 3)])
def test_rows_and_cosines_are_those_of_exact_arithmetic(monkeypatch, engine, count, width, ties):
    monkeypatch.setattr(module, "FAISS_FROM", 1 if engine == "faiss" else 10**9)
    monkeypatch.setattr(module, "MOST_SCORES", 1000)
    monkeypatch.setattr(module, "SMALL", 5)
    monkeypatch.setattr(module, "LARGE", 7)
    vectors, queries, visible = drawn(count, count, width, ties)
    for k in (1, 5, 60):
        alone = [nearest(vectors, queries[at : at + 1], visible[at : at + 1], k)[0] for at in range(len(queries))]
        few = [one for at in (0, 3) for one in nearest(vectors, queries[at : at + 3], visible[at : at + 3], k)]
        for found in (alone, [*few, alone[-1]], nearest(vectors, queries, visible, k)):
            for query, mask, (rows, cosines) in zip(queries, visible, found, strict=True):
                assert dict(zip(rows.tolist(), cosines.tolist(), strict=True)) == exactly(vectors, query, mask, k)


@faiss
def test_faiss_is_asked_where_it_is_the_faster_one(monkeypatch):
    asked = []
    by_faiss = module._by_faiss
    monkeypatch.setattr(module, "_by_faiss", lambda *args: asked.append(len(args[0])) or by_faiss(*args))
    monkeypatch.setattr(module, "FAISS_FROM", 100)
    vectors, queries, visible = drawn(0, 100, 16, 1)
    nearest(vectors, queries, visible, 3)
    nearest(vectors[:99], queries[:1], [visible[0][:99]], 3)
    assert asked == []
    nearest(vectors, queries[:1], visible[:1], 3)
    assert asked == [100]


@faiss
def test_equals_beyond_what_faiss_was_asked_for_are_found(monkeypatch):
    monkeypatch.setattr(module, "FAISS_FROM", 1)
    vectors = np.repeat(unit(np.eye(2, 8)), 100, axis=0)
    ((rows, cosines),) = nearest(vectors, vectors[:1], [np.ones(200, bool)], 2)
    assert rows.tolist() == list(range(100))
    assert set(cosines.tolist()) == {1.0}


def test_a_cosine_does_not_depend_on_how_many_are_scored_with_it():
    vectors, queries, _ = drawn(3, 300, 384, 1)
    seen = np.ones(300, bool)
    ((rows, cosines),) = nearest(vectors, queries[:1], [seen], 300)
    for row, cosine in zip(rows, cosines, strict=True):
        ((_, alone),) = nearest(vectors[row : row + 1], queries[:1], [seen[:1]], 1)
        assert alone[0] == cosine
