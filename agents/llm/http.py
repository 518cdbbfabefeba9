"""The one way to a server that speaks OpenAI's protocol: asked again while a fault may pass, and the key stays here."""

import base64
import io
import json
import math
import os
import random
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Protocol, TypeVar

import httpx
import numpy as np
from numpy.typing import NDArray

from agentlab_runner.agents.llm.connection import Connection, TooLong
from agentlab_runner.agents.llm.halves import readable
from agentlab_runner.runners.errors import RunFailed, UserError

T = TypeVar("T")

TRANSIENT = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529})
"""HTTP states that may be others in a moment."""
REDIRECTS = 5
HALF = re.compile(r"\\u[dD][89a-fA-F]")
"""The beginning of half a character, as JSON may write it."""
LONGEST_URL = 2000
MOST_DOUBLED = 20
"""How often a pause is doubled."""
LEAST_SECRET = 8
"""Characters from which a key is one; servers that ask for none are given `EMPTY` or `x`."""


class Limits(Protocol):
    """How patient to be; read anew for each request."""

    timeout: float
    """Seconds for one answer."""
    retries: int
    pause: float
    """Seconds before the first retry, doubled for each further one."""
    longest_wait: float
    """Seconds that a server may ask us to wait, and that a pause has at most."""


@dataclass(frozen=True, slots=True)
class Words:
    """What a user sets where, for the sentences in which faults are told."""

    node: str
    url: str
    docs: str
    instead: str = ""
    """What needs no key instead."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back whole."""

    url: str
    status: int
    headers: Mapping[str, str]
    text: str
    setting: str
    """Which one names the address."""

    def json(self) -> Any:
        """Its content.

        Raises:
            Cut: if it began as JSON and did not end.
            Refused: if it is something else, as the page of a web site.
        """
        try:
            return _loaded(self.text)
        except (ValueError, RecursionError) as fault:
            if self.text.lstrip()[:1] in ("{", "["):
                raise Cut("sent JSON that breaks off") from fault
            raise Refused(
                self.status,
                "no JSON",
                f"{self.url} did not answer in JSON{' but with a web page' if _is_page(self.text) else ''}; set "
                f"{self.setting} to the /v1 of an OpenAI-compatible server",
            ) from None


class Refused(RunFailed):
    """The server has understood, and will not; `said` is its reason in one line."""

    def __init__(self, status: int, said: str, message: str) -> None:
        super().__init__(message)
        self.status, self.said = status, said


class Cut(Exception):
    """An answer that is not whole, and is asked for again."""


class _Passing(Exception):
    """A fault that may pass."""

    def __init__(self, why: str, *, wait: float | None = None, begun: bool = False) -> None:
        super().__init__(why)
        self.wait, self.begun = wait, begun


class Http:
    """Requests to one server, from any thread.

    Args:
        base: up to and including `/v1`.
        key_env: environment variable that holds the key; read for each request and never kept.
        limits: how patient to be.
        words: what a user is told to change.
    """

    def __init__(self, base: str, key_env: str, limits: Limits, words: Words) -> None:
        self.base = base.rstrip("/")
        self.key_env, self.limits, self.words = key_env, limits, words
        self._context: ssl.SSLContext | None = None
        self._idle: list[Connection] = []
        self._busy: set[Connection] = set()
        self._lock = threading.Lock()
        self._abandoned = threading.Event()
        self._jitter = random.Random()

    @property
    def key(self) -> str:
        """The key, or nothing.

        Raises:
            UserError: if what the variable holds cannot stand in a header.
        """
        key = os.environ.get(self.key_env, "").strip()
        if not re.fullmatch(r"[!-~]*", key):
            raise UserError(f"{self.key_env} holds blanks, line ends or other characters that no key has; set it anew")
        return key

    def ask(
        self,
        path: str,
        body: Mapping[str, Any] | None,
        read: Callable[[Answer], T],
        lost: Callable[[], None] = lambda: None,
        retries: int | None = None,
    ) -> T:
        """What `read` makes of the answer; a fault that may pass is waited for.

        Args:
            path: behind the base.
            body: sent as JSON by POST; None: GET.
            read: such as `Answer.json`; raises `Cut` for an answer that is not whole.
            lost: told of each try whose answer was under way or due, and did not come whole: it may have been billed.
            retries: None: as many as the limits say.

        Raises:
            UserError: if the server refuses the key.
            Refused: if it will not.
            RunFailed: if it cannot be reached, or none of the tries was answered.
        """
        url, why, wait = f"{self.base}/{path}", "", None
        tries = 1 + (self.limits.retries if retries is None else retries)
        for attempt in range(tries):
            if attempt:
                self._rest(attempt, wait)
            try:
                return read(self._send(url, body))
            except Cut as fault:
                why, wait, begun = self.scrub(str(fault)), None, True
            except _Passing as fault:
                why, wait, begun = str(fault), fault.wait, fault.begun
            if begun:
                lost()
            if self._abandoned.is_set():
                raise self._left()
        raise RunFailed(
            f"{url} {why}, {tries} times; start the server ({self.words.docs}), correct {self.words.url}, or give it "
            f"more time by {self.words.node}.timeout"
        )

    def abandon(self) -> None:
        """Nobody waits any more: requests under way end with a fault, and none is begun."""
        with self._lock:
            self._abandoned.set()
            for connection in self._busy:
                connection.end()

    def scrub(self, text: str) -> str:
        """The text without the key."""
        key = os.environ.get(self.key_env, "").strip()
        if len(key) < LEAST_SECRET:
            return text
        written = (rf"(?:\\?{re.escape(one)}|(?i:\\u{ord(one):04x}))" for one in key)  # as JSON may
        return re.sub("".join(written), "[key]", text)

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        """A connection, made when none is idle: a rerun from the cache need not read the machine's certificates."""
        with self._lock:
            if self._abandoned.is_set():
                raise self._left()
            self._context = self._context or httpx.create_ssl_context()
            connection = self._idle.pop() if self._idle else Connection(self._context)
            self._busy.add(connection)
        try:
            yield connection
        finally:
            with self._lock:
                self._busy.discard(connection)
                if not connection.ended:
                    self._idle.append(connection)

    def _rest(self, attempt: int, wait: float | None) -> None:
        if wait is None:
            doubled = self.limits.pause * 2.0 ** min(attempt - 1, MOST_DOUBLED)
            wait = min(doubled * (0.75 + 0.5 * self._jitter.random()), self.limits.longest_wait)
        if wait > self.limits.longest_wait:
            raise RunFailed(
                f"{self.base} asks to be left alone for {wait:.6g} seconds, more than {self.words.node}.longest_wait="
                f"{self.limits.longest_wait:g}; go on later with agentlab resume, or raise that"
            )
        if self._abandoned.wait(wait):
            raise self._left()

    def _left(self) -> RunFailed:
        return RunFailed(f"requests to {self.base} were abandoned")

    def _send(self, url: str, body: Mapping[str, Any] | None) -> Answer:
        content = None if body is None else json.dumps(body).encode()
        for _ in range(REDIRECTS):
            answer = self._once("GET" if content is None else "POST", url, content)
            if answer.status not in (301, 302, 303, 307, 308):
                return self._judged(answer)
            url = self._redirected(answer, keeps=content is None or answer.status in (307, 308))
        raise Refused(answer.status, "redirects", f"{self.base} redirects in a circle; correct {self.words.url}")

    def _once(self, method: str, url: str, content: bytes | None) -> Answer:
        """One request, and its answer within the time and the size that one may have."""
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        if key := self.key:
            headers["Authorization"] = f"Bearer {key}"
        limit = self.limits.timeout
        try:
            with self._connected() as connection:
                status, told, body = connection.ask(method, url, content, headers, limit)
        except TooLong as fault:
            raise Refused(int(str(fault)), "too long", f"{url} sends more than any answer has") from None
        except httpx.TimeoutException as fault:
            begun = not isinstance(fault, httpx.ConnectTimeout)
            raise _Passing(f"did not answer within {limit:g} seconds", begun=begun) from fault
        except httpx.ConnectError as fault:
            raise _Passing(f"cannot be reached ({self.scrub(str(fault))})") from fault
        except (httpx.TransportError, httpx.DecodingError) as fault:
            stale = "without sending a response" in str(fault)  # a connection that lay idle
            raise _Passing(f"broke off ({self.scrub(str(fault)) or 'no reason given'})", begun=not stale) from fault
        except (httpx.InvalidURL, ValueError) as fault:
            raise UserError(f"{self.base} is no address of a server ({fault}); correct {self.words.url}") from None
        text = self.scrub(body.decode("utf-8-sig", errors="replace"))
        return Answer(url, status, told, text, self.words.url)

    def _judged(self, answer: Answer) -> Answer:
        status = _stated(answer)
        if status < 300:
            return answer
        said, url = self.scrub(_reason(answer)), answer.url
        if status == 401 or (status == 403 and not re.search("moderat|flagged|polic", said, re.I)):
            missing = "" if self.key else ", which is not set"
            raise UserError(
                f"{url} refuses the token ({status}); put the right one into the environment variable "
                f"{self.key_env}{missing}{self.words.instead}"
            )
        spent = "insufficient_quota" in answer.text
        if status in TRANSIENT and not spent:
            raise _Passing(f"answered {status}: {said}", wait=_told_to_wait(answer.headers))
        fix = "pay for more" if spent or status == 402 else f"check {self.words.node}"
        if _is_page(answer.text):
            fix = f"set {self.words.url} to the /v1 of an OpenAI-compatible server"
        raise Refused(status, said, f"{url} answered {status}: {said}; {fix}")

    def _redirected(self, answer: Answer, keeps: bool) -> str:
        """Where a redirect leads, within the server: another one is nobody we have given a key to."""
        to = httpx.URL(answer.url).join(answer.headers.get("location", ""))
        here = httpx.URL(answer.url)
        near = (to.scheme, to.host, to.port) == (here.scheme, here.host, here.port)
        if keeps and near and len(str(to)) <= LONGEST_URL:
            return str(to)
        place = self.scrub(f"{to.scheme}://{to.netloc.decode(errors='replace')}{to.path}"[:200])
        raise Refused(
            answer.status,
            "redirects",
            f"{answer.url} redirects to {place}, which is not asked and is given no key; if you trust it, set "
            f"{self.words.url} to it",
        )


def data_uri(pixels: NDArray[np.uint8]) -> str:
    """A picture [H, W, 3] as PNG in a data URI."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def _loaded(text: str) -> Any:
    content = json.loads(text)
    return json.loads(readable(json.dumps(content, ensure_ascii=False))) if HALF.search(text) else content


def _stated(answer: Answer) -> int:
    """The status of an answer, or what the error in it states: gateways answer 200 for one behind them."""
    if answer.status >= 300 or '"error"' not in answer.text:
        return answer.status
    try:
        content = json.loads(answer.text)
        if content.get("choices") or content.get("data"):
            return answer.status
        code = str((content if content.get("object") == "error" else content["error"]).get("code"))
    except (ValueError, AttributeError, KeyError, RecursionError):
        return answer.status
    return int(code) if re.fullmatch(r"[45]\d\d", code) else answer.status


def _reason(answer: Answer) -> str:
    """What a server says of its refusal, in one line."""
    text = answer.text
    try:
        content = _loaded(text)
        content = content.get("error") or content
        if isinstance(content, dict):
            text = str(content.get("message") or content.get("detail") or text)
        else:
            text = str(content)
    except (ValueError, AttributeError, RecursionError):
        if _is_page(text):
            return "a web page"
    return " ".join(text.split())[:300] or httpx.codes.get_reason_phrase(answer.status)


def _is_page(text: str) -> bool:
    return text.lstrip()[:1] == "<"


def _told_to_wait(headers: Mapping[str, str]) -> float | None:
    """Seconds of a Retry-After, given as a number or as a date by the server's own clock; None if none is given."""
    for name, unit in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) * unit
        except ValueError:
            continue
        if math.isfinite(seconds):
            return max(0.0, seconds)
    try:
        until = parsedate_to_datetime(headers["retry-after"]).timestamp()
        now = parsedate_to_datetime(headers["date"]).timestamp() if "date" in headers else time.time()
    except (KeyError, ValueError, OverflowError, TypeError):
        return None
    return max(0.0, until - now)
