"""A chat model whose answers are kept: what was answered once is neither paid nor computed again."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from agentlab_runner.agents.llm.chat.budget import Spent
from agentlab_runner.agents.llm.chat.calls import CallLog
from agentlab_runner.agents.llm.chat.request import Answering, Request
from agentlab_runner.agents.llm.chat.types import ChatModel, Message, Reply


class Kept(Answering):
    """Answers from a folder what stands there, and writes there what does not; each reply as soon as it comes.

    Args:
        model: any chat model. If it is one that is paid for, it is told what the folder's calls have cost, and if there
            are none yet it is asked at once whether it can be had.
        folder: `RUN/calls`, see `CallLog`.
        ledger: the folder is one run's own, so that caps of a run count what was spent there.

    Raises:
        UserError: if another process writes there, or the model cannot be had.
    """

    def __init__(self, model: ChatModel, folder: Path, *, ledger: bool = True) -> None:
        self.model = model
        self.calls = CallLog(folder, writes=True)
        if ledger and (len(self.calls) or self.calls.spent.calls):
            self.resumed(self.calls.spent)
        elif ledger:
            self.check()
        self._accounts = ledger and self.account(self.calls.note)
        self._own = self.calls.add_model(model.name, self.parameters, model.sees)

    @property
    def name(self) -> str:
        return self.model.name

    @property
    def sees(self) -> bool:
        return self.model.sees

    @property
    def parameters(self) -> Mapping[str, Any]:
        return getattr(self.model, "parameters", {})

    def tokens(self, messages: Sequence[Message]) -> int | None:
        """Of a prompt, where the model counts."""
        return self.model.tokens(messages) if hasattr(self.model, "tokens") else None

    def to(self, device: Any) -> "Kept":
        """On another device, where the model is on one."""
        if hasattr(self.model, "to"):
            self.model.to(device)
        return self

    def resumed(self, spent: Spent) -> None:
        """Pass on what the run has spent before."""
        if hasattr(self.model, "resumed"):
            self.model.resumed(spent)

    def account(self, note: Callable[[Spent], None]) -> bool:
        """Let the model tell what it spends; whether it will."""
        return hasattr(self.model, "account") and bool(self.model.account(note))

    def check(self) -> None:
        """Let the model say whether it can be had."""
        if hasattr(self.model, "check"):
            self.model.check()

    def close(self) -> None:
        """Force what was written to disk and let others write there."""
        self.calls.close()

    def replies(self, requests: Sequence[Request]) -> Iterator[tuple[int, Reply]]:
        """As `Answering.replies`; equal requests are asked once."""
        missing: dict[str, list[int]] = {}
        for place, request in enumerate(requests):
            if request.digest not in missing and (reply := self.calls.find(self._own, request)) is not None:
                yield place, reply
            else:
                missing.setdefault(request.digest, []).append(place)
        waiting = list(missing.values())
        try:
            for index, reply in self._asked([requests[places[0]] for places in waiting]):
                first, *others = waiting[index]
                self.calls.add(self._own, requests[first], reply, noted=self._accounts)
                yield first, reply
                for place in others:
                    yield place, replace(reply, cached=True, seconds=0.0, cost=0.0, requests=0)
        finally:
            self.calls.sync()

    def _asked(self, requests: Sequence[Request]) -> Iterator[tuple[int, Reply]]:
        if not requests:
            return
        if isinstance(self.model, Answering):
            yield from self.model.replies(requests)
            return
        first = requests[0]
        yield from enumerate(
            self.model.reply(
                [request.messages for request in requests],
                max_tokens=first.max_tokens,
                deterministic=first.deterministic,
                stop=first.stop,
                choices=None if first.choices is None else [request.choices or () for request in requests],
                draws=[request.draw for request in requests],
            )
        )
