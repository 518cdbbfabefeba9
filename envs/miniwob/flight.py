"""The pages of the flight tasks, which are none over file://: a server of this process for its own browsers alone."""

import mimetypes
import secrets
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

HOST = "miniwob.test"
"""What the browser knows the server by; no other name resolves."""


class Server:
    """Serves the files of a folder on a port of the loopback interface, under a path that nobody can guess."""

    def __init__(self, root: Path) -> None:
        token = secrets.token_urlsafe(16)
        root = root.resolve()

        class Files(BaseHTTPRequestHandler):
            timeout = 30

            def do_GET(self) -> None:
                file = _file(root, token, self.path)
                if file is None:
                    self.send_error(HTTPStatus.NOT_FOUND)
                    return
                content = file.read_bytes()
                self.send_response(HTTPStatus.OK)
                self.send_header("Content-Type", mimetypes.guess_type(file.name)[0] or "application/octet-stream")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:
                """What a page asks for is nobody's news."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Files)
        self._thread = threading.Thread(target=self._server.serve_forever, name="flight pages", daemon=True)
        self._thread.start()
        self.port = int(self._server.server_address[1])
        self.url = f"http://{HOST}/{token}"
        """Of the folder, for a browser that is told `hosts`."""
        self.hosts = f"MAP {HOST} 127.0.0.1:{self.port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _file(root: Path, token: str, asked: str) -> Path | None:
    """The file of a request, if it is one of the folder's."""
    _, given, path = unquote(urlsplit(asked).path).split("/", 2) if asked.count("/") > 1 else ("", "", "")
    if not secrets.compare_digest(given.encode(), token.encode()) or "\0" in path:
        return None
    file = (root / path).resolve()
    return file if file.is_relative_to(root) and file.is_file() else None


class _Shared:
    """One server for all pages of this process."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.server: Server | None = None
        self.users = 0

    def take(self, root: Path) -> Server:
        with self.lock:
            self.server = self.server or Server(root)
            self.users += 1
            return self.server

    def give(self) -> None:
        with self.lock:
            self.users -= 1
            if self.server and not self.users:
                self.server.close()
                self.server = None


_shared = _Shared()


def take(root: Path) -> Server:
    """The server, which is started for its first user."""
    return _shared.take(root)


def give() -> None:
    """One user less; the last one ends it."""
    _shared.give()
