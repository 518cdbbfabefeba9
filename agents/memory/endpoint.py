"""Vectors from any server that speaks OpenAI's /embeddings."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agentlab_runner.agents.llm.http import Answer, Http, Words
from agentlab_runner.agents.memory.embedders import Embedder, unit
from agentlab_runner.agents.memory.settings import EndpointSettings
from agentlab_runner.runners.errors import RunFailed

WORDS = Words(
    node="agent.memory.embedder",
    url="agent.memory.embedder.base_url",
    docs="docs/prompting.md",
    instead=", or use the embedder Hashed, which needs none",
)


class Endpoint(Embedder):
    """The vectors a server gives, made unit; a text is sent once as long as its vector is among those kept.

    Args:
        settings: the keys of `EndpointSettings`.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__()
        self.settings = EndpointSettings(**settings)
        self._http = Http(self.settings.base_url, self.settings.key_env, self.settings, WORDS)

    @property
    def name(self) -> str:
        return self.settings.name + (f"-{self.settings.dimensions}" if self.settings.dimensions else "")

    def vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Raises UserError if the server refuses the key; RunFailed if it cannot be reached, or gives no vectors."""
        step = self.settings.batch
        parts = [self._batch(texts[at : at + step]) for at in range(0, len(texts), step)]
        if len({part.shape[1] for part in parts}) > 1:
            raise RunFailed(f"{self.settings.base_url} gave vectors of several lengths; {self._fix}")
        return unit(np.concatenate(parts))

    def _batch(self, texts: Sequence[str]) -> NDArray[np.float64]:
        said = [text.encode(errors="replace").decode() for text in texts]
        body: dict[str, Any] = {"model": self.settings.name, "input": said, "encoding_format": "float"}
        if self.settings.dimensions:
            body["dimensions"] = self.settings.dimensions
        return self._http.ask("embeddings", body, lambda answer: self._read(answer, len(texts)))

    def _read(self, answer: Answer, count: int) -> NDArray[np.float64]:
        content = answer.json()
        try:
            rows = {int(entry["index"]): entry["embedding"] for entry in content["data"]}
            vectors = np.array([rows[at] for at in range(count)], np.float64)
        except (KeyError, TypeError, ValueError, OverflowError):
            vectors = np.zeros(0)
        if vectors.ndim != 2 or not vectors.shape[1] or not np.isfinite(vectors).all():
            raise RunFailed(f"{answer.url} did not answer with one vector of numbers a text; {self._fix}")
        return vectors

    @property
    def _fix(self) -> str:
        return f"check that it serves {self.settings.name!r} for embeddings"
