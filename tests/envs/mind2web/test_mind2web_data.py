"""The data as they are read: in order, by field, and without running what a pickle asks for."""

import json
import os
import pickle
import struct

import numpy as np
import pytest

from agentlab_runner.envs.mind2web.samples import MADE, load
from agentlab_runner.envs.mind2web.scores import FILE, Ranks
from tests.envs.mind2web.make_corpus import corpus

PAGE = (
    '<html backend_node_id="1"><a backend_node_id="2"><text backend_node_id="3">Go</text></a>'
    '<a backend_node_id="4" /></html>'
)


def action(uid="u", positive="2", **more):
    return {
        "action_uid": uid,
        "operation": {"op": "CLICK", "value": ""},
        "raw_html": PAGE.replace('<a backend_node_id="4"', f'<a data_pw_testid_buckeye="{uid}" backend_node_id="4"'),
        "cleaned_html": PAGE,
        "pos_candidates": [{"backend_node_id": positive}] if positive else [],
        "neg_candidates": [{"backend_node_id": "4"}],
        **more,
    }


def sample(name="t", actions=None, **more):
    own = [action()] if actions is None else actions
    about = {"annotation_id": name, "website": "w", "domain": "d", "subdomain": "s", "confirmed_task": "go"}
    return {**about, "action_reprs": ["[link]  Go -> CLICK"] * len(own), "actions": own, **more}


@pytest.fixture
def data(tmp_path):
    def write(*samples, ranks=None, file="train_0.json"):
        (tmp_path / "train").mkdir(exist_ok=True)
        (tmp_path / "train" / file).write_text(json.dumps(list(samples)))
        known = {f"{one.get('annotation_id')}_{act.get('action_uid')}": {"2": 0, "4": 1, "3": 2}
                 for one in samples for act in one.get("actions") or []}  # fmt: skip
        content = {"scores": {}, "ranks": known if ranks is None else ranks}
        (tmp_path / FILE).write_bytes(pickle.dumps(content))
        load.cache_clear()
        return tmp_path

    return write


def test_files_are_in_the_order_of_their_numbers(data):
    for number in (10, 9, 1):
        folder = data(sample(f"t{number}"), file=f"train_{number}.json",
                      ranks={f"t{n}_u": {"2": 0, "4": 1} for n in (1, 9, 10)})  # fmt: skip
    assert [one.name for one in load(folder, "train")] == ["t1", "t9", "t10"]


def test_candidates_are_in_the_order_of_their_ranks(data):
    negatives = [{"backend_node_id": "3"}, {"backend_node_id": "4"}]
    folder = data(sample(actions=[action(neg_candidates=negatives)]))
    (step,) = load(folder, "train")[0].steps
    assert (step.positives, step.negatives) == ((("2", 0),), ("4", "3"))
    assert (step.is_ranked(1), step.is_ranked(0)) == (True, False)


def test_an_element_without_candidates_stands_at_the_end_of_the_page(data):
    folder = data(sample(actions=[action(positive="")]))
    (step,) = load(folder, "train")[0].steps
    assert (str(step.true), step.positives, step.is_ranked(99)) == ("CLICK [4]", (), False)
    assert step.observation(3) == "<html><a>Go</a><a id=4 /><a id=4 /> </html>"
    assert step.observation(1) == "<html> <a id=4 /> </html>"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (sample(actions=[]), r"\(t\) has 0 actions and 0 action_reprs"),
        (sample(action_reprs=[]), "1 actions and 0 action_reprs"),
        (sample(action_reprs=[3]), "a text for each"),
        (sample(website=None), "website of .*task 0 is NoneType; it must be a text"),
        ({}, "annotation_id of"),
        (sample(actions=[action(operation={"op": "HOVER", "value": ""})]), "the op of .*action 0 is 'HOVER'"),
        (sample(actions=[action(pos_candidates=[{"id": 1}])]), "backend_node_id of pos_candidates of .* be a text"),
        (sample(actions=[action(cleaned_html=7)]), "cleaned_html of .* must be a text"),
        (sample(actions=[action(positive="", raw_html="<html>")]), "no pos_candidates, and it is no well-formed tree"),
        (sample(actions=[action(positive="", raw_html=PAGE)]), "no pos_candidates, and its raw_html marks no element"),
        (sample(actions=[action(uid="v") | {"pos_candidates": [{"backend_node_id": "99"}]}]), "no rank for element 99"),
    ],
)
def test_what_is_odd_is_refused_by_file_task_and_field(data, content, said):
    with pytest.raises(ValueError, match=said) as fault:
        load(data(content), "train")
    assert "\n" not in str(fault.value)


def test_a_missing_entry_of_the_scores_is_named(data):
    with pytest.raises(ValueError, match=r"scores_all_data\.pkl has no rank for t_u"):
        load(data(sample(), ranks={"other": {}}), "train")
    with pytest.raises(ValueError, match="no rank for element 4 of t_u"):
        load(data(sample(), ranks={"t_u": {"2": 0}}), "train")
    with pytest.raises(ValueError, match="no rank for element 4 of t_u"):
        load(data(sample(), ranks={"t_u": {"2": 0, "4": "first"}}), "train")


@pytest.mark.parametrize(("file", "content", "said"), [
    ("train_x.json", "[]", "does not end in _ and a number"),
    ("train_0.json", "{", "is no JSON"),
    ("train_0.json", "{}", "must hold a list"),
])  # fmt: skip
def test_a_file_that_is_odd_is_named(data, file, content, said):
    folder = data(sample())
    (folder / "train" / file).write_text(content)
    with pytest.raises(ValueError, match=said):
        load(folder, "train")


def test_a_folder_without_data_says_so(tmp_path):
    with pytest.raises(ValueError, match=r"holds no NAME_N\.json"):
        load(tmp_path, "train")
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "train_0.json").write_text("[]")
    with pytest.raises(ValueError, match=f"has no {FILE}"):
        load(tmp_path, "train")


def test_a_page_that_lacks_a_candidate_is_named_when_it_is_shown(data):
    folder = data(sample(actions=[action(positive="3", cleaned_html=PAGE.replace('"3"', '"33"'))]))
    (step,) = load(folder, "train")[0].steps
    with pytest.raises(ValueError, match=r"cleaned_html of .*task 0 \(t\), action 0 .* no element '3'"):
        step.observation(5)


# -- the pickle ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", range(6))
def test_numbers_of_every_kind_come_back(tmp_path, protocol):
    ranks = {"a_u": {"1": 3, "2": np.int64(4), "3": np.float32(1.5), "4": np.uint8(9), "5": 2.0}}
    scores = {"a_u": np.arange(3, dtype=">f4"), "b": {1, 2}}
    (tmp_path / FILE).write_bytes(pickle.dumps({"ranks": ranks, "scores": scores}, protocol))
    found = Ranks(tmp_path)
    assert [found.of("a_u", key) for key in "12345"] == [3, 4, 1.5, 9, 2.0]
    assert all(type(found.of("a_u", key)) in (int, float) for key in "12345")


class Runs:
    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call


class Attribute:
    def __reduce__(self):
        return getattr, (dict, "clear")


HOSTILE = {
    "system": pickle.dumps({"ranks": Runs(os.system, ("touch PWNED",))}),
    "eval": pickle.dumps({"ranks": Runs(eval, ("open('PWNED', 'w')",))}),
    "getattr": pickle.dumps({"ranks": Attribute()}),
    "dotted": b"\x80\x04\x8c\x08builtins\x8c\x0adict.clear\x93.",
    "module": b"cposix\nsystem\n(S'touch PWNED'\ntR.",
    "numpy_loads": b"cnumpy\nload\n(S'PWNED'\ntR.",
    "extension": b"\x80\x02\x82\x01.",
    "persistent": b"Pname\n.",
    "object_array": pickle.dumps({"ranks": np.array([Runs(os.system, ("touch PWNED",))], dtype=object)}),
    "objects": pickle.dumps({"ranks": np.array([{}], dtype=object)}),
    "big_array": b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(L9999999999999L\nS'b'\ntR.",
    "odd_dtype": b"cnumpy\ndtype\n(S'V99999999'\nI0\nI1\ntR.",
    "nothing": b"",
    "cut": pickle.dumps({"ranks": {"a": {}}})[:-5],
    "text": b"no pickle",
    "list": pickle.dumps([1]),
    "no_ranks": pickle.dumps({"scores": {}}),
    "length": b"\x80\x04\x95" + struct.pack("<Q", 1 << 40) + b".",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_pickle_runs_nothing(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / FILE).write_bytes(HOSTILE[name])
    with pytest.raises(ValueError, match=FILE):
        Ranks(tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == [FILE]


# -- the corpus that comes with it -------------------------------------------------------------------------------------


def test_the_corpus_is_what_its_script_makes():
    made = corpus()
    assert sorted(str(file.relative_to(MADE)) for file in MADE.rglob("*") if file.is_file()) == sorted(made)
    assert all((MADE / name).read_bytes() == content for name, content in made.items())
    assert sum(map(len, made.values())) < 1_000_000


def test_its_splits_differ_in_what_they_are_called_for():
    load.cache_clear()
    splits = {name: load(MADE, name) for name in ("train", "test_task", "test_website", "test_domain")}
    assert sum(map(len, splits.values())) == 40
    goals = [one.goal for samples in splits.values() for one in samples]
    assert len(set(goals)) == len(goals)
    known = splits["train"]
    assert {one.website for one in splits["test_task"]} <= {one.website for one in known}
    assert not {one.website for one in splits["test_website"]} & {one.website for one in known}
    assert {one.domain for one in splits["test_website"]} <= {one.domain for one in known}
    assert not {one.domain for one in splits["test_domain"]} & {one.domain for one in known}
    steps = [step for samples in splits.values() for one in samples for step in one.steps]
    assert sum(not step.positives for step in steps) == 3
    assert sum(not step.is_ranked(5) for step in steps) > 4
    assert any("[" in (step.true.value or "") for step in steps)
