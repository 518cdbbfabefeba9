"""A real Chromium: pages, keys, faults of pages, and nothing left behind."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from websockets.sync.server import serve

from agentlab_runner.envs.browser import chromium
from agentlab_runner.envs.browser.cdp import Lost
from agentlab_runner.envs.browser.page import Failed, Page
from agentlab_runner.envs.browser.settings import BrowserSettings
from tests.conftest import environment

SIZE = (300, 200)
HTML = """<!doctype html><title>t</title><body style="margin:0">
<input id=field style="position:absolute;left:10px;top:10px;width:200px">
<button id=b style="position:absolute;left:10px;top:60px" onclick="this.textContent='clicked ' + event.isTrusted">
go</button><script>window.downs = []; field.onkeydown = (e) => downs.push(e.key)</script>"""


@pytest.fixture(autouse=True)
def temporary(tmp_path_factory, monkeypatch):
    """A temporary folder of its own, since other browsers live beside this one."""
    own = tmp_path_factory.mktemp("own")
    monkeypatch.setenv("TMPDIR", str(own))
    monkeypatch.setattr(tempfile, "tempdir", str(own))


@pytest.fixture
def home(tmp_path):
    (tmp_path / "page.html").write_text(HTML)
    return tmp_path.as_uri()


@pytest.fixture
def page(home):
    found = Page(BrowserSettings(patience=5.0), SIZE)
    found.goto(f"{home}/page.html")
    yield found
    found.close()


def living(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def profiles() -> set[str]:
    return {path.name for path in Path(tempfile.gettempdir()).glob(f"{chromium.PROFILE}*")}


def test_a_mouse_and_a_keyboard_act_as_a_persons(page):
    page.click(30, 70)
    assert page.evaluate("() => b.textContent") == "clicked true"
    page.click(50, 20)
    page.type("ż 日 😀")
    assert page.evaluate("() => [field.value, downs]") == ["ż 日 😀", ["ż", " ", "日", " ", "😀"]]
    page.press("control+a")
    page.press("backspace")
    assert page.evaluate("() => field.value") == ""
    page.type("ab")
    page.press("arrowleft")
    page.type("C")
    assert page.evaluate("() => field.value") == "aCb"
    with pytest.raises(ValueError, match="there is no key 'hyper'"):
        page.press("hyper")
    assert page.screenshot().shape == (200, 300, 3)
    assert page.screenshot((10, 20, 30, 40)).shape == (40, 30, 3)


def test_arguments_are_data(page):
    odd = ['"); alert(1); ("', "\u2028", "</script>", {"__proto__": 1}, None, 1e300, "😀"]
    assert page.evaluate("(...all) => all", *odd) == odd
    with pytest.raises(Failed, match="TypeError"):
        page.evaluate("() => null.x")
    assert page.evaluate("async () => 7") == 7


def test_what_a_page_does_to_hold_one_up(page, home):
    page.cdp.patience = 1.0
    page.evaluate("() => { setTimeout(() => { while (true); }, 0) }")
    time.sleep(0.05)
    assert page.evaluate("() => 1") == 1, "its endless loop is cut"
    page.evaluate("() => { b.onclick = () => { b.textContent = 'held'; while (true); } }")
    page.click(30, 70)
    assert page.evaluate("() => b.textContent") == "held", "and so is one that a click begins"
    page.evaluate("() => { location.hash = 'here' }")
    page.evaluate("() => { setTimeout(() => alert('hello'), 0) }")
    time.sleep(0.1)
    assert page.evaluate("() => 2") == 2
    assert page.dialogs == ["hello"]
    page.evaluate("() => { window.open('about:blank'); window.open('about:blank') }")
    time.sleep(0.3)
    assert len([one for one in page.cdp.call("Target.getTargets")["targetInfos"] if one["type"] == "page"]) <= 2
    assert page.left == ""
    with pytest.raises(Failed):
        page.evaluate("() => fetch('http://127.0.0.1:9/')")
    with pytest.raises(Failed):
        page.evaluate("() => fetch('file:///etc/passwd')")
    page.evaluate("() => { location.href = 'file:///etc/hostname' }")
    while not page.left:
        time.sleep(0.01)
    assert page.left.startswith("file:///etc/hostname")
    page.goto(f"{home}/page.html")
    assert page.left == ""


def test_a_script_of_ours_that_does_not_end_is_cut(page):
    page.cdp.patience = 1.0
    with pytest.raises(Failed, match="cut when it had not ended within 1 s"):
        page.evaluate("() => { while (true); }")
    assert page.evaluate("() => 1") == 1


def test_a_mouse_that_moves_tells_the_page_of_nothing_else(page):
    kinds = ["mousemove", "mouseover", "mouseout", "mousedown", "mouseup", "click", "pointerup", "contextmenu"]
    hears = "for (const kind of kinds) addEventListener(kind, () => heard.add(kind), true)"
    page.evaluate(f"(kinds) => {{ window.heard = new Set(); {hears} }}", kinds)
    page.hover(30, 70)
    assert page.evaluate("() => b.matches(':hover')"), "without a frame between"
    page.hover(299, 199)
    assert not page.evaluate("() => b.matches(':hover')")
    assert page.evaluate("() => [...heard].sort()") == ["mousemove", "mouseout", "mouseover"]


def test_names_do_not_resolve(page):
    with pytest.raises(Failed, match="ERR_NAME_NOT_RESOLVED"):
        page.goto("http://localhost/")
    with pytest.raises(Failed):
        page.goto("file:///no/such/file")


def test_a_crash_is_told_and_leaves_the_others(page, home):
    with_it = Page(BrowserSettings(patience=5.0), SIZE)
    try:
        assert with_it.browser is page.browser
        with pytest.raises((Lost, Failed)):
            with_it.goto("chrome://crash")
        with pytest.raises(Lost, match="the page crashed"):
            with_it.evaluate("() => 1")
        assert page.evaluate("() => 3") == 3
    finally:
        with_it.close()


def test_a_browser_that_was_killed_is_replaced(home):
    first = Page(BrowserSettings(patience=5.0), SIZE)
    os.killpg(first.browser._process.pid, signal.SIGKILL)
    while not first.gone:
        time.sleep(0.05)
    with pytest.raises(Lost, match="the browser is gone"):
        first.evaluate("() => 1")
    second = Page(BrowserSettings(patience=5.0), SIZE)
    assert second.evaluate("() => 1") == 1
    first.close()
    second.close()


def test_threads_share_a_browser(home):
    pages = [Page(BrowserSettings(patience=20.0), SIZE) for _ in range(4)]
    try:
        assert len({page.browser for page in pages}) == 1

        def play(page):
            page.goto(f"{home}/page.html")
            page.click(50, 20)
            page.type("abc")
            return page.evaluate("() => field.value")

        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(play, pages)) == ["abc"] * 4
    finally:
        for page in pages:
            page.close()


def test_nothing_is_left_of_starts_and_ends(home):
    before = profiles()
    pids = []
    for _ in range(5):
        page = Page(BrowserSettings(), SIZE)
        pids.append(page.browser._process.pid)
        page.close()
    assert not any(map(living, pids))
    assert profiles() <= before


def test_nothing_is_left_of_one_that_was_killed():
    program = """
        import os, signal
        from agentlab_runner.envs.browser.page import Page
        from agentlab_runner.envs.browser.settings import BrowserSettings
        page = Page(BrowserSettings(), (300, 200))
        print(page.browser._process.pid, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], env=environment(), capture_output=True,
                          text=True)  # fmt: skip
    pid = int(done.stdout)
    for _ in range(100):
        if not living(pid):
            break
        time.sleep(0.1)
    assert not living(pid), "it ends when the pipe does"
    assert profiles()
    chromium.sweep()
    assert not profiles()


def test_a_program_that_is_no_browser_says_so(tmp_path, monkeypatch):
    with pytest.raises(chromium.Missing, match=r"env\.browser\.executable is nothing"):
        chromium.find("nothing")
    broken = tmp_path / "chromium"
    broken.write_text("#!/bin/sh\necho 'libnss3.so: cannot open shared object file' >&2\nexit 127\n")
    broken.chmod(0o755)
    before = profiles()
    with pytest.raises(chromium.Missing, match=r"does not start as a browser: libnss3\.so: cannot open shared object"):
        Page(BrowserSettings(executable=str(broken)), SIZE)
    assert profiles() <= before
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    monkeypatch.delenv(chromium.VARIABLE, raising=False)
    with pytest.raises(chromium.Missing, match="there is no Chromium on this machine; install"):
        chromium.find()


def test_an_endpoint_is_somebody_elses(tmp_path, home):
    flags = [flag for flag in chromium.FLAGS if flag != "--remote-debugging-pipe"]
    root = ["--no-sandbox"] if os.geteuid() == 0 else []
    command = [chromium.find(), *flags, *root, "--remote-debugging-port=0", f"--user-data-dir={tmp_path / 'theirs'}"]
    theirs = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        told = tmp_path / "theirs" / "DevToolsActivePort"
        while not told.exists() or not told.read_text().strip():
            time.sleep(0.05)
        port = told.read_text().split()[0]
        page = Page(BrowserSettings(kind="endpoint", url=f"http://127.0.0.1:{port}"), SIZE)
        page.goto(f"{home}/page.html")
        assert page.evaluate("() => document.title") == "t"
        page.close()
        assert theirs.poll() is None
        Page(BrowserSettings(kind="endpoint", url=f"ws://127.0.0.1:{port}"), SIZE).close()  # its own way is asked for
        gone = f"ws://127.0.0.1:{port}/devtools/browser/of-yesterday"
        with pytest.raises(chromium.Missing, match=r"no browser answers at env\.browser\.url=ws:.* HTTP 404"):
            Page(BrowserSettings(kind="endpoint", url=gone), SIZE)
    finally:
        os.killpg(theirs.pid, signal.SIGKILL)
        theirs.wait()
    for url in (f"http://127.0.0.1:{port}", f"ws://127.0.0.1:{port}", gone):
        with pytest.raises(chromium.Missing, match=r"no browser answers at env\.browser\.url"):
            Page(BrowserSettings(kind="endpoint", url=url), SIZE)


@pytest.mark.parametrize("url", ["127.0.0.1:9222", "9222", "https://127.0.0.1:9222", "http://example.org:9222"])
def test_an_endpoint_is_told_how_it_is_written(url):
    """browser-use/web-ui 409: an address without a scheme is the first thing that people try."""
    with pytest.raises(ValueError, match=r"no browser of this machine; give one such as http://127\.0\.0\.1:9222"):
        BrowserSettings(kind="endpoint", url=url)


def test_webrtc_reaches_no_address(page):
    """Addresses need no name, and a datagram no connection."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as heard:
        heard.bind(("127.0.0.1", 0))
        heard.settimeout(2.0)
        page.evaluate("""async (port) => {
            const one = new RTCPeerConnection({ iceServers: [{ urls: `stun:127.0.0.1:${port}` }] });
            one.createDataChannel('x');
            await one.setLocalDescription(await one.createOffer());
        }""", heard.getsockname()[1])  # fmt: skip
        with pytest.raises(TimeoutError):
            heard.recv(1)


@pytest.mark.parametrize(
    "says",
    [
        "hello", "[1, 2]", "5", "[" * 100_000, '{"id": [1]}', '{"sessionId": "", "x": 1}',
        '{"method": "Target.targetCreated", "params": {}}', '{"id": 1, "result": [1]}', '{"id": 1, "error": 5}',
        '{"id": 1, "result": {}}',
    ],
)  # fmt: skip
def test_an_endpoint_that_speaks_another_protocol_says_so_at_once(says):
    def answer(connection):
        for message in connection:
            connection.send(says.replace('"id": 1', f'"id": {json.loads(message)["id"]}'))

    with serve(answer, "127.0.0.1", 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"ws://127.0.0.1:{server.socket.getsockname()[1]}/devtools/browser/x"
        began = time.monotonic()
        with pytest.raises(chromium.Missing, match="no browser answers"):
            Page(BrowserSettings(kind="endpoint", url=url, patience=60.0), SIZE)
        assert time.monotonic() - began < 30, "whoever waits is told"
        server.shutdown()


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 50_000, b"[]", b"5", b'{"webSocketDebuggerUrl": "ws://10.255.255.1:9/x"}',
        b'{"webSocketDebuggerUrl": "file:///etc/passwd"}', b" " * 300_000,
    ],
)  # fmt: skip
def test_an_endpoint_that_says_odd_things_of_itself_is_none(body):
    class Says(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            with suppress(OSError):
                self.wfile.write(body)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Says) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with pytest.raises(chromium.Missing, match="no browser answers"):
            Page(BrowserSettings(kind="endpoint", url=f"http://127.0.0.1:{server.server_address[1]}"), SIZE)
        server.shutdown()

