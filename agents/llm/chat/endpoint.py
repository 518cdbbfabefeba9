"""Any server of OpenAI's chat completions: hosted, vLLM, llama.cpp, Ollama, LM Studio, `transformers serve`."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import replace
from typing import Any

from agentlab_runner.agents.llm.chat import choosing, wire
from agentlab_runner.agents.llm.chat.budget import DEAR, Budget, Spent
from agentlab_runner.agents.llm.chat.history import fitted, in_turn, shortened, without_system
from agentlab_runner.agents.llm.chat.request import Answering, Request
from agentlab_runner.agents.llm.chat.settings import EndpointSettings
from agentlab_runner.agents.llm.chat.thoughts import aloud
from agentlab_runner.agents.llm.chat.types import Message, Reply
from agentlab_runner.agents.llm.http import Answer, Http, Refused, Words
from agentlab_runner.runners.config.suggest import did_you_mean
from agentlab_runner.runners.errors import UserError

log = logging.getLogger(__name__)

OPTIONAL = {
    "logprobs": ("logprobs", "top_logprobs"),
    "top_logprobs": ("logprobs", "top_logprobs"),
    "seed": ("seed",),
    "response_format": ("response_format",),
    "stream_options": ("stream_options",),
    "temperature": ("temperature",),
    "top_p": ("top_p",),
    "stop": ("stop",),
}
"""What a server may not know, by the word its refusal has, and what is then left out."""
GUESSED = (
    "nobody says what {name} costs: it is counted at {prices[0]:g} and {prices[1]:g} dollars for a million tokens of "
    "prompt and of answer, so that max_cost holds; give model.price_in and model.price_out, 0 for a model of your own"
)
SHORTER = 0.75
"""How much of a conversation is left when a server says that it is too long, again and again until it fits."""


class Endpoint(Answering):
    """A model behind HTTP; its settings are the keys of `EndpointSettings`.

    What a server turns out not to take (pictures, a seed, probabilities) is left out from then on, and said once.

    Raises:
        UserError: at the first request: no key, a model that is not served, an address of something else.
    """

    def __init__(self, **settings: Any) -> None:
        self.settings = EndpointSettings(**settings)
        self.record = self.settings.record
        self.budget = Budget(self.settings)
        words = Words("model", "model.base_url", "docs/prompting.md", ", or use model=smollm2_chat, which needs none")
        self.http = Http(self.settings.base_url, self.settings.key_env, self.settings, words)
        self._pool = ThreadPoolExecutor(self.settings.parallel, thread_name_prefix="chat")
        self._blind = not self.settings.images
        self._joined = False
        """Whether it takes only what a user and it say by turns."""
        self._without: set[str] = set()
        self._limit_name = "max_tokens"
        self._checked, self._answered = False, False
        self._lock = threading.Lock()
        self._warned: set[str] = set()

    @property
    def name(self) -> str:
        return self.settings.name

    @property
    def sees(self) -> bool:
        return not self._blind

    @property
    def parameters(self) -> Mapping[str, Any]:
        s = self.settings
        deciding = ("temperature", "top_p", "seed", "json_mode", "images", "context", "extra")
        return {name: getattr(s, name) for name in deciding}

    def resumed(self, spent: Spent) -> None:
        """What this run has spent before."""
        self.budget.add(spent)

    def account(self, note: Callable[[Spent], None]) -> bool:
        """Whom to tell what is spent, request by request, before it is; True: it will."""
        self.budget.note = note
        return True

    def check(self) -> None:
        """Ask once which models there are; a server that does not tell is believed to have ours.

        Raises:
            UserError: if it does not have it, refuses the key or is something else.
            RunFailed: if it cannot be reached.
        """
        with self._lock:
            if self._checked:
                return
            if self.settings.listed:
                self._look_up()
            self._checked = True

    def replies(self, requests: Sequence[Request]) -> Iterator[tuple[int, Reply]]:
        """As `Answering.replies`; when one fails, those under way are told first."""
        if not requests:
            return
        self.check()
        places = {self._pool.submit(self._answer, request): place for place, request in enumerate(requests)}
        fault: BaseException | None = None
        try:
            for future in as_completed(places):
                if future.cancelled():
                    continue
                if (failed := future.exception()) is None:
                    yield places[future], future.result()
                elif fault is None:
                    fault = failed
                    _cancel(places)
        except KeyboardInterrupt:
            self.http.abandon()
            raise
        finally:
            _cancel(places)
        if fault is not None:
            raise fault

    def _look_up(self) -> None:
        try:
            listed = self.http.ask("models", None, Answer.json, retries=min(1, self.settings.retries))
        except Refused as fault:
            if fault.status < 400:  # a web site, or another host
                raise UserError(str(fault)) from fault
            return
        entries = listed.get("data") if isinstance(listed, dict) else listed
        entries = entries if isinstance(entries, list) else []
        names = [str(entry.get("id")) for entry in entries if isinstance(entry, dict)]
        known = {form for name in names for form in (name, name.removeprefix("models/"), name.removesuffix(":latest"))}
        if names and self.name not in known:
            shown = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
            raise UserError(
                f"{self.http.base} serves {shown}, not {self.name}{did_you_mean(self.name, names)}; set model.name to "
                "one of them, or model.listed=false if it serves more than it lists"
            )

    def _answer(self, request: Request) -> Reply:
        """One request, and a second one if its choice was none."""
        if request.choices is None:
            return self._converse(request, request.messages)
        messages = choosing.asked(request.messages, request.choices)
        weighs = choosing.may_be_tokens(request.choices) and "logprobs" not in self._without
        reply = self._converse(request, messages, weighs)
        if reply.finish in ("choice", "refusal"):
            return reply
        said = aloud(reply.text, reply.finish == "length")
        chosen = choosing.by_words(said, request.choices)
        if chosen is None and (said or reply.finish == "stop"):
            again = self._converse(request, choosing.asked_again(messages, said or "(nothing)", request.choices))
            chosen = choosing.by_words(aloud(again.text, again.finish == "length"), request.choices)
            reply = replace(
                again,
                tokens_in=reply.tokens_in + again.tokens_in,
                tokens_out=reply.tokens_out + again.tokens_out,
                seconds=reply.seconds + again.seconds,
                cost=reply.cost + again.cost,
                requests=2,
            )
        if chosen is None:
            return reply
        return replace(reply, text=chosen, finish="choice")

    def _converse(self, request: Request, messages: tuple[Message, ...], weighs: bool = False) -> Reply:
        """One answer; turns that do not fit are left out, and so is what the server does not take."""
        messages, dropped = fitted(messages, self._room(request), lambda m: wire.estimate(m, self.sees))
        while True:
            images, joined = self.sees and wire.has_pictures(messages), self._joined
            turns, merged = in_turn(messages) if joined else (list(messages), 0)
            turns = without_system(turns) if joined else turns
            expected, body = wire.estimate(messages, images), self._body(request, turns, images, weighs)
            try:
                return replace(self._once(request, body, expected), dropped=dropped, merged=merged)
            except Refused as fault:
                if wire.OVERFLOW.search(fault.said) or fault.status == 413:
                    messages, more = shortened(messages, int(SHORTER * expected), lambda m: wire.estimate(m, self.sees))
                    if not more:
                        self._say_once("overflow", f"a last turn alone is too long for {self.name}; it is not answered")
                        return Reply("", 0, 0, 0.0, 0.0, "length", model=self.name, dropped=dropped, requests=0)
                    dropped += more
                elif images and fault.status < 500 and wire.PICTURES.search(fault.said):
                    self._blind = True
                    self._say_once("images", f"{self.name} takes no pictures; it is told {wire.NO_PICTURE} instead")
                elif not joined and wire.ROLES.search(fault.said):
                    self._joined = True
                    self._say_once("roles", f"{self.name} takes no rules apart; they stand before its first turn")
                elif fault.status < 500 and wire.FILTERED.search(fault.said):
                    return Reply(fault.said, 0, 0, 0.0, 0.0, "refusal", model=self.name, dropped=dropped)
                elif not self._leave_out(fault, body):
                    if self._answered:
                        raise
                    raise UserError(str(fault)) from fault

    def _room(self, request: Request) -> int | None:
        return None if self.settings.context is None else max(0, self.settings.context - request.max_tokens)

    def _leave_out(self, fault: Refused, body: Mapping[str, Any]) -> bool:
        """Whether the refusal names something in the body that can be left out, or another name for the limit."""
        if "max_completion_tokens" in fault.said and "max_tokens" in body:
            self._limit_name = "max_completion_tokens"
            return True
        words = [word for word, keys in OPTIONAL.items() if word in fault.said and body.keys() & set(keys)]
        if not words or fault.status not in (400, 404, 415, 422, 501):
            return False
        for word in words:
            self._without.update(OPTIONAL[word])
            self._say_once(word, f"{self.name} takes no {word}; it is left out: {fault.said}")
        return True

    def _once(self, request: Request, body: Mapping[str, Any], expected: int) -> Reply:
        """One answer; `expected` tokens of prompt at most."""
        most = self.budget.most(expected, request.max_tokens)
        self.budget.hold(most)
        came, began = Spent(), time.perf_counter()

        def lost() -> None:
            nonlocal began
            self.budget.lost(most)
            began = time.perf_counter()

        try:
            said = self.http.ask("chat/completions", body, wire.read, lost)
            self._answered = True
            text = wire.cut_at(self.http.scrub(said.text), request.stop)
            if said.tokens_in is None or said.tokens_out is None:
                self._say_once("usage", f"{self.name} does not count its tokens; they are estimated")
            tokens_in = expected if said.tokens_in is None else said.tokens_in
            tokens_out = wire.tokens_of(said.text) if said.tokens_out is None else said.tokens_out
            if said.cost is None and self.budget.guesses:
                self._say_once("price", GUESSED.format(name=self.name, prices=DEAR))
            came = self.budget.most(tokens_in, tokens_out, said.cost)
        finally:
            self.budget.settle(most, came)
        seconds = time.perf_counter() - began
        model = self.http.scrub(said.model) or self.name
        reply = Reply(text, tokens_in, tokens_out, seconds, came.cost, said.finish, model=model)
        weighed = request.choices is not None and "top_logprobs" in body and said.finish != "refusal"
        chances = choosing.by_tokens(said.first, request.choices or ()) if weighed else None
        if chances is None:
            return reply
        temperature = 0.0 if request.deterministic else self.settings.temperature
        return replace(reply, text=choosing.drawn(chances, temperature, request.seed), finish="choice")

    def _body(self, request: Request, messages: Sequence[Message], images: bool, weighs: bool) -> dict[str, Any]:
        s = self.settings
        body: dict[str, Any] = {
            "model": self.name,
            "messages": wire.turns(messages, images),
            self._limit_name: request.max_tokens,
            "temperature": 0.0 if request.deterministic else s.temperature,
            "stream": s.stream,
        }
        if s.top_p is not None and not request.deterministic:
            body["top_p"] = s.top_p
        if s.seed:
            body["seed"] = request.seed
        if s.stream:
            body["stream_options"] = {"include_usage": True}
        if s.json_mode and request.choices is None:
            body["response_format"] = {"type": "json_object"}
        if request.stop and request.choices is None:
            body["stop"] = list(request.stop[:4])  # more are refused by some; what is sent is cut here all the same
        if weighs:
            body |= {"logprobs": True, "top_logprobs": choosing.LISTED}
        body |= s.extra
        return {key: value for key, value in body.items() if key not in self._without}

    def _say_once(self, about: str, text: str) -> None:
        with self._lock:
            if about in self._warned:
                return
            self._warned.add(about)
        log.warning("%s", text)


def _cancel(futures: Mapping[Future[Reply], int]) -> None:
    for future in futures:
        future.cancel()
