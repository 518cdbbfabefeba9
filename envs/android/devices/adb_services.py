"""The phone's side of adb: one shell command, and the files behind `adb pull` and `adb push`.

Beside what a phone's shell knows, the simulated phone understands `agentlab-phone`, by which a client on the other
side of a wire sets a task up and asks whether it is done:

    agentlab-phone reset TASK_JSON SEED
    agentlab-phone success TASK_JSON      -> true | false
"""

import json
import re
import shlex
import socket
import struct
from typing import Protocol

from agentlab_runner.envs.android.device import PhoneDevice, TaskSpec
from agentlab_runner.envs.android.sim.shell import bytes_of, path_of, text_of

COMMAND = "agentlab-phone"
NOT_FOUND = 127
"""Exit code of a shell that does not know a command."""

_ECHO_CODE = re.compile(r"(.*?)\s*; echo (\S*?)\$\?", re.DOTALL)
"""How clients without the shell v2 protocol learn an exit code."""
_CHUNK = 64 * 1024
_MAX_FILE = 256 * 1024 * 1024
_REGULAR, _FOLDER = 0o100644, 0o040755


class PhoneShell(PhoneDevice, Protocol):
    """A phone that can run a shell command as adbd would."""

    files: dict[str, str]
    """By path; see `envs.android.sim.shell`."""

    def run_shell(self, command: str) -> tuple[str, int]:
        """Output and exit code."""


def task_to_json(task: TaskSpec | None) -> str:
    """A task as one line of JSON; None is `null`."""
    if task is None:
        return "null"
    return json.dumps({"template": task.template, "goal": task.goal, "level": task.level, "params": dict(task.params)})


def task_from_json(text: str) -> TaskSpec | None:
    """The inverse of `task_to_json`.

    Raises:
        ValueError: not such a task.
    """
    try:
        read = json.loads(text)
        if read is None:
            return None
        params = tuple(sorted((str(name), str(value)) for name, value in read["params"].items()))
        return TaskSpec(str(read["template"]), str(read["goal"]), int(read["level"]), params)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"not a task in JSON (template, goal, level, params): {text[:80]}") from error


def run_command(phone: PhoneShell, command: str) -> tuple[bytes, int]:
    """Output and exit code of a shell command on the phone."""
    if asked := _ECHO_CODE.fullmatch(command):
        output, code = run_command(phone, asked[1])
        return output + f"{asked[2]}{code}\n".encode(), 0
    if command.split(" ", 1)[0] == COMMAND:
        return _task_command(phone, command)
    text, code = phone.run_shell(command)
    return bytes_of(text), code


def _task_command(phone: PhoneShell, command: str) -> tuple[bytes, int]:
    try:
        match shlex.split(command)[1:]:
            case ["reset", task, seed]:
                phone.reset(task_from_json(task), int(seed))
                return b"", 0
            case ["success", text]:
                known = task_from_json(text)
                if known is None:
                    raise ValueError("success needs a task")
                return (b"true\n" if phone.task_success(known) else b"false\n"), 0
    except (ValueError, KeyError) as error:
        return f"{COMMAND}: {error}\n".encode(), 1
    return f"usage: {COMMAND} reset TASK_JSON SEED | {COMMAND} success TASK_JSON\n".encode(), 2


def serve_sync(connection: socket.socket, phone: PhoneShell) -> None:
    """The file service of adb (AOSP, SYNC.TXT, version 1): STAT, LIST, RECV and SEND until the client quits."""
    while header := _exactly(connection, 8):
        request, size = header[:4], struct.unpack("<I", header[4:])[0]
        path = _exactly(connection, min(size, _CHUNK)).decode(errors="replace")
        match request:
            case b"STAT":
                connection.sendall(b"STAT" + struct.pack("<III", *_stat(phone, path)))
            case b"LIST":
                for name in _list(phone, path):
                    entry = (*_stat(phone, f"{path.rstrip('/')}/{name}"), len(name.encode()))
                    connection.sendall(b"DENT" + struct.pack("<IIII", *entry) + name.encode())
                connection.sendall(b"DONE" + bytes(16))
            case b"RECV":
                _send_file(connection, _read(phone, path), path)
            case b"SEND":
                _store_file(connection, phone, path.rsplit(",", 1)[0])
            case _:
                return


def _stat(phone: PhoneShell, path: str) -> tuple[int, int, int]:
    """mode, size, time of change; zeros where there is no such file."""
    content = _read(phone, path)
    if content is not None:
        return _REGULAR, len(content), 0
    _, code = phone.run_shell(f"ls {shlex.quote(path)}")
    return (_FOLDER, 0, 0) if code == 0 else (0, 0, 0)


def _list(phone: PhoneShell, path: str) -> list[str]:
    output, code = run_command(phone, f"ls {shlex.quote(path)}")
    return output.decode().split("\n")[:-1] if code == 0 else []


def _read(phone: PhoneShell, path: str) -> bytes | None:
    output, code = run_command(phone, f"cat {shlex.quote(path)}")
    return output if code == 0 else None


def _send_file(connection: socket.socket, content: bytes | None, path: str) -> None:
    if content is None:
        reason = f"open failed: {path}: No such file or directory".encode()
        connection.sendall(b"FAIL" + struct.pack("<I", len(reason)) + reason)
        return
    for start in range(0, len(content), _CHUNK):
        chunk = content[start : start + _CHUNK]
        connection.sendall(b"DATA" + struct.pack("<I", len(chunk)) + chunk)
    connection.sendall(b"DONE" + bytes(4))


def _store_file(connection: socket.socket, phone: PhoneShell, path: str) -> None:
    content = bytearray()
    while header := _exactly(connection, 8):
        kind, size = header[:4], struct.unpack("<I", header[4:])[0]
        if kind != b"DATA":
            break
        content += _exactly(connection, size)
        if len(content) > _MAX_FILE:
            reason = b"the simulated phone takes no file above 256 MB"
            connection.sendall(b"FAIL" + struct.pack("<I", len(reason)) + reason)
            return
    phone.files[path_of(path)] = text_of(bytes(content))
    connection.sendall(b"OKAY" + bytes(4))


def _exactly(connection: socket.socket, size: int) -> bytes:
    """`size` bytes, or none at all if the client went away."""
    received = bytearray()
    while len(received) < size:
        chunk = connection.recv(min(size - len(received), _CHUNK))
        if not chunk:
            return b""
        received += chunk
    return bytes(received)
