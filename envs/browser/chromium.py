"""Chromium as a child process: found, started without a port, shared by a few pages, and gone when it is not needed."""

import fcntl
import json
import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

import httpx

from agentlab_runner.envs.browser.cdp import Cdp, Lost, Pipe, Refused, Socket
from agentlab_runner.envs.browser.settings import BrowserSettings

VARIABLE = "AGENTLAB_CHROMIUM"
NAMES = ("chromium-headless-shell", "chromium", "google-chrome", "chromium-browser", "chrome")
INSTALL = "install chromium-headless-shell or chromium (make system), or name one by env.browser.executable"
FLAGS = (
    "--headless", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--no-default-browser-check",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
    "--mute-audio", "--hide-scrollbars", "--force-device-scale-factor=1", "--lang=en-US",
    "--font-render-hinting=none",  # else the headless shell and the whole browser place letters otherwise
    "--disable-renderer-backgrounding", "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows", "--host-resolver-rules=MAP * ~NOTFOUND", "--remote-debugging-pipe",
    "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",  # WebRTC goes by addresses, which need no name
)  # fmt: skip
PROFILE = "agentlab-browser-"
"""How the folder of a profile begins, beside those of other programs' in the temporary folder."""
MOST_TOLD = 1 << 16
"""Bytes that an endpoint says of itself."""
START = 10.0
"""Seconds for a browser to say who it is."""
_NOISE = ("dbus", "Fontconfig", "DevTools listening")


class Missing(ValueError):
    """There is no browser, or it does not start."""


def find(executable: str | None = None) -> str:
    """The browser's program.

    Raises:
        Missing: if there is none, or it is none that can be run.
    """
    asked = executable or os.environ.get(VARIABLE)
    if asked:
        found = shutil.which(os.path.expanduser(asked))
        if found is None:
            where = "env.browser.executable" if executable else VARIABLE
            raise Missing(f"{where} is {asked}, which is no program that can be run; {INSTALL}")
        return found
    for name in NAMES:
        if found := shutil.which(name):
            return found
    raise Missing(f"there is no Chromium on this machine; {INSTALL}")


class Browser:
    """One browser that is running.

    Args:
        settings: whose program is started, or whose endpoint is connected to.
        hosts: names that resolve, as `--host-resolver-rules` has them; no other does.

    Raises:
        Missing: if it cannot be had; the message has what it said last.
    """

    def __init__(self, settings: BrowserSettings, hosts: str = "") -> None:
        self.settings, self.hosts = settings, hosts
        self.targets: set[str] = set()
        """Our pages; what one of them opens is closed at once."""
        self.hangs = False
        """Whether it has opened no page when it was asked to; then it is asked for none any more."""
        self._process = None if settings.kind == "endpoint" else _Process(find(settings.executable), hosts)
        try:
            transport = self._process.pipe if self._process else Socket(_address(settings), settings.patience)
            self.cdp = Cdp(transport, settings.patience)
            self.cdp.listen("", self._on)
            self.cdp.call("Target.setDiscoverTargets", patience=START, discover=True)
            self.version = str(self.cdp.call("Browser.getVersion", patience=START)["product"])
        except (Lost, Refused, OSError) as fault:
            if self._process is None:
                raise _unanswered(settings, fault) from fault
            said = self._process.end()
            raise Missing(f"{self._process.program} does not start as a browser: {said or fault}; {INSTALL}") from fault

    def _on(self, method: str, said: Mapping[str, Any]) -> None:
        if method == "Target.targetCreated" and said["targetInfo"].get("openerId") in self.targets:
            self.cdp.post("Target.closeTarget", targetId=said["targetInfo"]["targetId"])

    def close(self) -> None:
        """End it, or hang up if it is somebody else's."""
        if self._process:
            with suppress(Lost, Refused):
                self.cdp.post("Browser.close")
        with suppress(OSError):
            self.cdp.close()
        if self._process:
            self._process.end()


class _Process:
    """A Chromium of our own, its profile and its two pipes."""

    def __init__(self, program: str, hosts: str) -> None:
        self.program = program
        sweep()
        self._lock, self._profile = own_folder()
        theirs_in, ours_out = map(_high, os.pipe())
        ours_in, theirs_out = map(_high, os.pipe())
        root = ("--no-sandbox",) if os.geteuid() == 0 else ()  # elsewhere Chromium's own sandbox stays on
        known = (f"--host-resolver-rules={hosts},MAP * ~NOTFOUND",) if hosts else ()  # of two the last holds
        arguments = [program, *FLAGS, *known, *root, f"--user-data-dir={self._profile}", "about:blank"]
        said = _high(os.open(self._profile / "stderr", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
        null = _high(os.open(os.devnull, os.O_RDWR))
        actions = [(os.POSIX_SPAWN_DUP2, theirs_in, 3), (os.POSIX_SPAWN_DUP2, theirs_out, 4)]
        actions += [(os.POSIX_SPAWN_DUP2, null, 0), (os.POSIX_SPAWN_DUP2, null, 1), (os.POSIX_SPAWN_DUP2, said, 2)]
        try:
            self.pid = os.posix_spawn(program, arguments, os.environ, file_actions=actions, setsid=True)
        except OSError as fault:
            os.close(ours_in)
            os.close(ours_out)
            self.pid = 0
            self.end()
            raise Missing(f"{program} cannot be run: {fault.strerror}; {INSTALL}") from fault
        finally:
            for descriptor in (theirs_in, theirs_out, said, null):
                os.close(descriptor)
        self.pipe = Pipe(ours_in, ours_out)

    def end(self) -> str:
        """Leave nothing behind, neither a process nor a folder; gives the last useful line that it said."""
        if self.pid:
            _wait(self.pid, 2.0)
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)  # the children, and the browser if it hangs
            _wait(self.pid, 2.0)
            self.pid = 0
        said = ""
        with suppress(OSError):
            lines = (self._profile / "stderr").read_text("utf-8", "replace").splitlines()
            useful = [line for line in lines if line.strip() and not any(noise in line for noise in _NOISE)]
            said = useful[-1].strip()[:300] if useful else ""
        shutil.rmtree(self._profile, ignore_errors=True)
        self._lock.close()
        return said


def sweep() -> None:
    """Remove the folders of browsers whose owner was killed before it could."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PROFILE}*"):
        with suppress(OSError), open(folder / "owner", "r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)


def own_folder() -> tuple[IO[str], Path]:
    """A temporary folder, and its lock: until that is closed, its owner lives and `sweep` leaves it alone."""
    hidden = Path(tempfile.mkdtemp(prefix=f"new-{PROFILE}"))
    lock = open(hidden / "owner", "w")  # noqa: SIM115 - it stays open for as long as the browser lives
    fcntl.flock(lock, fcntl.LOCK_EX)
    return lock, hidden.rename(hidden.with_name(hidden.name.removeprefix("new-")))  # now `sweep` may see it


def _high(descriptor: int) -> int:
    """The same above those that the browser takes for its pipes."""
    moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 10)
    os.close(descriptor)
    return moved


def _wait(pid: int, seconds: float) -> None:
    until = time.monotonic() + seconds
    with suppress(ChildProcessError):
        while os.waitpid(pid, os.WNOHANG)[0] == 0 and time.monotonic() < until:
            time.sleep(0.01)


def _address(settings: BrowserSettings) -> str:
    """The WebSocket of a running browser."""
    url = urlsplit(settings.url or "")
    if url.scheme == "ws" and url.path.strip("/"):
        return url.geturl()
    try:
        asked = url._replace(scheme="http", path="/json/version").geturl()
        found = str(json.loads(_fetched(asked, settings.patience))["webSocketDebuggerUrl"])
        return str(BrowserSettings(kind="endpoint", url=found).url)  # which is of this machine, too
    except (httpx.HTTPError, ValueError, KeyError, TypeError, RecursionError) as fault:
        raise _unanswered(settings, fault) from fault


def _fetched(url: str, patience: float) -> bytes:
    """What an address of this machine answers, if it is short and comes in time."""
    until, content = time.monotonic() + patience, b""
    with httpx.stream("GET", url, timeout=patience, trust_env=False) as answer:
        for part in answer.iter_raw():
            content += part
            if len(content) > MOST_TOLD or time.monotonic() > until:
                raise ValueError("what it says of itself does not end")
    return content


def _unanswered(settings: BrowserSettings, fault: Exception) -> Missing:
    return Missing(
        f"no browser answers at env.browser.url={settings.url} ({fault or type(fault).__name__}); start one with "
        "--remote-debugging-port=9222, or choose env/browser=chromium"
    )


class _Shared:
    """Browsers of this process, each for a few pages."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.pages: dict[Browser, int] = {}

    def take(self, settings: BrowserSettings, hosts: str) -> Browser:
        with self.lock:
            for browser, pages in self.pages.items():
                fits = (browser.settings, browser.hosts) == (settings, hosts)
                if fits and pages < settings.pages and not browser.cdp.lost and not browser.hangs:
                    self.pages[browser] += 1
                    return browser
            browser = Browser(settings, hosts)
            self.pages[browser] = 1
            return browser

    def give(self, browser: Browser) -> None:
        with self.lock:
            self.pages[browser] -= 1
            if self.pages[browser]:
                return
            del self.pages[browser]
        browser.close()


_shared = _Shared()


def take(settings: BrowserSettings, hosts: str = "") -> Browser:
    """A browser with room for one page more; a dead one is replaced.

    Raises:
        Missing: if it cannot be had.
    """
    return _shared.take(settings, hosts)


def give(browser: Browser) -> None:
    """That page is closed; the last one ends its browser."""
    _shared.give(browser)
