"""What was asked and answered, in one file that only grows: `calls.jsonl`, and beside it each picture once.

A line is a model (`{"model", "name", "parameters", "sees"}`), a message (`{"message", "role", "parts"}`) or a call
(`{"call", "model", "messages", ..., "reply"}`), which calls the others by their names. Names are hashes of the content.
Of a model that is paid for there are changes of what is spent, too (`{"spent": [calls, tokens, cost]}`): the most that
a request may come to before it is made, and the rest back when it was answered; calls that these count are `noted`.
A folder may be someone else's: what it says is data, bounded and checked, and it names no file but by such a hash.
"""

import json
import logging
import math
import os
import re
import stat
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, BinaryIO, TypeGuard

from pydantic import TypeAdapter, ValidationError

from agentlab_runner.agents.llm.chat.budget import Spent
from agentlab_runner.agents.llm.chat.request import Request, digest, plain
from agentlab_runner.agents.llm.chat.types import Reply
from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.files.atomic import TEMPORARY, explain_writing, make_folder
from agentlab_runner.runners.files.lock import take_lock
from agentlab_runner.runners.files.received import check_folder, inside
from agentlab_runner.runners.frames import Frame

log = logging.getLogger(__name__)

FILE, FRAMES = "calls.jsonl", "frames"
LINE_LIMIT = 2**24
"""Bytes of one line."""
MODELS_LIMIT = 1000
SYNC_SECONDS = 1.0
"""How often what was written is forced to disk; a process that is killed loses nothing, a power cut so much."""
_NAME = re.compile(r"[0-9a-f]{32}")
_REPLY = TypeAdapter(Reply)


class CallLog:
    """The calls of one folder; in memory stands where each of them is, not what it says.

    Args:
        folder: made if it is to be written and is not there.
        writes: whether calls are added; the folder is then this process's alone.

    Raises:
        UserError: if another process writes there, it leads elsewhere, or it holds no calls and none are written.
    """

    def __init__(self, folder: Path, writes: bool) -> None:
        self.folder = folder
        self.models: dict[str, dict[str, Any]] = {}
        """Name, parameters and eyes of each model, by its hash."""
        self.spent = Spent()
        """All calls together, and what was asked and never answered."""
        self._calls: dict[bytes, int] = {}
        self._messages: dict[bytes, int] = {}
        self._synced = time.monotonic()
        self._writing = threading.Lock()
        if writes:
            make_folder(folder / FRAMES, "a folder of calls")
            check_folder(folder)
            self._lock = take_lock(folder)
        self._reader = _opened(folder, writes)
        self._end = self._take_up()
        self._writer: int | None = None
        if writes:
            with explain_writing(folder / FILE):
                self._writer = os.open(folder / FILE, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW)
                os.truncate(self._writer, self._end)  # a line that a killed process did not finish

    def __len__(self) -> int:
        """How many calls there are."""
        return len(self._calls)

    def find(self, model: str, request: Request) -> Reply | None:
        """What a model answered, at no cost; None if it was not asked, or the answer cannot be read."""
        place = self._calls.get(_key(model, request.digest))
        reply = None if place is None else _reply(self._at(place))
        return reply and replace(reply, seconds=0.0, cost=0.0, cached=True, requests=0)

    def add_model(self, name: str, parameters: Mapping[str, Any], sees: bool) -> str:
        """The hash of a model, written down if it is new."""
        content = {"name": name, "parameters": dict(parameters)}
        model = digest(content)
        if model not in self.models:
            self.models[model] = content | {"sees": sees}
            self._write({"model": model} | self.models[model])
        return model

    def note(self, change: Spent) -> None:
        """What is spent changes by so much; from any thread."""
        self._write({"spent": [change.calls, change.tokens, change.cost]})

    def add(self, model: str, request: Request, reply: Reply, noted: bool = False) -> None:
        """A call, with those of its messages and pictures that are new; `noted`: what it cost is known already."""
        for name, message in zip(request.spoken, request.messages, strict=True):
            if bytes.fromhex(name) not in self._messages:
                for part in message.parts:
                    if isinstance(part, Frame):
                        self._keep(part)
                self._messages[bytes.fromhex(name)] = self._write({"message": name} | plain(message))
        call = {"call": request.digest, "model": model, "messages": request.spoken, **request.options}
        place = self._write(call | {"reply": asdict(reply)} | ({"noted": True} if noted else {}))
        self._calls.setdefault(_key(model, request.digest), place)

    def sync(self, now: bool = False) -> None:
        """Force what was written to disk, if that was not done lately."""
        if self._writer is not None and (now or time.monotonic() - self._synced >= SYNC_SECONDS):
            with explain_writing(self.folder / FILE):
                os.fsync(self._writer)
            self._synced = time.monotonic()

    def close(self) -> None:
        """Nothing more is read or written."""
        self.sync(now=True)
        self._reader.close()
        if self._writer is not None:
            os.close(self._writer)
            self._writer = None
            self._lock.close()

    def calls(self) -> Iterator[dict[str, Any]]:
        """Every call as it was written."""
        for place in list(self._calls.values()):
            content = self._at(place)
            if content is not None:
                yield content

    def message(self, name: str) -> dict[str, Any] | None:
        """A message by its name."""
        place = self._messages.get(bytes.fromhex(name)) if _NAME.fullmatch(name) else None
        return None if place is None else self._at(place)

    def _take_up(self) -> int:
        """Read what is there; where the last whole line ends."""
        place, damaged = 0, 0
        self._reader.seek(0)
        while line := self._reader.readline(LINE_LIMIT):
            if not line.endswith(b"\n"):
                if len(line) < LINE_LIMIT:
                    break
                damaged += 1
            elif not self._index(line, place):
                damaged += 1
            place += len(line)
        if damaged:
            log.warning("%s: %d lines cannot be read and are left aside", self.folder / FILE, damaged)
        return place

    def _index(self, line: bytes, place: int) -> bool:
        content = _parsed(line)
        if content is None:
            return False
        if _is_name(name := content.get("message")):
            self._messages.setdefault(bytes.fromhex(name), place)
        elif _is_name(name := content.get("call")) and _is_name(model := content.get("model")):
            reply = _reply(content)
            if reply is None:
                return False
            if not reply.cached and content.get("noted") is not True:
                self.spent += Spent(reply.requests, reply.tokens_in + reply.tokens_out, reply.cost)
            self._calls.setdefault(_key(model, name), place)
        elif _is_name(name := content.get("model")) and len(self.models) < MODELS_LIMIT:
            if not (isinstance(content.get("name"), str) and isinstance(content.get("parameters"), dict)):
                return False
            own = {key: content[key] for key in ("name", "parameters")}
            self.models.setdefault(name, own | {"sees": content.get("sees") is True})
        elif (change := _change(content.get("spent"))) is not None:
            self.spent += change
        else:
            return False
        return True

    def _at(self, place: int) -> dict[str, Any] | None:
        self._reader.seek(place)
        return _parsed(self._reader.readline(LINE_LIMIT))

    def _write(self, content: Mapping[str, Any]) -> int:
        """Append a line; where it begins. A disk that fills up half-way leaves the file as it was."""
        assert self._writer is not None
        left = memoryview(json.dumps(content).encode() + b"\n")
        size = len(left)
        with self._writing, explain_writing(self.folder / FILE):
            place = self._end
            try:
                while left:
                    left = left[os.write(self._writer, left) :]
            except OSError:
                os.truncate(self._writer, place)
                raise
            self._end += size
            return place

    def _keep(self, frame: Frame) -> None:
        """A picture, whole or not at all."""
        from PIL import Image

        path = self.folder / FRAMES / f"{frame.name}.png"
        if path.exists():
            return
        with explain_writing(path):
            handle, unfinished = tempfile.mkstemp(dir=path.parent, suffix=TEMPORARY)
            try:
                with open(handle, "wb") as file:
                    Image.fromarray(frame.array()).save(file, format="PNG", compress_level=3)
                os.replace(unfinished, path)
            except BaseException:
                with suppress(OSError):
                    os.unlink(unfinished)
                raise


def _opened(folder: Path, writes: bool) -> BinaryIO:
    path = inside(folder, FILE)
    with explain_writing(path):
        flags = os.O_RDONLY | os.O_NONBLOCK | (os.O_CREAT if writes else 0)
        try:
            file = open(os.open(path, flags, 0o666), "rb")  # noqa: SIM115 - as long as the log
        except (FileNotFoundError, NotADirectoryError) as fault:
            raise UserError(
                f"{folder} holds no {FILE}; give a folder that model.record wrote, or a run's whose agent prompts"
            ) from fault
        except OSError as fault:
            if writes and not isinstance(fault, IsADirectoryError):
                raise
            raise UserError(f"{path} cannot be read ({fault.strerror}); restore it") from fault
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        raise UserError(f"{path} is no plain file; restore it")
    return file


def _key(model: str, request: str) -> bytes:
    return bytes.fromhex(model[:16] + request)


def _is_name(name: Any) -> TypeGuard[str]:
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        content = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _change(values: Any) -> Spent | None:
    """A change of what is spent, if it is one."""
    if not (isinstance(values, list) and len(values) == 3 and all(type(one) in (int, float) for one in values)):
        return None
    calls, tokens, cost = values
    whole = type(calls) is int and type(tokens) is int and abs(calls) < 2**53 and abs(tokens) < 2**53
    return Spent(calls, tokens, float(cost)) if whole and abs(cost) < 1e300 else None


def _reply(content: Mapping[str, Any] | None) -> Reply | None:
    """The reply of a call, if it is one."""
    try:
        reply = _REPLY.validate_json(json.dumps((content or {}).get("reply")), strict=True)
    except ValidationError:
        return None
    counts = (reply.tokens_in, reply.tokens_out, reply.dropped, reply.merged, reply.requests)
    return reply if min(counts) >= 0 and 0 <= reply.cost < math.inf else None
