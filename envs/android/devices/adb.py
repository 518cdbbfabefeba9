"""A phone driven through adb: an emulator, a handset, or the simulated phone behind `adb_server`."""

import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agentlab_runner.envs.android.device import DeviceUnavailable
from agentlab_runner.envs.android.devices.shell_phone import AnswerLost, NotSent, ShellPhone

_STARTED: set[int] = set()
"""Ports of the adb servers that this process has started."""


class AdbPhone(ShellPhone):
    """A phone attached to an adb server, by the pure Python client of `adbutils`.

    Args:
        serial: of the phone; a list shares the phones out by `worker`; None takes the `worker`-th of those attached.
        host, port: of the adb server; a local one is started if there is none, and ended again if it knows no such
            phone.
        scale, retries, retry_wait, settle: see ShellPhone.
        timeout: seconds a request may take.
        worker: which of the parallel environments this phone is for.

    Raises:
        ValueError: an option is out of its range.
        DeviceUnavailable: adb or the phone is not there; the message says what to do.
    """

    def __init__(
        self,
        serial: str | Sequence[str] | None = None,
        host: str = "127.0.0.1",
        port: int = 5037,
        scale: float = 0.25,
        retries: int = 3,
        retry_wait: float = 0.5,
        settle: float = 1.0,
        timeout: float = 20.0,
        worker: int = 0,
    ) -> None:
        if timeout <= 0:
            raise ValueError(f"timeout is {timeout}; give more than 0 seconds")
        super().__init__("", scale, retries, retry_wait, settle)
        self.host, self.port, self.timeout = host, port, timeout
        self._client = _client(host, port, timeout)
        try:
            self.serial = _choose(self._states(), serial, worker)
            self._device = self._client.device(self.serial)
            self.screen  # noqa: B018 - the first question: does it answer at all?
        except ConnectionError as fault:
            if port in _STARTED:
                self._client.server_kill()
                _STARTED.discard(port)
            raise DeviceUnavailable(str(fault)) from fault

    def _send(self, command: str) -> tuple[bytes, int]:
        from adbutils import AdbError, AdbTimeout

        if not _listening(self.host, self.port):  # adbutils would start a server on its own, on the default port
            raise NotSent("no adb server")
        try:
            answer = self._device.shell2(command, timeout=self.timeout, encoding=None, v2=True)
        except (EOFError, AdbTimeout, ConnectionResetError) as error:
            raise AnswerLost(str(error)) from error
        except (AdbError, OSError, ValueError) as error:
            raise NotSent(str(error)) from error
        return answer.stdout or answer.output, answer.returncode

    def _reconnect(self) -> None:
        from adbutils import AdbError

        if not _listening(self.host, self.port):
            return
        try:
            if ":" in self.serial:
                self._client.connect(self.serial, timeout=self.timeout)
            with self._client.make_connection(timeout=self.timeout) as connection:
                connection.send_command("host:reconnect-offline")
                connection.check_okay()
        except (AdbError, OSError, ValueError):
            pass

    def _states(self) -> dict[str, str]:
        """State by serial, as `adb devices` shows it."""
        from adbutils import AdbError

        try:
            return {info.serial: info.state for info in self._client.list()}
        except (AdbError, OSError, ValueError) as error:
            raise DeviceUnavailable(
                f"what answers at {self.host}:{self.port} is no adb server ({error}); check env.device.port"
            ) from error

    def _advice(self, reason: object) -> str:
        if not _listening(self.host, self.port):
            return f"the adb server at {self.host}:{self.port} is gone; start it with `adb start-server`"
        try:
            state = self._states().get(self.serial)
        except DeviceUnavailable as error:
            return str(error)
        if state != "device":
            return _state_advice(state)
        return f"it is attached but did not answer {self.retries + 1} times ({reason}); restart it"


def _client(host: str, port: int, timeout: float) -> Any:
    """An adbutils client of a server that listens; a local server is started where there is none."""
    try:
        import adbutils
    except ImportError as error:
        raise DeviceUnavailable("the package adbutils is missing, without which no phone can be reached") from error
    if not _listening(host, port):
        if host not in ("127.0.0.1", "localhost"):
            raise DeviceUnavailable(f"no adb server at {host}:{port}; start it there with `adb -a start-server`")
        try:
            command = [adbutils.adb_path(), "-P", str(port), "start-server"]
            _STARTED.add(port)
            subprocess.run(command, timeout=timeout, check=True, capture_output=True)
        except (adbutils.AdbError, FileNotFoundError):
            raise DeviceUnavailable(
                "adb was not found; install Android's platform-tools and put adb on the PATH, or use env/device=sim"
            ) from None
        except (subprocess.SubprocessError, OSError) as error:
            raise DeviceUnavailable(f"`{' '.join(command)}` failed: {error}; run it by hand to see why") from error
    return adbutils.AdbClient(host, port, socket_timeout=timeout)


def _choose(states: dict[str, str], serial: str | Sequence[str] | None, worker: int) -> str:
    """The serial for a worker; raises DeviceUnavailable unless that phone is attached and online."""
    if isinstance(serial, str):
        wanted = [serial]
    else:
        wanted = list(serial or sorted(states, key=lambda name: (states[name] != "device", name)))
    if not wanted:
        slow = "" if Path("/dev/kvm").exists() else " (too slow to use here, since this machine has no /dev/kvm)"
        raise DeviceUnavailable(
            f"adb sees no phone; plug one in with USB debugging on, start an emulator{slow}, or use env/device=sim"
        )
    if worker >= len(wanted):
        raise DeviceUnavailable(
            f"env.num_envs asks for phone number {worker + 1}, but there is only {', '.join(wanted)}; "
            f"attach more phones or set env.num_envs={len(wanted)}"
        )
    chosen = wanted[worker]
    if chosen not in states:
        attached = ", ".join(sorted(states)) or "none"
        raise DeviceUnavailable(f"no phone has the serial {chosen!r}; attached are: {attached} (`adb devices`)")
    if states[chosen] != "device":
        raise DeviceUnavailable(f"phone {chosen} cannot be used: {_state_advice(states[chosen])}")
    return chosen


def _state_advice(state: str | None) -> str:
    match state:
        case None:
            return "it is not attached any more; plug it in again or restart the emulator"
        case "offline":
            return "it is offline; replug the cable, restart the emulator, or run `adb reconnect offline`"
        case "unauthorized":
            return "it has not authorised this computer; confirm the dialog on its screen"
    return f"it is in state {state!r}; wait until `adb devices` says device"


def _listening(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=1.0):
            return True
    except OSError:
        return False
