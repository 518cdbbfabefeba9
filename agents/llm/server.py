"""A server that speaks for a policy: vLLM, or what else serves OpenAI's chat completions and takes adapters as it does.

It generates; what it said is then scored here, in one forward pass. So the learner's probabilities are its own, a value
head has its states, and a server with other weights, another chat template or another image size does not go unnoticed.
"""

import os
import socket
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import torch

from agentlab_runner.agents.llm.http import Answer, Http, Refused, Words, data_uri
from agentlab_runner.agents.llm.prompts import check_seen
from agentlab_runner.agents.llm.settings import ServerSettings
from agentlab_runner.agents.llm.utterances import TokenScores, Utterance
from agentlab_runner.runners.errors import RunFailed, UserError
from agentlab_runner.runners.types import Observation

SCORED_AT_ONCE = 4
"""Utterances in one forward pass; the logits of all of them would fill a GPU."""


class ServedPolicy(Protocol):
    """What the server's side needs of a `LanguagePolicy`, under the names it has there."""

    temperature: float
    max_new_tokens: int
    eos_ids: frozenset[int]

    @property
    def sees(self) -> bool: ...
    @property
    def lora_rank(self) -> int: ...
    def decode(self, token_ids: Sequence[int]) -> str: ...
    def encode(self, text: str) -> tuple[int, ...]: ...
    def save_pretrained(self, folder: str | Path) -> None: ...
    def score(self, observations: Sequence[Observation], token_ids: Sequence[Sequence[int]]) -> TokenScores: ...


class RolloutServer:
    """The server's side of a policy with adapters, which are pushed to it whenever they have changed.

    Args:
        base: what the server calls the policy's base model, where the settings do not say.
        settings: the keys of `ServerSettings`.

    Raises:
        UserError: if the server refuses the token, or does not serve the model.
        RunFailed: if it cannot be reached.
    """

    def __init__(self, base: str, /, **settings: Any) -> None:
        self.settings = ServerSettings(**settings)
        self.url = self.settings.url.rstrip("/")
        words = Words("model.server", "model.server.url", "docs/scaling.md")
        self._http = Http(self.url, self.settings.token_env, self.settings, words)
        self.base = self.settings.model or base
        self._adapter: str | None = None
        self._pushed = 0
        self._current = False
        self._folder = self.settings.folder or tempfile.mkdtemp(prefix="agentlab-adapters-")
        served = [entry["id"] for entry in self._http.ask("models", None, Answer.json)["data"]]
        if self.base not in served:
            raise UserError(
                f"the server at {self.url} serves {', '.join(served)}, not {self.base}; start it with that model, or "
                "say what it is called there by model.server.model"
            )

    def outdated(self) -> None:
        """The policy's weights have changed, or are about to."""
        self._current = False

    def generate(
        self, policy: ServedPolicy, observations: Sequence[Observation], deterministic: bool
    ) -> list[Utterance]:
        """What the policy says, an utterance an observation; its log-probabilities are the policy's own.

        Raises:
            RunFailed: if the server cannot be reached any more, refuses the adapters, does not name tokens and their
                probabilities, or means others than the policy.
        """
        if not self._current:
            self._push(policy)
        with ThreadPoolExecutor(self.settings.parallel) as pool:
            said = list(pool.map(lambda o: self._say(policy, o, deterministic), observations))
        utterances = []
        for start in range(0, len(said), SCORED_AT_ONCE):
            part = said[start : start + SCORED_AT_ONCE]
            scores = policy.score(observations[start : start + len(part)], [ids for ids, _ in part])
            for row, (ids, claimed) in enumerate(part):
                own = scores.logprobs[row, : len(ids)]
                self._compare(scores, row, ids, claimed, policy.temperature)
                utterances.append(Utterance(policy.decode(ids), ids, tuple(own.tolist()), scores.states[row]))
        return utterances

    def _push(self, policy: ServedPolicy) -> None:
        """The server gets the adapters as they are now, under a name it has not had; the old ones it may forget."""
        name = f"agentlab-{socket.gethostname()}-{os.getpid()}-{self._pushed}"
        folder = Path(self._folder, name)
        policy.save_pretrained(folder)
        try:
            self._http.ask("load_lora_adapter", {"lora_name": name, "lora_path": str(folder)}, _text)
        except Refused as fault:
            raise RunFailed(
                f"the server at {self.url} refuses the adapters in {folder} ({fault}); start it with --enable-lora, "
                f"--max-lora-rank of at least {policy.lora_rank} and VLLM_ALLOW_RUNTIME_LORA_UPDATING=1, and set "
                "model.server.folder to one that it sees too"
            ) from fault
        if self._adapter is not None:
            self._http.ask("unload_lora_adapter", {"lora_name": self._adapter}, _text)
        self._adapter, self._current = name, True
        self._pushed += 1

    def _say(
        self, policy: ServedPolicy, observation: Observation, deterministic: bool
    ) -> tuple[tuple[int, ...], tuple[float, ...]]:
        """Ids of one utterance, and the log-probabilities the server gives them."""
        body = {
            "model": self._adapter,
            "messages": [{"role": "user", "content": _content(observation, policy.sees)}],
            "max_tokens": policy.max_new_tokens,
            "temperature": 0.0 if deterministic else policy.temperature,
            "stop_token_ids": sorted(policy.eos_ids),
            "logprobs": True,
            "return_token_ids": True,
            # a server may have defaults of its own for these
            "top_p": 1.0,
            "top_k": -1,
            "min_p": 0.0,
            "repetition_penalty": 1.0,
        }
        if not deterministic:
            body["seed"] = int(torch.randint(2**31, ()))
        choice = self._http.ask("chat/completions", body, Answer.json)["choices"][0]
        ids, told = choice.get("token_ids"), (choice.get("logprobs") or {}).get("content")
        if not ids or not told or len(ids) != len(told):
            raise RunFailed(
                f"the server at {self.url} answered without token ids or without their log-probabilities; use vLLM "
                "0.10.2 or newer, or model/server=null"
            )
        if choice.get("finish_reason") == "stop" and ids[-1] not in policy.eos_ids:
            return (*ids, policy.encode("")[-1]), tuple(entry["logprob"] for entry in told)
        return tuple(ids), tuple(entry["logprob"] for entry in told)

    def _compare(
        self, scores: TokenScores, row: int, ids: Sequence[int], claimed: Sequence[float], temperature: float
    ) -> None:
        """Refuse a server that means another policy; whether it tells probabilities before or after temperature."""
        told = torch.tensor(claimed)
        after = scores.logprobs[row, : len(told)].cpu()
        raw = torch.log_softmax(scores.logits[row, : len(told)] * temperature, dim=-1)
        before = raw.gather(-1, torch.tensor(ids[: len(told)], device=raw.device)[:, None])[:, 0].cpu()
        apart = min(float((told - own).abs().mean()) for own in (after, before))
        if apart > self.settings.tolerance:
            raise RunFailed(
                f"the server at {self.url} gives tokens other probabilities than the policy ({apart:.2f} nats apart on "
                f"average, model.server.tolerance={self.settings.tolerance:g}); serve the same model, chat template, "
                "image size and precision, or use model/server=null"
            )


def _text(answer: Answer) -> str:
    return answer.text


def _content(observation: Observation, sees: bool) -> str | list[dict[str, Any]]:
    """An observation as a user's turn, in the order in which prompts have it; without eyes, its text."""
    if not sees:
        return str(observation["text"])
    check_seen(observation)
    return [
        {"type": "image_url", "image_url": {"url": data_uri(observation["image"])}},
        {"type": "text", "text": observation["text"]},
    ]
