"""A server that speaks for a policy: vLLM, or what else serves OpenAI's chat completions and takes adapters as it does.

It generates; what it said is then scored here, in one forward pass. So the learner's probabilities are its own, a value
head has its states, and a server with other weights, another chat template or another image size does not go unnoticed.
"""

import base64
import io
import json
import os
import socket
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import torch
from PIL import Image

from agentlab_runner.agents.llm.prompts import check_seen
from agentlab_runner.agents.llm.settings import ServerSettings
from agentlab_runner.agents.llm.utterances import TokenScores, Utterance
from agentlab_runner.runners.errors import RunFailed, UserError
from agentlab_runner.runners.types import Observation

TRANSIENT = (408, 429, 500, 502, 503, 504)
"""HTTP states that may be others in a moment."""
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
        self.base = self.settings.model or base
        self._adapter: str | None = None
        self._pushed = 0
        self._current = False
        self._folder = self.settings.folder or tempfile.mkdtemp(prefix="agentlab-adapters-")
        served = [entry["id"] for entry in self._call("models")["data"]]
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
            self._call("load_lora_adapter", {"lora_name": name, "lora_path": str(folder)}, as_json=False)
        except _Refused as fault:
            raise RunFailed(
                f"the server at {self.url} refuses the adapters in {folder} ({fault}); start it with --enable-lora, "
                f"--max-lora-rank of at least {policy.lora_rank} and VLLM_ALLOW_RUNTIME_LORA_UPDATING=1, and set "
                "model.server.folder to one that it sees too"
            ) from fault
        if self._adapter is not None:
            self._call("unload_lora_adapter", {"lora_name": self._adapter}, as_json=False)
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
        choice = self._call("chat/completions", body)["choices"][0]
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

    def _call(self, path: str, body: dict[str, Any] | None = None, as_json: bool = True) -> Any:
        """The answer to a request; a fault that may pass is waited for."""
        url = f"{self.url}/{path}"
        token = os.environ.get(self.settings.token_env, "")
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        request = Request(url, data=json.dumps(body).encode() if body is not None else None, headers=headers)
        answer = self._patiently(lambda: urlopen(request, timeout=self.settings.timeout).read(), url)
        try:
            return json.loads(answer) if as_json else answer
        except ValueError as fault:
            raise RunFailed(
                f"{url} did not answer in JSON; set model.server.url to the /v1 of an OpenAI-compatible server"
            ) from fault

    def _patiently(self, call: Callable[[], bytes], url: str) -> bytes:
        for attempt in range(self.settings.retries + 1):
            if attempt:
                time.sleep(self.settings.pause * 2 ** (attempt - 1))
            try:
                return call()
            except HTTPError as fault:
                reason = _reason(fault)
                if fault.code in (401, 403):
                    raise UserError(
                        f"{url} refuses the token ({fault.code}); put the right one into the environment variable "
                        f"{self.settings.token_env}"
                    ) from fault
                if fault.code not in TRANSIENT:
                    raise _Refused(f"{url} answered {fault.code}: {reason}; check model.server") from fault
                why = f"answered {fault.code}: {reason}"
            except TimeoutError:
                why = f"did not answer within {self.settings.timeout:g} seconds"
            except (URLError, ConnectionError) as fault:
                late = isinstance(getattr(fault, "reason", None), TimeoutError)
                why = (
                    f"did not answer within {self.settings.timeout:g} seconds"
                    if late
                    else f"cannot be reached ({getattr(fault, 'reason', fault)})"
                )
        raise RunFailed(
            f"{url} {why}, {self.settings.retries + 1} times; start the server (docs/scaling.md), correct "
            "model.server.url, or give it more time by model.server.timeout"
        )


class _Refused(RunFailed):
    """The server has understood, and will not."""


def _content(observation: Observation, sees: bool) -> str | list[dict[str, Any]]:
    """An observation as a user's turn, in the order in which prompts have it; without eyes, its text."""
    if not sees:
        return str(observation["text"])
    file = io.BytesIO()
    check_seen(observation)
    Image.fromarray(observation["image"]).save(file, format="PNG")
    url = f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
    return [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": observation["text"]}]


def _reason(fault: HTTPError) -> str:
    """What a server says of its refusal, in one line."""
    text = fault.read().decode(errors="replace")
    try:
        content = json.loads(text)
        content = content.get("error", content)
        text = content.get("message", text) if isinstance(content, dict) else str(content)
    except (ValueError, AttributeError):
        pass
    return " ".join(text.split())[:200] or fault.reason
