"""The process in which BrowserGym lives: started with its own Python, asked in lines of JSON, and gone when it must."""

import json
import os
import selectors
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from agentlab_runner.envs.browser import chromium

VARIABLE = "AGENTLAB_BROWSERGYM"
BESIDE = Path(__file__).parents[2] / ".venv-browsergym" / "bin" / "python"
SERVER = Path(__file__).with_name("server.py")
START = 120.0
"""Seconds for BrowserGym to be imported; a busy machine takes a while."""
GRACE = 5.0
"""Seconds for its browsers to be closed."""
LONGEST = 1 << 26
"""Bytes of an answer."""


Seen = Mapping[str, Any]
"""What is shown of a page: `goal`, `tabs`, `active`, `tree`, `focused`, `error`, `elements`, and what was asked for."""


class Gone(ConnectionError):
    """The process ended, did not answer in time, or its page is not there."""


class Refused(ValueError):
    """There is no such package or task, or no Python that has BrowserGym."""


def find(python: str | None = None) -> str:
    """The Python that has BrowserGym.

    Raises:
        Refused: if there is none, or it cannot be run.
    """
    asked = python or os.environ.get(VARIABLE)
    if asked:
        found = shutil.which(os.path.expanduser(asked))
        if found is None:
            where = "env.python" if python else VARIABLE
            raise Refused(f"{where} is {asked}, which is no program that can be run; name a Python that has BrowserGym")
        return found
    if not BESIDE.exists():
        raise Refused(
            "BrowserGym is not here; make browsergym installs it beside agentlab, in an environment of its own, or "
            f"name a Python that has it by env.python or {VARIABLE}"
        )
    return str(BESIDE)


class Client:
    """One child process, on which one thread at a time calls.

    Args:
        python: whose BrowserGym it is (`find`).
        package: `miniwob` for `browsergym.miniwob`.
        subsets: of calls that it may be asked for.
        executable: its browser, as `env.browser.executable`.
        patience: seconds in which it answers.

    Raises:
        Refused: if there is no such Python.
        chromium.Missing: if there is no browser.
    """

    def __init__(
        self, python: str | None, package: str, subsets: Sequence[str], executable: str | None, patience: float
    ) -> None:
        program, browser = find(python), chromium.find(executable)
        self.patience = patience
        self.tasks: Sequence[str] = ()
        """Names of the tasks there are, once it is open."""
        self.version = ""
        """BrowserGym's."""
        self.lost = ""
        """Why it is not there any more."""
        self._rest = b""
        chromium.sweep()
        self._lock, self.folder = chromium.own_folder()
        own = {"TMPDIR": str(self.folder), "PYTHONUNBUFFERED": "1"}
        hidden = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")  # they are of this Python
        surroundings = {name: value for name, value in os.environ.items() if name not in hidden} | own
        with open(self.folder / "stderr", "wb") as said:
            self._process = subprocess.Popen(
                [program, "-I", str(SERVER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said,
                env=surroundings, cwd=self.folder, start_new_session=True,
            )  # fmt: skip
        self._post("open", package=package, subsets=list(subsets), chromium=browser, home=str(self.folder))

    def opened(self) -> None:
        """Wait until it knows its tasks.

        Raises:
            Refused: if there is no such package.
            Gone: if it does not come up.
        """
        if not self.tasks and not self.lost:
            try:
                opened = self._answer(max(START, self.patience))
                self.tasks, self.version = tuple(opened["tasks"]), str(opened["version"])
            except Refused:
                self.close()
                raise

    def ask(self, do: str, **request: Any) -> dict[str, Any]:
        """Its answer to a request.

        Raises:
            Refused: if it is for what there is not.
            Gone: if there is none, or it could not do it; then it is ended.
        """
        self.opened()
        self._post(do, **request)
        return self._answer(self.patience)

    def close(self) -> None:
        """End it, its browsers and its folder."""
        if self.lost:
            return
        with suppress(Gone):
            self._post("close")
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(GRACE)
        self._end("it was closed", quote=False)

    def _post(self, do: str, **request: Any) -> None:
        if self.lost:
            raise Gone(self.lost)
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"do": do, **request}).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            raise self._end("BrowserGym's process ended") from None

    def _answer(self, patience: float) -> dict[str, Any]:
        if self.lost:
            raise Gone(self.lost)
        line = self._line(time.monotonic() + patience, patience)
        try:
            answer = json.loads(line)
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            raise self._end("BrowserGym's process answered with what is no JSON object")
        if "fault" in answer:
            if answer.get("kind") == "task":
                raise Refused(str(answer["fault"]))
            raise self._end(f"BrowserGym failed with {answer['fault']}", quote=False)
        return answer

    def _line(self, until: float, patience: float) -> bytes:
        assert self._process.stdout is not None
        pipe = self._process.stdout.fileno()
        parts = [self._rest]
        with selectors.DefaultSelector() as ready:
            ready.register(pipe, selectors.EVENT_READ)
            while b"\n" not in parts[-1]:
                if not ready.select(max(0.0, until - time.monotonic())):
                    raise self._end(f"BrowserGym's process has not answered within {patience:g} s")
                parts.append(os.read(pipe, 1 << 16))
                if not parts[-1]:
                    raise self._end("BrowserGym's process ended")
                if sum(map(len, parts)) > LONGEST:
                    raise self._end(f"BrowserGym's process answered with more than {LONGEST >> 20} MB")
        line, self._rest = b"".join(parts).split(b"\n", 1)
        return line

    def _end(self, why: str, quote: bool = True) -> Gone:
        """Kill what is left of it; gives the fault, with the last line that it said if it is to be quoted."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)  # the browsers hang on the pipe of the driver, which is in it
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(OSError):
                pipe.close()  # type: ignore[union-attr]
        lines: list[str] = []
        with suppress(OSError):
            lines = (self.folder / "stderr").read_text("utf-8", "replace")[-10_000:].splitlines()
        said = next((line.strip()[:300] for line in reversed(lines) if line.strip()), "")
        self.lost = f"{why}: {said}" if said and quote else why
        shutil.rmtree(self.folder, ignore_errors=True)
        self._lock.close()
        return Gone(self.lost)
