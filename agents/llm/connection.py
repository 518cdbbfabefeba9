"""One connection to a server, which a clock or another thread can end whatever the server does."""

import socket
import ssl
import threading
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import httpx

ANSWER_LIMIT = 2**26
"""Bytes of one answer, unpacked."""
UNPACKED = 2**20
"""Bytes that are unpacked at once."""


class TooLong(Exception):
    """The server sends more than any answer has; the message is its status."""


class Connection:
    """Asks one thing at a time.

    Args:
        context: what is trusted; reading the machine's certificates takes a while, so all connections share it.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        self._client = httpx.Client(verify=context, follow_redirects=False)
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()
        self.ended = False
        """It is of no use any more."""

    def ask(
        self, method: str, url: str, content: bytes | None, headers: Mapping[str, str], limit: float
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body, all of it within `limit` seconds and `ANSWER_LIMIT` bytes.

        httpx waits so long for each piece, and for any number of pieces; packed in several layers a small answer
        would fill the memory.

        Raises:
            httpx.TransportError or httpx.DecodingError: of these `ReadTimeout` if the time is over.
            TooLong: if it is larger.
        """
        with self._clock(limit):
            watched = {"trace": self._watch}
            with self._client.stream(
                method, url, content=content, headers=headers, timeout=limit, extensions=watched
            ) as response:
                body = b"".join(_within(response))
                return response.status_code, dict(response.headers), body

    def end(self) -> None:
        """Whoever waits for an answer here waits no longer."""
        with self._lock:
            self.ended = True
            self._shut()

    @contextmanager
    def _clock(self, limit: float) -> Iterator[None]:
        clock = threading.Timer(limit, self.end)
        clock.daemon = True
        clock.start()
        try:
            yield
        except Exception as fault:
            if self.ended:
                raise httpx.ReadTimeout("it was ended") from fault
            raise
        finally:
            clock.cancel()

    def _watch(self, event: str, info: dict[str, Any]) -> None:
        """Told by httpcore what happens; a connection is known from when it is made."""
        made = info.get("return_value")
        if event.startswith("connection.") and made is not None and hasattr(made, "get_extra_info"):
            with self._lock:
                self._socket = made.get_extra_info("socket")
                if self.ended:
                    self._shut()

    def _shut(self) -> None:
        if self._socket is not None:
            with suppress(OSError):
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)  # an SSLSocket's own forgets its reader


def _within(response: httpx.Response) -> Iterator[bytes]:
    coding = response.headers.get("content-encoding", "").strip().lower()
    if coding not in ("", "identity", "gzip", "x-gzip", "deflate"):
        raise httpx.DecodingError(f"it is packed as {coding[:40]}, which was not asked for")
    unpack = None if coding in ("", "identity") else zlib.decompressobj(32 + zlib.MAX_WBITS)
    size = 0
    for chunk in response.iter_raw():
        for piece in (chunk,) if unpack is None else _unpacked(unpack, chunk):
            size += len(piece)
            if size > ANSWER_LIMIT:
                raise TooLong(response.status_code)
            yield piece


def _unpacked(unpack: Any, chunk: bytes) -> Iterator[bytes]:
    try:
        while chunk:
            yield unpack.decompress(chunk, UNPACKED)
            chunk = unpack.unconsumed_tail
    except zlib.error as fault:
        raise httpx.DecodingError(str(fault)) from fault
