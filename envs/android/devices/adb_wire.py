"""How adb frames what it says: requests, length-prefixed answers, packets of the shell v2 protocol."""

import contextlib
import select
import socket
import struct

STDOUT, EXIT = 1, 3
"""Packet ids of the shell v2 protocol."""


def read_request(connection: socket.socket) -> str | None:
    """The next request, or None when the client went away or does not speak the protocol."""
    try:
        size = int(read(connection, 4), 16)
    except ValueError:
        return None
    return read(connection, size).decode(errors="replace")


def read(connection: socket.socket, size: int) -> bytes:
    received = b""
    while len(received) < size:
        chunk = connection.recv(size - len(received))
        if not chunk:
            break
        received += chunk
    return received


def block(content: bytes) -> bytes:
    return b"%04x" % len(content) + content


def packet(kind: int, content: bytes) -> bytes:
    """Shell v2: a byte of kind, four of length, the content."""
    return struct.pack("<BI", kind, len(content)) + content


def has_left(connection: socket.socket) -> bool:
    """Whether the client closed its end (it has nothing more to say where this is asked)."""
    readable, _, _ = select.select([connection], [], [], 0)
    return bool(readable) and connection.recv(1, socket.MSG_PEEK) == b""


def hang_up(connection: socket.socket) -> None:
    """Close without losing what was sent: what the client still says is read away first (TCP would reset otherwise)."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(0.5)
        while connection.recv(4096):
            pass
    connection.close()
