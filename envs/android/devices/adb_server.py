"""Simulated phones behind the adb host protocol, so that the real adb client, and all that speaks to it, can use them.

The protocol (AOSP, packages/modules/adb, OVERVIEW.TXT and SERVICES.TXT): a request is four hex digits of length and
that many bytes; the answer is OKAY, or FAIL with a length-prefixed reason. A `host:` request is for the server; after
`host:transport:SERIAL` the connection speaks to that phone. adb has no password, so the server listens on the loopback
interface alone.
"""

import contextlib
import ipaddress
import socket
import socketserver
import struct
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import Any, Self

from agentlab_runner.envs.android.devices.adb_services import PhoneShell, run_command, serve_sync
from agentlab_runner.envs.android.devices.adb_wire import EXIT, STDOUT, block, hang_up, has_left, packet, read_request

VERSION = 41
"""Of the protocol; a client with another number would try to replace the server."""
FEATURES = b"shell_v2"


class State(StrEnum):
    """What `adb devices` says of a phone."""

    DEVICE = "device"
    OFFLINE = "offline"
    UNAUTHORIZED = "unauthorized"


class Fault(StrEnum):
    """What can go wrong with one service request."""

    DROP = "drop"          # the connection closes before the phone does anything
    TRUNCATE = "truncate"  # the phone does it, half of the answer arrives, then the connection closes
    GARBAGE = "garbage"    # bytes that are not the protocol
    SLOW = "slow"          # the answer comes after `FaultPlan.delay`
    OFFLINE = "offline"    # the phone is offline from now on
    GONE = "gone"          # the phone is unplugged from now on


@dataclass(slots=True)
class FaultPlan:
    """Which of a server's service requests (shell, exec, sync) go wrong, counted from 0; for tests."""

    at: Mapping[int, Fault] = field(default_factory=dict)
    delay: float = 0.5
    """Seconds a slow answer takes."""
    seen: int = 0
    """Requests counted so far."""

    def next(self) -> Fault | None:
        self.seen += 1
        return self.at.get(self.seen - 1)


@dataclass(slots=True)
class _Attached:
    phone: PhoneShell
    number: int
    state: State = State.DEVICE
    lock: threading.Lock = field(default_factory=threading.Lock)


class _Refused(Exception):
    """Answered with FAIL and this text."""


class PhoneServer:
    """An adb server with simulated phones attached.

    Use it as a context manager, or `start` and `stop` it. One thread serves one connection; one phone does one thing at
    a time.

    Args:
        phones: phone by serial (`emulator-5554`, ...).
        host: a loopback address; adb has no password.
        port: 0 takes a free one; read `port` afterwards.
        faults: what goes wrong, for tests.

    Raises:
        ValueError: `host` is not a loopback address, or the port is taken.
    """

    def __init__(
        self,
        phones: Mapping[str, PhoneShell],
        host: str = "127.0.0.1",
        port: int = 0,
        faults: FaultPlan | None = None,
    ) -> None:
        if not ipaddress.ip_address(host).is_loopback:
            raise ValueError(f"adb has no password, so phones are served on a loopback address only, not on {host}")
        self.faults = faults or FaultPlan()
        self.stopping = threading.Event()
        self._attached = {serial: _Attached(phone, number) for number, (serial, phone) in enumerate(phones.items(), 1)}
        self._changed = threading.Condition()
        self._connections: set[socket.socket] = set()
        try:
            self._server = _Listener((host, port), self)
        except OSError as error:
            raise ValueError(
                f"port {port} of {host} is taken ({error.strerror}), perhaps by a real adb server; "
                "stop that with `adb kill-server`, or choose another port"
            ) from error
        self.host, self.port = host, int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def start(self) -> Self:
        """Answer from now on."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Close every connection and the port."""
        self.stopping.set()
        with self._changed:
            self._changed.notify_all()
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)  # wakes its thread, which then closes it

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *error: object) -> None:
        self.stop()

    def set_state(self, serial: str, state: State) -> None:
        """Put a phone online, offline or out of authorisation."""
        with self._changed:
            self._attached[serial].state = state
            self._changed.notify_all()

    def attach(self, serial: str, phone: PhoneShell) -> None:
        """Plug another phone in."""
        with self._changed:
            number = 1 + max((known.number for known in self._attached.values()), default=0)
            self._attached[serial] = _Attached(phone, number)
            self._changed.notify_all()

    def detach(self, serial: str) -> None:
        """Unplug a phone."""
        with self._changed:
            self._attached.pop(serial, None)
            self._changed.notify_all()

    # One connection

    def serve(self, connection: socket.socket) -> None:
        """Answer one client until it or the server hangs up."""
        self._connections.add(connection)
        try:
            chosen: tuple[str, _Attached] | None = None
            while (request := read_request(connection)) is not None:
                try:
                    if chosen is None:
                        chosen = self._host_request(connection, request)
                        if chosen is None:
                            break
                    else:
                        self._service(connection, request, *chosen)
                        break
                except _Refused as refusal:
                    connection.sendall(b"FAIL" + block(str(refusal).encode()))
                    break
        except OSError:
            pass  # the client went away
        finally:
            self._connections.discard(connection)
            hang_up(connection)

    def _host_request(self, connection: socket.socket, request: str) -> tuple[str, _Attached] | None:
        """Answer a request for the server; gives the phone when the connection is to go on with one."""
        scope, _, name = request.partition(":")
        chosen: tuple[str, _Attached] | None = None
        if scope == "host-serial":
            serial, name = self._split_serial(name)
            chosen = serial, self._get(serial)
        elif scope == "host-transport-id":
            number, _, name = name.partition(":")
            chosen = self._numbered(number)
        elif scope not in ("host", "host-usb", "host-local"):
            raise _Refused(f"unknown request {request}; choose a phone first (host:transport:SERIAL)")
        verb, _, argument = name.partition(":")
        if verb == "transport" or verb.startswith("transport-") or verb == "tport":
            chosen = self._transport(verb, argument)
            _require_online(chosen[1])
            connection.sendall(b"OKAY" + (struct.pack("<Q", chosen[1].number) if verb == "tport" else b""))
            return chosen
        if verb.startswith("track-devices"):
            self._track(connection, long=verb.endswith("-l"))
        elif verb.startswith("wait-for-"):
            self._wait_for(connection, chosen[0] if chosen else None, verb.rsplit("-", 1)[-1])
        else:
            connection.sendall(b"OKAY" + self._answer(verb, argument, chosen))
        return None

    def _answer(self, verb: str, argument: str, chosen: tuple[str, _Attached] | None) -> bytes:
        match verb:
            case "version":
                return block(b"%04x" % VERSION)
            case "devices" | "devices-l":
                return block(self._listing(long=verb.endswith("-l")))
            case "host-features":
                return block(FEATURES)
            case "list-forward":
                return block(b"")
            case "reconnect-offline" | "reconnect":
                return block(b"done\n")
            case "connect" | "disconnect":
                known = "already" if argument in self._attached else "not"
                return block(f"{known} connected to {argument}\n".encode())
            case "kill":
                raise _Refused("this server shows agentlab's simulated phones; stop it where it runs, with Ctrl-C")
            case "features" | "get-state" | "get-serialno" | "get-devpath":
                serial, attached = chosen or self._only()
                if verb == "get-state":
                    return block(attached.state.encode())
                _require_online(attached)
                return block({"features": FEATURES, "get-serialno": serial.encode()}.get(verb, b"simulated"))
        raise _Refused(f"the simulated phone does not offer {verb!r}")

    def _listing(self, long: bool) -> bytes:
        lines = []
        for serial, attached in sorted(self._attached.items()):
            if long:
                about = "product:agentlab model:SimPhone device:sim"
                lines.append(f"{serial:<22} {attached.state.value} {about} transport_id:{attached.number}\n")
            else:
                lines.append(f"{serial}\t{attached.state.value}\n")
        return "".join(lines).encode()

    def _track(self, connection: socket.socket, long: bool) -> None:
        """Send the list of phones whenever it changes, until the client goes away."""
        connection.sendall(b"OKAY")
        sent: bytes | None = None
        while not self.stopping.is_set() and not has_left(connection):
            with self._changed:
                listing = self._listing(long)
                if listing == sent:
                    self._changed.wait(timeout=0.2)
                    continue
            connection.sendall(block(listing))
            sent = listing

    def _wait_for(self, connection: socket.socket, serial: str | None, wanted: str) -> None:
        """Answer once when asked and again when a phone is in the wanted state."""
        connection.sendall(b"OKAY")

        def reached() -> bool:
            known = [a for name, a in self._attached.items() if serial in (None, name)]
            if wanted == "disconnect":
                return not known
            return any(attached.state == wanted for attached in known)

        while not self.stopping.is_set() and not has_left(connection):
            with self._changed:
                if reached() or self._changed.wait_for(reached, timeout=0.2):
                    break
        connection.sendall(b"OKAY")

    def _service(self, connection: socket.socket, request: str, serial: str, attached: _Attached) -> None:
        """Answer a request for one phone."""
        fault = self.faults.next()
        match fault:
            case Fault.DROP:
                return
            case Fault.GARBAGE:
                connection.sendall(b"\xde\xad\xbe\xef")
                return
            case Fault.OFFLINE:
                self.set_state(serial, State.OFFLINE)
            case Fault.GONE:
                self.detach(serial)
                return
            case Fault.SLOW:
                self.stopping.wait(self.faults.delay)
        _require_online(attached)
        name, _, command = request.partition(":")
        kind, *options = name.split(",")
        if kind == "sync":
            connection.sendall(b"OKAY")
            with attached.lock:
                serve_sync(connection, attached.phone)
            return
        if kind not in ("shell", "exec"):
            raise _Refused(f"the simulated phone does not offer {request[:60]!r}")
        if not command.strip():
            raise _Refused("the simulated phone has no interactive shell; give the command, as in `adb shell wm size`")
        with attached.lock:
            output, code = run_command(attached.phone, command)
        if kind == "shell" and "v2" in options:
            output = packet(STDOUT, output) + packet(EXIT, bytes([code & 0xFF]))
        if fault is Fault.TRUNCATE:
            output = output[: len(output) // 2]
        connection.sendall(b"OKAY" + output)

    # Which phone

    def _split_serial(self, rest: str) -> tuple[str, str]:
        """SERIAL:REQUEST, where a serial may itself hold a colon (127.0.0.1:5555)."""
        for serial in self._attached:
            if rest.startswith(serial + ":"):
                return serial, rest[len(serial) + 1 :]
        serial, _, request = rest.rpartition(":")
        return serial, request

    def _transport(self, verb: str, argument: str) -> tuple[str, _Attached]:
        if verb == "transport":
            return argument, self._get(argument)
        if verb == "transport-id":
            return self._numbered(argument)
        if verb == "tport" and argument.startswith("serial:"):
            serial = argument.removeprefix("serial:")
            return serial, self._get(serial)
        return self._only()

    def _get(self, serial: str) -> _Attached:
        try:
            return self._attached[serial]
        except KeyError:
            raise _Refused(f"device '{serial}' not found") from None

    def _numbered(self, number: str) -> tuple[str, _Attached]:
        for serial, attached in self._attached.items():
            if str(attached.number) == number:
                return serial, attached
        raise _Refused(f"no device with transport id '{number}'")

    def _only(self) -> tuple[str, _Attached]:
        if not self._attached:
            raise _Refused("no devices/emulators found")
        if len(self._attached) > 1:
            raise _Refused("more than one device/emulator")
        return next(iter(self._attached.items()))


class _Listener(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], phones: PhoneServer) -> None:
        self.phones = phones
        super().__init__(address, _Connection)


class _Connection(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, _Listener)
        self.server.phones.serve(self.request)


def _require_online(attached: _Attached) -> None:
    if attached.state is State.OFFLINE:
        raise _Refused("device offline")
    if attached.state is State.UNAUTHORIZED:
        raise _Refused("device unauthorized.\nPlease check the confirmation dialog on your device.")


_say = partial(print, flush=True)  # at once, also into a pipe


def serve(
    phone: Callable[[], PhoneShell],
    phones: int = 1,
    port: int = 5037,
    report: Callable[[str], Any] = _say,
    stop: threading.Event | None = None,
) -> None:
    """Show simulated phones to every adb client of this machine until interrupted (`agentlab phone serve`).

    Args:
        phone: makes one phone.
        phones: how many; their serials are emulator-5554, emulator-5556, ...
        port: of the adb server; 5037 is where adb looks by itself.
        report: is told what to type next.
        stop: ends the service when set; without it Ctrl-C does.

    Raises:
        ValueError: fewer than 1 phone, or the port is taken.
    """
    if phones < 1:
        raise ValueError(f"phones is {phones}; serve at least 1")
    stop = stop or threading.Event()
    serials = [f"emulator-{5554 + 2 * number}" for number in range(phones)]
    with PhoneServer({serial: phone() for serial in serials}, port=port) as server, contextlib.suppress(
        KeyboardInterrupt
    ):
        flag = "" if server.port == 5037 else f"-P {server.port} "
        report(f"serving {', '.join(serials)} on {server.host}:{server.port}; try: adb {flag}shell wm size")
        stop.wait()
