"""Servers that would keep one waiting, or fill the memory, in every part of an answer; and an end from outside."""

import gzip
import resource
import socket
import threading
import time
import zlib
from contextlib import contextmanager, suppress

import pytest

from agentlab_runner.runners.errors import RunFailed
from tests.agents.llm.chat.conftest import ask, endpoint, server  # noqa: F401 - a fixture

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n"
DRIPS = {
    "a header that does not end": (OK + b"X: ", b"a"),
    "headers without end": (OK, b"A: b\r\n"),
    "answers that say that one comes": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "a body": (OK + b"Content-Length: 100000\r\n\r\n", b" "),
    "what comes after the body": (CHUNKED, b"A: b\r\n"),
}


@contextmanager
def saying(*pieces, pause=0.0):
    """The address of a server that says these whatever it is asked, and hangs up."""

    def serve():
        with suppress(OSError):
            while True:
                taken, _ = listening.accept()
                with taken, suppress(OSError):
                    taken.recv(65536)
                    for piece in pieces:
                        taken.sendall(piece)
                        time.sleep(pause)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1"


@pytest.mark.parametrize("part", DRIPS)
def test_no_part_of_an_answer_may_drip(server, part):  # noqa: F811
    first, drop = DRIPS[part]
    late = pytest.raises(RunFailed, match=r"did not answer within 0\.4 seconds")
    with saying(first, *[drop] * 100, pause=0.05) as url, late:
        endpoint(server, base_url=url, timeout=0.4, retries=0).check()


def packed(megabytes, layers):
    squeeze = zlib.compressobj(9, zlib.DEFLATED, 31)
    data = b"".join([squeeze.compress(bytes(2**20)) for _ in range(megabytes)]) + squeeze.flush()
    for _ in range(layers - 1):
        data = gzip.compress(data)
    return data


@pytest.mark.parametrize(
    ("layers", "sentence"), [(1, "sends more than any answer has"), (2, r"packed as gzip, gzip, which was not asked")]
)
def test_what_is_packed_is_unpacked_within_bounds(server, layers, sentence):  # noqa: F811
    data = packed(1000, layers)
    head = OK + b"Content-Encoding: " + b", ".join([b"gzip"] * layers) + b"\r\nContent-Length: %d\r\n\r\n" % len(data)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with saying(head, data) as url, pytest.raises(Exception, match=sentence):
        endpoint(server, base_url=url, retries=0).check()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 400 * 1024


def test_an_answer_that_is_packed_all_the_same_is_read(server):  # noqa: F811
    data = gzip.compress(b'{"data": [{"id": "small"}]}')
    with saying(OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(data), data) as url:
        endpoint(server, base_url=url, retries=0).check()


def test_who_is_abandoned_waits_for_no_answer(server):  # noqa: F811
    model, held, said = endpoint(server, retries=0, timeout=20.0), threading.Event(), []
    model.check()

    def hold(body):
        threading.Thread(target=model.http.abandon).start()
        held.wait(30)
        return {}

    server.say = hold

    def wait():
        try:
            ask(model)
        except RunFailed as fault:
            said.append(str(fault))

    waiting = threading.Thread(target=wait)
    waiting.start()
    waiting.join()
    assert not held.is_set()
    held.set()
    assert said == [f"requests to {server.url} were abandoned"]
