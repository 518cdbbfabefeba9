"""Vectors from any server that speaks OpenAI's /embeddings."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray

from agentlab_runner.agents.memory.embedders import Embedder, unit
from agentlab_runner.agents.memory.settings import EndpointSettings
from agentlab_runner.runners.errors import RunFailed, UserError

Ask = Callable[[str, Mapping[str, Any]], Any]
"""Sends a body to a path behind the server's address, and gives what the answer's JSON holds."""


class Endpoint(Embedder):
    """The vectors a server gives, made unit; every text is paid for once as long as it is among those kept.

    Args:
        ask: how the server is asked; None: once, over httpx.
        settings: the keys of `EndpointSettings`.
    """

    def __init__(self, ask: Ask | None = None, **settings: Any) -> None:
        super().__init__()
        self.settings = EndpointSettings(**settings)
        self._ask = ask or self._once

    @property
    def name(self) -> str:
        return self.settings.model + (f"-{self.settings.dimensions}" if self.settings.dimensions else "")

    def vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        step = self.settings.batch
        return np.concatenate([self._batch(texts[at : at + step]) for at in range(0, len(texts), step)])

    def _batch(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Raises RunFailed for an answer that is not one vector a text."""
        said = [text.encode(errors="replace").decode() for text in texts]
        body: dict[str, Any] = {"model": self.settings.model, "input": said, "encoding_format": "float"}
        if self.settings.dimensions:
            body["dimensions"] = self.settings.dimensions
        answer = self._ask("embeddings", body)
        try:
            rows = {int(entry["index"]): entry["embedding"] for entry in answer["data"]}
            found = np.array([rows[at] for at in range(len(texts))], np.float64)
        except (KeyError, TypeError, ValueError, OverflowError):
            found = np.zeros(0)
        if found.ndim != 2 or not found.shape[1] or not np.isfinite(found).all():
            raise RunFailed(
                f"{self.settings.base_url} did not answer with one vector of numbers a text; check that it serves "
                f"{self.settings.model!r} for embeddings"
            )
        return unit(found)

    def _once(self, path: str, body: Mapping[str, Any]) -> Any:
        url = f"{self.settings.base_url.rstrip('/')}/{path}"
        key = os.environ.get(self.settings.key_env, "")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        try:
            answer = httpx.post(url, json=body, headers=headers, timeout=self.settings.timeout)
        except httpx.HTTPError as fault:
            raise RunFailed(f"{url} cannot be reached ({type(fault).__name__}); check its base_url") from None
        if answer.status_code in (401, 403):
            raise UserError(
                f"{url} refuses the key ({answer.status_code}); put the right one into the environment variable "
                f"{self.settings.key_env}, or use the embedder hashed, which needs none"
            )
        if answer.status_code != 200:
            raise RunFailed(f"{url} answered {answer.status_code}; check the embedder's model and base_url")
        try:
            return answer.json()
        except ValueError:
            raise RunFailed(f"{url} did not answer in JSON; base_url is the /v1 of such a server") from None
