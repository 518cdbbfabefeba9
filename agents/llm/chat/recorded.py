"""A model that says what was said before: no request, the same episodes."""

import heapq
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from agentlab_runner.agents.llm.chat.calls import FILE, CallLog
from agentlab_runner.agents.llm.chat.request import Answering, Request, plain
from agentlab_runner.agents.llm.chat.settings import RecordedSettings
from agentlab_runner.agents.llm.chat.types import Reply
from agentlab_runner.runners.errors import RunFailed, UserError

COMPARED = 64
"""Stored requests whose texts are compared with one that is not there."""
QUOTED = 40
"""Characters quoted of either side from where they part."""


class NotRecorded(RunFailed):
    """A request that was never made."""


class Recorded(Answering):
    """Answers from a run's folder or one that `model.record` wrote; its settings are the keys of `RecordedSettings`.

    Raises:
        UserError: if there are no calls, or those of several models and none is named.
    """

    def __init__(self, **settings: Any) -> None:
        own = RecordedSettings(**settings)
        self.record = own.record
        folder = Path(own.folder).expanduser()
        self.calls = CallLog(folder / "calls" if (folder / "calls" / FILE).is_file() else folder, writes=False)
        named = {key: model for key, model in self.calls.models.items() if own.name in (None, model["name"])}
        if len(named) != 1:
            known = ", ".join(sorted({model["name"] for model in self.calls.models.values()})) or "none"
            raise UserError(
                f"{self.calls.folder} holds answers of {known}, and one model is to be chosen; set model.name to one, "
                "or give a folder that one model wrote alone"
            )
        ((self._key, self._model),) = named.items()

    @property
    def name(self) -> str:
        return str(self._model["name"])

    @property
    def sees(self) -> bool:
        return bool(self._model["sees"])

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Of the model whose answers these are."""
        return dict(self._model["parameters"])

    def replies(self, requests: Sequence[Request]) -> Iterator[tuple[int, Reply]]:
        """As `Answering.replies`.

        Raises:
            NotRecorded: naming the nearest request that was made, and what differs.
        """
        for place, request in enumerate(requests):
            reply = self.calls.find(self._key, request)
            if reply is None:
                raise NotRecorded(
                    f"{self.calls.folder} holds no answer to a request: {self._nearest(request)}; replay with the "
                    "config of the run that was recorded, or let model.record write the missing ones"
                )
            yield place, reply

    def _nearest(self, request: Request) -> str:
        """What differs in the stored request that shares most turns, and of those in the one with the nearest text."""
        scored = (
            (_likeness(call, request), -place, call)
            for place, call in enumerate(self.calls.calls())
            if call.get("model") == self._key
        )
        best = heapq.nlargest(COMPARED, scored, key=lambda entry: entry[:2])
        if not best:
            return "it holds none at all"
        tied = [call for likeness, _, call in best if likeness == best[0][0]]
        return max((self._difference(call, request) for call in tied), key=lambda found: found[0])[1]

    def _difference(self, call: Mapping[str, Any], request: Request) -> tuple[int, str]:
        """How far the two agree where they part, and the sentence that says what differs."""
        names = _names(call)
        turn = _agreement(names, request.spoken)
        if turn == len(names) == len(request.spoken):
            told = [
                f"{key} is {_short(value)} and was {_short(call.get(key))}"
                for key, value in request.options.items()
                if call.get(key) != value
            ]
            return len(request.options) - len(told), "the nearest is alike but for this: " + ", ".join(told)
        if turn == min(len(names), len(request.spoken)):
            return 0, f"the nearest has {len(names)} turns and this one {len(request.spoken)}, the first {turn} alike"
        stored, asked = self.calls.message(names[turn]) or {}, plain(request.messages[turn])
        was, now = _flat(stored), _flat(asked)
        same = _agreement(was, now)
        start = max(0, same - QUOTED // 2)
        return same, (
            f"the nearest differs in turn {turn + 1} ({asked['role']}), where it has "
            f"{_short(was[start : same + QUOTED])} and this one {_short(now[start : same + QUOTED])}"
        )


def _likeness(call: Mapping[str, Any], request: Request) -> tuple[int, int, int]:
    names = _names(call)
    alike = sum(call.get(key) == value for key, value in request.options.items())
    return _agreement(names, request.spoken), -abs(len(names) - len(request.spoken)), alike


def _names(call: Mapping[str, Any]) -> list[str]:
    names = call.get("messages")
    return [str(name) for name in names] if isinstance(names, list) else []


def _agreement(first: Sequence[str], second: Sequence[str]) -> int:
    """How many leading elements are alike."""
    apart = (place for place, (a, b) in enumerate(zip(first, second, strict=False)) if a != b)
    return next(apart, min(len(first), len(second)))


def _flat(message: Mapping[str, Any]) -> str:
    parts = message.get("parts")
    parts = parts if isinstance(parts, list) else []
    return f"{message.get('role')}: " + "".join(
        part if isinstance(part, str) else f"[picture {part.get('frame') if isinstance(part, dict) else '?'}]"
        for part in parts
    )


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 3 * QUOTED else f"{text[: 3 * QUOTED]}..."
