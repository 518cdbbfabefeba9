"""Records, gates, layers, merging: against lists, and by what a user meets."""

import random
import subprocess
import sys
import weakref
from itertools import permutations

import numpy as np
import pytest

from agentlab_runner.agents.memory.embedders import Hashed
from agentlab_runner.agents.memory.settings import MemorySettings
from agentlab_runner.agents.memory.store import Memory, Provenance, Record, Store, search_each
from tests.agents.memory.plain import PlainMemory

WORDS = ["open", "close", "drawer", "door", "apple", "knife", "lamp", "wash", "heat", "sell", "buy", "hold", "the", "a"]
KINDS = ("lesson", "exemplar", "news")


def text(chance, most=5):
    return " ".join(chance.choices(WORDS, k=chance.randrange(most)))


def record(chance, key):
    gate = chance.choice([None, chance.randrange(10), chance.random() * 10])
    payload = {"task": chance.choice("abc"), "steps": [1, {"x": None}]} if chance.random() < 0.8 else {}
    source = Provenance("run", chance.randrange(3), "task", 7) if chance.random() < 0.5 else Provenance()
    return Record(key, chance.choice(KINDS), text(chance), payload, gate, source)


def answers(hits):
    return [(hit.record.id, hit.similarity) for hit in hits]


def agree(ours, plain, chance):
    """Whatever is asked of both is answered alike."""
    assert list(ours) == sorted((one for one, _ in plain.pairs), key=lambda one: one.id)
    assert len(ours) == len(plain.pairs)
    for _ in range(4):
        kind, now = chance.choice([None, *KINDS, "unknown"]), chance.choice([None, chance.random() * 11, 5])
        where = {"task": chance.choice("abcd")} if chance.random() < 0.5 else {}
        assert ours.find(kind=kind, where=where, now=now) == plain.find(kind, where, now)
        queries, k, least = [text(chance) for _ in range(3)], chance.randrange(1, 8), chance.choice([-1.0, 0.0, 0.4])
        found = ours.search(queries, k, kind=kind, now=now, min_similarity=least)
        assert [answers(hits) for hits in found] == [plain.search(one, k, kind, now, least) for one in queries]


@pytest.mark.parametrize("seed", range(12))
def test_a_walk_through_layers_answers_as_lists_do(seed, tmp_path):
    chance, embedder = random.Random(seed), Hashed(dim=32)
    stores = [(Store.open(tmp_path, embedder), PlainMemory(embedder))]
    layers, made = [], 0
    for _ in range(60):
        move = chance.random()
        if move < 0.2 and len(layers) < 4:
            ours, plain = chance.choice(stores + layers)
            layers.append((ours.layer(), plain.layer()))
        elif move < 0.6:
            made += 1
            ours, plain = chance.choice(stores + layers)
            key = f"{chance.randrange(40):02}" if move < 0.3 else f"n{made}"
            for one in [record(chance, key)] * chance.choice([1, 2]):
                there = ours.get(one.id)
                if there is None or there == one:
                    ours.add(one)
                    plain.add(one)
                else:
                    with pytest.raises(ValueError, match="id of its own"):
                        ours.add(one)
        elif move < 0.7 and layers:
            ours, plain = layers.pop(chance.randrange(len(layers)))
            clash = {one.id for one, _ in plain.own if (there := stores[0][0].get(one.id)) and there != one}
            if not clash:
                stores[0][0].merge([ours])
                stores[0][1].merge([plain])
        elif move < 0.75:
            stores = [(Store.open(tmp_path, embedder), stores[0][1])]
        agree(*chance.choice(stores + layers), chance)
    agree(Store.open(tmp_path, Hashed(dim=32), read_only=True), stores[0][1], chance)


@pytest.mark.parametrize("seed", range(5))
def test_gates_never_leak(seed):
    """What a query is told at some time is what a memory without everything later tells."""
    chance, embedder = random.Random(seed), Hashed(dim=32)
    records = [record(chance, f"{key:03}") for key in range(80)]
    memory = Memory(embedder)
    memory.add(*chance.sample(records, len(records)))
    queries = [text(chance) for _ in range(6)]
    times = [None, 0, 3.5, 5, 9.999, 1e9]
    for now in times:
        early = Memory(embedder)
        gates = [-1 if one.available_from is None else one.available_from for one in records]
        early.add(*(one for one, gate in zip(records, gates, strict=True) if gate <= (-1 if now is None else now)))
        assert memory.find(now=now) == list(early)
        assert memory.search(queries, 5, now=now) == early.search(queries, 5, now=1e12)
    together = memory.search(queries, 5, now=times)
    assert together == [memory.search([query], 5, now=now)[0] for query, now in zip(queries, times, strict=True)]


def test_a_gate_is_exact_and_refuses_what_it_cannot_tell_apart():
    memory = Memory(Hashed())
    memory.add(Record("a", "news", "x", available_from=np.int64(2**53)))
    assert not memory.find(now=2**53 - 1)
    assert [one.id for one in memory.find(now=2**53)] == ["a"]
    for gate in (2**53 + 1, float("nan"), float("inf"), True, "3"):
        with pytest.raises(ValueError, match="time"):
            Record("b", "news", "x", available_from=gate)
    for now in (float("nan"), 2**60):
        with pytest.raises(ValueError, match="time"):
            memory.search(["x"], 1, now=now)


def test_layers_of_a_batch_end_in_any_order():
    chance, embedder = random.Random(0), Hashed(dim=32)
    first = [record(chance, f"base {key}") for key in range(5)]
    outcomes = []
    for order in permutations(range(4)):
        store = Memory(embedder)
        store.add(*first)
        layers = [store.layer() for _ in range(4)]
        own = random.Random(1)
        for turn in range(3):
            for number in range(4):
                layers[number].add(record(own, f"{number}/{turn}"), Record("shared", "lesson", "all the same"))
        if order[0] % 2:
            store.merge([layers[number] for number in order])
        else:
            for number in order:
                store.merge([layers[number]])
        outcomes.append((list(store), store.search(["open the door", "apple", ""], 20, now=5)))
    assert all(outcome == outcomes[0] for outcome in outcomes)
    assert len(outcomes[0][0]) == 5 + 12 + 1


def test_a_layer_sees_its_store_as_it_was_and_leaves_nothing():
    store = Memory(Hashed())
    store.add(Record("a", "lesson", "open the drawer"))
    layer = store.layer()
    store.add(Record("b", "lesson", "open the drawer"))
    layer.add(Record("c", "lesson", "open the drawer"))
    assert ("b" in layer, "c" in layer, "c" in store, len(layer), len(store)) == (False, True, False, 2, 2)
    assert [[hit.record.id for hit in hits] for hits in layer.search(["open the drawer"], 5)] == [["a", "c"]]
    above = layer.layer()
    above.add(Record("d", "lesson", "x"))
    layer.merge([above])
    del above
    store.merge([layer])
    assert [one.id for one in store] == ["a", "b", "c", "d"]


def test_one_id_for_two_things_is_refused_and_nothing_of_it_stays(tmp_path):
    store = Store.open(tmp_path, Hashed())
    store.add(Record("a", "lesson", "x"))
    with pytest.raises(ValueError, match="two different records have the id 'a'"):
        store.add(Record("b", "lesson", "y"), Record("a", "lesson", "y"))
    one, other = store.layer(), store.layer()
    one.add(Record("c", "lesson", "x"), Record("d", "lesson", "x"))
    other.add(Record("d", "lesson", "y"))
    with pytest.raises(ValueError, match="'d'"):
        store.merge([one, other])
    assert [one.id for one in Store.open(tmp_path, Hashed())] == [one.id for one in store] == ["a"]


def test_an_episode_of_a_batch_asks_its_own_layer():
    store = Memory(Hashed())
    store.add(*(Record(f"base {key}", "news", f"open the {word}") for key, word in enumerate(WORDS)))
    layers = [store.layer() for _ in range(5)]
    for number, layer in enumerate(layers):
        layer.add(Record(f"own {number}", "news", "open the drawer", available_from=number))
    queries = [f"open the {word}" for word in WORDS[:5]]
    together = search_each(layers, queries, 30, now=[0, 1, 1, None, 9])
    asked = zip(layers, queries, [0, 1, 1, None, 9], strict=True)
    assert together == [layer.search([query], 30, now=now)[0] for layer, query, now in asked]
    seen = [{hit.record.id for hit in hits if hit.record.id.startswith("own")} for hits in together]
    assert seen == [{"own 0"}, {"own 1"}, set(), set(), {"own 4"}]


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda memory: memory.search(["x"], 0), "ask for 1 or more"),
        (lambda memory: memory.search(["x", "y"], 1, now=[1]), "one each"),
        (lambda memory: memory.search(np.ones((1, 32), np.float32), 1), "length 1"),
        (lambda memory: memory.search(np.eye(1, 16, dtype=np.float32), 1), "do not fit"),
        (lambda memory: memory.add(Record("b", "news", "x"), vectors=np.eye(1, 16, dtype=np.float32)), "do not fit"),
        (lambda memory: memory.add(Record("b", "news", "x"), vectors=np.eye(2, 32, dtype=np.float32)), "one a text"),
        (lambda memory: memory.merge([Memory(Hashed(dim=16))]), "use one for both"),
        (lambda memory: search_each([memory, Memory(Hashed())], ["x", "y"], 1), "several embedders"),
        (lambda memory: Record("", "news", "x"), "is no id"),
        (lambda memory: Record("b", "ne\nws", "x"), "is no kind"),
        (lambda memory: Record("b", "news", b"x"), "give a string"),
        (lambda memory: Record("b", "news", "x", {"a": {1, 2}}), "no JSON object"),
        (lambda memory: Record("b", "news", "x", {"a": float("nan")}), "no JSON object"),
        (lambda memory: Record("b", "news", "x" * 2**23), "larger than"),
    ],
)
def test_what_does_not_go_is_one_sentence(call, says):
    memory = Memory(Hashed(dim=32))
    memory.add(Record("a", "news", "x"))
    with pytest.raises(ValueError, match=says):
        call(memory)
    assert len(memory) == 1


def test_a_payload_is_kept_as_json_keeps_it_and_nested_ones_are_bounded():
    deep = []
    for _ in range(70):
        deep = [deep]
    with pytest.raises(ValueError, match="make it flatter"):
        Record("a", "news", "x", {"a": deep})
    assert Record("a", "news", "x", {"a": (1, 2)}) == Record("a", "news", "x", {"a": [1, 2]})


def test_settings_take_a_node_and_later_the_embedder():
    node = {"_target_": "agentlab_runner.agents.memory.embedders.Hashed", "dim": 64}
    assert MemorySettings(embedder=node).k == 5
    assert MemorySettings(embedder=Hashed(), min_similarity=0.3).embedder.name == "hashed-512"
    for wrong in ({"embedder": "hashed"}, {"embedder": node, "k": 0}, {"embedder": node, "min_similarity": 2}, {}):
        with pytest.raises(ValueError):  # noqa: PT011 - pydantic's, whose words the verbs put into one sentence
            MemorySettings(**wrong)


def test_a_memory_is_light_until_a_model_embeds():
    code = (
        "import sys, agentlab_runner.agents.memory.store, agentlab_runner.agents.memory.endpoint\n"
        "print(sorted({'torch', 'transformers', 'faiss'} & sys.modules.keys()))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said == "[]\n"


def test_a_layer_that_is_dropped_is_gone():
    store = Memory(Hashed())
    store.add(Record("a", "news", "x"))
    layer = store.layer()
    layer.add(Record("b", "news", "y"))
    layer.search(["x"], 1)
    gone = weakref.ref(layer)
    del layer
    assert gone() is None
