"""Who says that the task is done: the phone's own state, or a model that looks at screenshots."""

import base64
import io
import json
import os
import re
import time
import urllib.error
import urllib.request
from http.client import HTTPException
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from agentlab_runner.envs.android.device import PhoneDevice, TaskSpec

Image = NDArray[np.uint8]
"""[H, W, 3]."""

SAME_SCREEN = 0.001 * 255**2
"""Two screens whose mean squared pixel difference is below this are the same (released)."""
SEEN_SCREENS = 5
"""How many screens the release's cache holds."""

_STATUS = re.compile(r"Status:\s*(\w+)")
_INSTRUCTIONS = (
    "You check whether a task on a phone has been finished, from a screenshot taken after the user's last action. "
    "First say what the screen must show if the task is finished, then what it does show. Everything the task asks for "
    "must be done and visible: a search that is typed but not submitted, or a form that is not saved, is not finished. "
    "End with one line that reads `Status: success` or `Status: failure`."
)


class NotEvaluated(Exception):
    """Nobody could say whether the task is done; one sentence with the reason."""


class Evaluator(Protocol):
    """Decides success after every step."""

    needs_template: bool
    """Whether tasks must be the phone's own templates; False means a goal in words is enough."""

    def success(self, device: PhoneDevice, task: TaskSpec, before: Image, after: Image) -> bool:
        """Whether `task` is done, given the screens before and after the step.

        Raises:
            NotEvaluated: nobody could say.
            DeviceLost: the phone went away.
        """


class Programmatic:
    """Asks the phone: a predicate on its state."""

    needs_template = True

    def success(self, device: PhoneDevice, task: TaskSpec, before: Image, after: Image) -> bool:
        return device.task_success(task)


class Judge:
    """Asks a vision-language model behind an OpenAI-compatible chat endpoint, one screenshot a question.

    A screen that the last step did not change is not judged: no reward. An answer that does not come, or that has no
    `Status:` line, makes the episode not evaluated.

    Args:
        model: as the endpoint names it.
        base_url: of the endpoint, up to `/v1`.
        key_env: environment variable that holds the API key; none is sent if it is unset.
        timeout: seconds for one answer.
        retries: further tries after a time-out, a broken connection, or status 408, 429 or 5xx.
        retry_wait: seconds before the first of them, doubled for each.
        skip_seen: the release's cache: the first five differing screens it meets are remembered for good, and a screen
            like one of them is never judged again, whatever the task. A source of false failures; for parity.

    Raises:
        ValueError: an option is out of its range.
    """

    needs_template = False

    def __init__(
        self,
        model: str,
        base_url: str = "http://127.0.0.1:8000/v1",
        key_env: str = "AGENTLAB_JUDGE_KEY",
        timeout: float = 60.0,
        retries: int = 3,
        retry_wait: float = 1.0,
        skip_seen: bool = False,
    ) -> None:
        if not base_url.startswith(("http://", "https://")):
            raise ValueError(f"base_url is {base_url!r}; give the endpoint's address, such as http://127.0.0.1:8000/v1")
        if timeout <= 0 or retries < 0 or retry_wait < 0:
            raise ValueError(
                f"timeout={timeout}, retries={retries}, retry_wait={retry_wait}: the first must be above 0, "
                "the others not below"
            )
        self.model = model
        self.url = base_url.rstrip("/") + "/chat/completions"
        self.key_env = key_env
        self.timeout = timeout
        self.retries = retries
        self.retry_wait = retry_wait
        self.skip_seen = skip_seen
        self._seen: list[Image] = []

    def success(self, device: PhoneDevice, task: TaskSpec, before: Image, after: Image) -> bool:
        if _difference(before, after) < SAME_SCREEN or (self.skip_seen and self._is_seen(after)):
            return False
        return self._status(task.goal, after).startswith("success")

    def check(self) -> None:
        """Ask the endpoint for one token, so that one that is silent or wrong is told before anything is played.

        Raises:
            ConnectionError: if no answer comes.
        """
        body = {"model": self.model, "messages": [{"role": "user", "content": "Say yes."}], "max_tokens": 1}
        try:
            self._ask(body, retries=0)
        except NotEvaluated as fault:
            raise ConnectionError(str(fault)) from fault

    def _is_seen(self, screen: Image) -> bool:
        """Remembers the screen too; the very first one is remembered and still judged."""
        if any(_difference(screen, known) < SAME_SCREEN for known in self._seen):
            return True
        if len(self._seen) < SEEN_SCREENS:
            self._seen.append(screen)
        return False

    def _status(self, goal: str, screen: Image) -> str:
        """The first word after `Status:` in the model's answer, in lower case."""
        content = [
            {"type": "text", "text": f"Task: {goal}"},
            {"type": "image_url", "image_url": {"url": _data_url(screen)}},
        ]
        messages = [{"role": "system", "content": _INSTRUCTIONS}, {"role": "user", "content": content}]
        answer = self._ask({"model": self.model, "messages": messages, "temperature": 0, "max_tokens": 512})
        found = _STATUS.search(answer)
        if found is None:
            raise NotEvaluated(f"the judge {self.model} gave no line `Status: success` or `Status: failure`; "
                               f"it said: {answer[:80]!r}")
        return found[1].lower()

    def _ask(self, body: dict[str, Any], retries: int | None = None) -> str:
        retries = self.retries if retries is None else retries
        headers = {"Content-Type": "application/json"}
        if key := os.environ.get(self.key_env):
            headers["Authorization"] = f"Bearer {key}"
        request = urllib.request.Request(self.url, json.dumps(body).encode(), headers)
        wait = self.retry_wait
        for attempt in range(retries + 1):
            if attempt:
                time.sleep(wait)
                wait *= 2
            try:
                with urllib.request.urlopen(request, timeout=self.timeout) as response:
                    return str(json.load(response)["choices"][0]["message"]["content"])
            except urllib.error.HTTPError as error:
                reason: object = f"status {error.code}"
                if error.code not in (408, 429) and error.code < 500:
                    raise NotEvaluated(
                        f"the judge at {self.url} refused with status {error.code}; "
                        f"check env.evaluator.model and ${self.key_env}"
                    ) from error
            except (OSError, HTTPException) as error:
                reason = error
            except (ValueError, LookupError, TypeError):
                reason = "an answer that is no chat completion"
        often = f" {retries + 1} times" if retries else ""
        raise NotEvaluated(f"the judge at {self.url} did not answer{often} ({reason}); is it running?")


def _difference(first: Image, second: Image) -> float:
    """Mean squared difference of the pixels; infinite between screens of different size."""
    if first.shape != second.shape:
        return float("inf")
    return float(np.mean((first.astype(np.float32) - second.astype(np.float32)) ** 2))


def _data_url(screen: Image) -> str:
    encoded = io.BytesIO()
    Pillow.fromarray(screen).save(encoded, "PNG")
    return "data:image/png;base64," + base64.b64encode(encoded.getvalue()).decode()
