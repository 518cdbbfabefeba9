"""The DevTools protocol: commands and events of one browser, from any thread, over a pipe or a WebSocket."""

import itertools
import json
import os
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as Late
from contextlib import ExitStack, suppress
from typing import Any, Protocol

Event = Callable[[str, Mapping[str, Any]], None]
"""Receives an event's method and parameters, on the thread that reads; it may post and must not call."""


class Lost(ConnectionError):
    """The browser or the page went away, or has not answered in time."""


class Refused(ValueError):
    """The browser answered a command with an error."""


class Answer(dict[str, Any]):
    """The result of a command."""

    def __init__(self, method: str, result: Mapping[str, Any]) -> None:
        super().__init__(result)
        self._method = method

    def __missing__(self, key: str) -> Any:
        raise Refused(f"{self._method}: the answer has no {key}")


class Transport(Protocol):
    """Carries messages of JSON."""

    def send(self, message: str) -> None: ...

    def receive(self) -> str:
        """The next one.

        Raises:
            EOFError: if there is none any more.
        """

    def close(self) -> None: ...


class Pipe:
    """Two file descriptors; a zero byte ends each message."""

    def __init__(self, read: int, write: int) -> None:
        self._read, self._write, self._rest = read, write, b""

    def send(self, message: str) -> None:
        left = memoryview(message.encode() + b"\0")
        while left:
            left = left[os.write(self._write, left) :]

    def receive(self) -> str:
        parts = [self._rest]
        while b"\0" not in parts[-1]:
            if not (more := os.read(self._read, 1 << 16)):
                raise EOFError
            parts.append(more)
        message, self._rest = b"".join(parts).split(b"\0", 1)
        return message.decode("utf-8", "replace")

    def close(self) -> None:
        os.close(self._write)  # the browser ends at this, and then the reader sees the end


class Socket:
    """The WebSocket of a browser that is running already.

    Raises:
        OSError: if nothing that speaks it is there.
    """

    def __init__(self, url: str, patience: float) -> None:
        from websockets.exceptions import WebSocketException
        from websockets.sync.client import connect

        self._open = ExitStack()
        try:
            self._socket = self._open.enter_context(
                connect(url, open_timeout=patience, max_size=None, compression=None, proxy=None)
            )
        except WebSocketException as fault:
            raise ConnectionError(str(fault)) from fault

    def send(self, message: str) -> None:
        self._socket.send(message)

    def receive(self) -> str:
        from websockets.exceptions import ConnectionClosed

        try:
            return str(self._socket.recv())
        except ConnectionClosed as end:
            raise EOFError from end

    def close(self) -> None:
        self._open.close()


class Cdp:
    """One connection. Sessions are attached flat: a command goes to the page whose session it names.

    Args:
        patience: seconds in which an answer must come.
    """

    def __init__(self, transport: Transport, patience: float) -> None:
        self.patience = patience
        self.lost = ""
        """Why there is no browser any more."""
        self._transport = transport
        self._numbers = itertools.count(1)
        self._waiting: dict[int, tuple[str, Future[dict[str, Any]]]] = {}
        self._events: dict[str, Event] = {}
        self._sending = threading.Lock()
        self._reader = threading.Thread(target=self._read, name="cdp", daemon=True)
        self._reader.start()

    def call(self, method: str, session: str = "", patience: float | None = None, **parameters: Any) -> dict[str, Any]:
        """Send a command and wait for its answer.

        Raises:
            Refused: if it is an error.
            Lost: if none comes.
        """
        return self.answer(self.post(method, session, **parameters), method, patience)

    def answer(self, posted: "Future[dict[str, Any]]", method: str, patience: float | None = None) -> dict[str, Any]:
        """Wait for what was posted; raises as `call`."""
        try:
            answer = posted.result(self.patience if patience is None else patience)
        except Late:
            raise Lost(f"no answer to {method} within {self.patience:g} s") from None
        if "error" in answer:
            raise Refused(f"{method}: {answer['error'].get('message')}")
        return Answer(method, answer.get("result", {}))

    def post(self, method: str, session: str = "", **parameters: Any) -> "Future[dict[str, Any]]":
        """Send a command; what comes of it is in the future.

        Raises:
            Lost: if there is no browser to send it to.
        """
        number, future = next(self._numbers), Future[dict[str, Any]]()
        message = {"id": number, "method": method, "params": parameters} | ({"sessionId": session} if session else {})
        try:
            with self._sending:
                if self.lost:
                    raise Lost(self.lost)
                self._waiting[number] = session, future
                self._transport.send(json.dumps(message))
        except Lost:
            raise
        except OSError as fault:
            self._end(f"the browser is gone: {fault}")
            raise Lost(self.lost) from fault
        return future

    def listen(self, session: str, event: Event | None) -> None:
        """Who receives the events of a session ("": of the browser); None: nobody any more."""
        if event is None:
            self._events.pop(session, None)
        else:
            self._events[session] = event

    def abandon(self, session: str, why: str) -> None:
        """Nothing of this session is answered any more; whoever waits is told."""
        with self._sending:
            numbers = [number for number, (whose, _) in self._waiting.items() if whose == session]
            waiting = [self._waiting.pop(number)[1] for number in numbers]
        for future in waiting:
            future.set_exception(Lost(why))

    def close(self) -> None:
        """Hang up; whoever waits is told."""
        self._end("it was closed")
        self._transport.close()
        if threading.current_thread() is not self._reader:
            self._reader.join(self.patience)

    def _read(self) -> None:
        try:
            while True:
                self._take(json.loads(self._transport.receive()))
        except (EOFError, OSError) as fault:
            self._end(f"the browser is gone{f': {fault}' if str(fault) else ''}")
        except Exception as fault:  # whatever it said: nobody else would be told
            self._end(f"what answers speaks no DevTools protocol ({type(fault).__name__}: {str(fault)[:100]})")

    def _take(self, message: Any) -> None:
        """Give an answer to whom waits for it, or an event to whom listens."""
        parts = [message, *(message.get(name, {}) for name in ("result", "error", "params"))]
        if not all(isinstance(part, dict) for part in parts):
            raise ValueError("a part of a message is no object")
        if "id" in message:
            if waiting := self._waiting.pop(message["id"], None):
                waiting[1].set_result(message)
        elif event := self._events.get(message.get("sessionId", "")):
            with suppress(Lost):  # a page that is lost already answers no dialog
                event(message["method"], message.get("params", {}))

    def _end(self, why: str) -> None:
        with self._sending:
            self.lost = self.lost or why
            waiting, self._waiting = self._waiting, {}
        for _, future in waiting.values():
            future.set_exception(Lost(why))
