"""The real thing: VirtualHome's Unity simulator over its HTTP protocol.

Every call is a POST to the root with `{id, action, intParams, stringParams}`, answered by `{success, message, value,
message_list}`; the executable (2.2 or 2.3) listens on port 8080 unless told otherwise.
"""

import contextlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Sequence
from typing import Any

from agentlab_runner.envs.virtualhome.graph import Graph

CHARACTER = "<char0>"


class UnityHousehold:
    """A running VirtualHome executable, one for each worker.

    Args:
        worker: whose executable it is.
        host: where it listens.
        port: of the first worker's; the next ones listen on the following ports.
        scene: number of the apartment, or None for the one it has loaded.
        character: resource of the character that is added.
        room: where the character begins.
        timeout: seconds a whole answer may take.

    Raises:
        ConnectionError: from any call, naming the address, the action and what to do.
    """

    blocking = True

    def __init__(
        self,
        worker: int = 0,
        host: str = "127.0.0.1",
        port: int = 8080,
        scene: int | None = 0,
        character: str = "Chars/Female1",
        room: str = "kitchen",
        timeout: float = 30.0,
    ) -> None:
        self.host, self.port, self.scene = host, port + worker, scene
        self.character, self.room, self.timeout = character, room, timeout
        self._graph: Graph | None = None
        self.call("idle")

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def reset(self, strict_original: bool = False) -> Graph:
        """Load the scene and put the character into its room; what can be done there is the executable's to say."""
        self.call("reset", [] if self.scene is None else [self.scene])
        where = {"mode": "fix_room", "character_resource": self.character, "initial_room": self.room}
        self.call("add_character", strings=[json.dumps(where)])
        return self._look()

    def do(self, verb: str, *things: int) -> tuple[Graph, bool]:
        """The home after a script line, and whether it could be done."""
        assert self._graph is not None, "reset comes first"
        named = " ".join(f"<{self._graph.nodes[thing].class_name}> ({thing})" for thing in things)
        settings = {
            "find_solution": False,
            "skip_animation": True,
            "recording": False,
            "image_synthesis": [],
            "processing_time_limit": max(1, int(self.timeout) - 5),
        }
        script = [json.dumps(settings), f"{CHARACTER} [{verb}] {named}".rstrip()]
        answer = self._post("render_script", strings=script)
        return self._look(), bool(answer.get("success"))

    def close(self) -> None:
        """The executable goes on; whoever started it ends it."""

    def call(self, action: str, ints: Sequence[int] = (), strings: Sequence[str] = ()) -> dict[str, Any]:
        """One call that has to succeed."""
        answer = self._post(action, ints, strings)
        if not answer.get("success"):
            raise ConnectionError(
                f"the simulator at {self.url} refused {action!r}: {answer.get('message') or 'it gave no reason'}; "
                "check that scene and executable are of the same version"
            )
        return answer

    def _look(self) -> Graph:
        answer = self.call("environment_graph")
        try:
            self._graph = Graph.of(json.loads(answer.get("message") or ""))
        except ValueError as fault:
            raise ConnectionError(
                f"the simulator at {self.url} answered 'environment_graph' with something else: {fault}"
            ) from fault
        return self._graph

    def _post(self, action: str, ints: Sequence[int] = (), strings: Sequence[str] = ()) -> dict[str, Any]:
        body = {"id": str(time.time()), "action": action, "intParams": list(ints), "stringParams": list(strings)}
        where = f"the simulator at {self.url} was asked for {action!r}"
        start = f"start VirtualHome's executable with -http-port={self.port}"
        try:
            status, content = self._exchange(json.dumps(body).encode())
            answer = json.loads(content) if status == http.client.OK else None
        except _TooLate as fault:
            cure = "raise household.timeout or restart it" if fault.reached else "check household.host"
            what = "did not answer" if fault.reached else "could not be reached"
            raise ConnectionError(f"{where} and {what} within {self.timeout:g} s; {cure}") from fault
        except (ConnectionResetError, BrokenPipeError, http.client.HTTPException) as fault:
            raise ConnectionError(
                f"{where} and closed the connection before its answer was whole ({fault}); if it is still running, "
                f"check that scene and executable are of the same version, else {start}"
            ) from fault
        except OSError as fault:
            raise ConnectionError(
                f"{where} and cannot be reached ({fault}); {start}, or set household.host and household.port"
            ) from fault
        except ValueError as fault:
            raise ConnectionError(f"{where} and answered with no JSON; is another program listening there?") from fault
        if status != http.client.OK:
            raise ConnectionError(
                f"{where} and answered with status {status}, an error of the engine; restart the executable"
            )
        if not isinstance(answer, dict):
            raise ConnectionError(f"{where} and answered with no object; is another program listening there?")
        return answer

    def _exchange(self, body: bytes) -> tuple[int, bytes]:
        """Status and content of one POST, all of it within `timeout`, however slowly it drips in.

        Raises:
            _TooLate: it was not.
        """
        began = time.monotonic()
        connection = http.client.HTTPConnection(self.host, self.port, timeout=self.timeout)
        late = threading.Event()

        try:
            connection.connect()
        except TimeoutError as fault:
            raise _TooLate(reached=False) from fault
        wire = connection.sock

        def hang_up() -> None:
            late.set()
            with contextlib.suppress(OSError):  # it has hung up itself
                wire.shutdown(socket.SHUT_RDWR)

        line = threading.Timer(max(0.0, self.timeout - (time.monotonic() - began)), hang_up)
        line.start()
        try:
            connection.request("POST", "/", body, {"Content-Type": "application/json"})
            reply = connection.getresponse()
            content = reply.read()
        except (OSError, http.client.HTTPException) as fault:
            if late.is_set() or isinstance(fault, TimeoutError):
                raise _TooLate(reached=True) from fault
            raise
        finally:
            line.cancel()
            line.join()
            connection.close()
        if late.is_set():
            raise _TooLate(reached=True)
        return reply.status, content


class _TooLate(Exception):
    """The answer was not whole in time; `reached` says whether there was a connection at all."""

    def __init__(self, reached: bool) -> None:
        super().__init__()
        self.reached = reached
