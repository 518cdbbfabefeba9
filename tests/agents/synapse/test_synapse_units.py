"""Stores, prompts, votes and analogy, each against what the paper and the released files have."""

import json

import pytest

from agentlab_runner.agents.llm.chat.types import Message
from agentlab_runner.agents.llm.programs.interpreter import variables
from agentlab_runner.agents.llm.programs.language import Refused
from agentlab_runner.agents.memory.embedders import Hashed
from agentlab_runner.agents.memory.store import Memory
from agentlab_runner.agents.synapse import messages, page
from agentlab_runner.agents.synapse.analogy import aligned, carried, proposals
from agentlab_runner.agents.synapse.exemplars import Demo, Exemplars, Turn, as_json, load
from agentlab_runner.agents.synapse.retrieval import Vote, records, votes
from agentlab_runner.agents.synapse.soup import GIVEN
from agentlab_runner.runners.errors import UserError

SHOWN = {
    "click-link": {
        "demo": [{"state": "<a>", "obs": "a", "act": "agent.click_xpath('//a')"}, {"act": "agent.press('enter')"}],
    },
    "terminal": {
        "demo": [{"task": f"t{n}", "trajectory": [{"state": "s1", "obs": "o1", "act": "a1"},
                                                   {"state": "s2", "obs": "o2", "act": "a2"}]} for n in range(2)],
        "filter_prompt": ["first ", "second "], "code_filter_prompt": ["", "task <task> state <state>"],
    },
}  # fmt: skip
FOUND_BY = {"click-link": ["Task: click\nState:\n<a>"] * 2 + ["other"], "terminal": ["Task: delete\nState:\nls", "rm"]}


@pytest.fixture
def store(tmp_path):
    def write(shown=SHOWN, found_by=FOUND_BY):
        (tmp_path / "exemplars.json").write_text(json.dumps(shown))
        (tmp_path / "specifiers.json").write_text(json.dumps(found_by))
        return tmp_path

    return write


def test_a_store_comes_back_as_it_was(store):
    shown, found_by = as_json(load(store()))
    assert (shown, found_by) == (SHOWN, FOUND_BY)


@pytest.mark.parametrize(
    ("shown", "found_by", "said"),
    [
        ({}, {}, "there is no task"),
        ({"a": {"demo": [{"act": "x"}]}}, {"b": ["y"]}, "a is missing from specifiers.json"),
        ({"a": {"demo": []}}, {"a": ["y"]}, "demo of a must be a list of at least one"),
        ({"a": {"demo": [{"state": "x"}]}}, {"a": ["y"]}, "act of demo 0 of a must be a text"),
        ({"a": {"demo": [{"act": "x", "obs": 3}]}}, {"a": ["y"]}, "obs of demo 0 of a must be a text"),
        ({"a": {"demo": [{"task": "t", "trajectory": []}]}}, {"a": ["y"]}, "a trajectory of at least one step"),
        (
            {"a": {"demo": [{"act": "x"}, {"task": "t", "trajectory": [{"act": "x"}]}]}}, {"a": ["y"]},
            "all single steps",
        ),
        ({"a": {"demo": [{"act": "x"}]}}, {"a": []}, "its entry of a must be a text or a list"),
        ({"a": []}, {"a": ["y"]}, "demo of a"),
    ],
)
def test_a_store_that_is_odd_is_refused_by_file_task_and_field(store, shown, found_by, said):
    with pytest.raises(UserError, match=said):
        load(store(shown, found_by))


def test_a_folder_without_them_says_so(tmp_path):
    with pytest.raises(UserError, match=r"has no exemplars\.json"):
        load(tmp_path)


def told(*turns):
    return [Message(role, (text,)) for role, text in turns]


def test_single_steps_are_told_as_the_original_tells_them():
    own = Exemplars((Demo((Turn("act 1", "state 1", "obs 1"),)), Demo((Turn("act 2", obs="obs 2"),))))
    assert messages.kind(own, filtered=True) == "obs_act"
    assert messages.kind(own, filtered=False) == "state_act"
    assert messages.conversation("api", "t", "obs_act", own, "goal", [], "now") == told(
        ("system", "api"), ("user", "Observation:\nobs 1\nAction:"), ("assistant", "```\nact 1\n```"),
        ("user", "Observation:\nobs 2\nAction:"), ("assistant", "```\nact 2\n```"),
        ("user", "Observation:\nnow\nAction:"),
    )  # fmt: skip
    past = [Turn("done", obs="then")]
    assert messages.conversation("api", "t", "state_act", own, "goal", past, "now") == told(
        ("system", "api"), ("user", "Observation:\nstate 1\nAction:"), ("assistant", "```\nact 1\n```"),
        ("user", "Observation:\nthen\nAction:"), ("assistant", "```\ndone\n```"),
        ("user", "Observation:\nnow\nAction:"),
    )  # fmt: skip


def test_trajectories_keep_two_turns_of_the_user_apart(store):
    own = load(store()).exemplars["terminal"]
    assert messages.kind(own, filtered=True) == "multi_obs_act"
    found = messages.conversation("api", "x", "multi_obs_act", own, "goal", [], "now")
    assert found[1:6] == told(
        ("user", "Task: t0\nTrajectory:"), ("user", "Observation:\no1\nAction:"), ("assistant", "```\na1\n```"),
        ("user", "Observation:\no2\nAction:"), ("assistant", "```\na2\n```"),
    )  # fmt: skip
    assert found[-2:] == told(("user", "Task: goal\nTrajectory:"), ("user", "Observation:\nnow\nAction:"))
    assert len(messages.shown("terminal", "multi_state_act", own)) == 1
    assert len(messages.shown("other", "multi_state_act", own)) == 2


def test_a_page_is_abstracted_by_pairs(store):
    own = load(store()).exemplars
    (asked,) = messages.abstraction(own["terminal"], 1, "page", prompted=True)
    pair = "State:\ns2\nObservation:\no2\n\n"
    assert asked.text == f"second {pair}{pair}State:\npage\nObservation:"
    (asked,) = messages.abstraction(own["terminal"], 0, "page", prompted=False)
    assert asked.text.startswith("State:\ns1")
    assert messages.code_for(own["terminal"], 0, "goal", "page") is None
    assert messages.code_for(own["terminal"], 1, "goal", "page")[0].text == "task goal state page"


@pytest.mark.parametrize(
    ("reply", "program"),
    [
        ("```\nagent.press('enter')\n```", "agent.press('enter')"), ("no fence", ""), ("```python\na\nb\n```", "a\nb"),
        ("```a```", "a"), ("``` a```", " a"), ("```\na", ""), ("x ```\na\n``` y ```\nb\n```", "a"), ("```\n```", ""),
    ],
)  # fmt: skip
def test_the_first_fence_counts(reply, program):
    assert messages.fenced(reply) == program


def test_specifiers_vote_and_ties_go_to_the_one_met_first(store):
    memory = Memory(Hashed())
    memory.add(*records(load(store())))
    (vote,) = votes(memory, ["Task: click\nState:\n<a>"], 3, -1.0)
    assert vote.task == "click-link"
    assert len(vote.hits) == 3
    (vote,) = votes(memory, ["Task: delete\nState:\nls"], 100, -1.0)
    assert len(vote.hits) == 5, "more are asked for than there are"
    assert votes(memory, ["quite another thing"], 3, 0.99) == [Vote(None, ())]
    tied = Memory(Hashed())
    tied.add(*records(load(store({k: SHOWN[k] for k in SHOWN}, {"click-link": ["b b b"], "terminal": ["a a a"]}))))
    (vote,) = votes(tied, ["a a b"], 2, -1.0)
    assert vote.task == vote.hits[0][0] == "terminal"


def test_analogy_carries_words_over():
    then = 'Enter "bob" and the password "x1" and press login'
    now = 'Enter "ann lee" and the password "q9" and press login'
    program = "agent.click_xpath(\"//*[@id='u']\")\nagent.type('bob')\nagent.type('x1')"
    assert carried(then, now, program)[0] == program.replace("bob", "ann lee").replace("x1", "q9")
    spans, alike = aligned("Click button ONE", "Click button TWO")
    assert spans == {"ONE": "TWO"}
    assert 0.6 < alike < 0.7
    clicks, types = Turn("agent.click_xpath(\"//a[text()='x']\")"), Turn("agent.type('y')")
    demos = [Demo((clicks,), "Click on x"), Demo((types,), "Press y")]
    def fits(program):
        return True

    found = proposals("Click on z", "", demos, 0, fits)
    assert found[0].program == "agent.click_xpath(\"//a[text()='z']\")"
    assert proposals("Click on z", "", demos, 1, fits) == []


FILTER = """
from bs4 import BeautifulSoup
soup = BeautifulSoup(state, 'html.parser')
links = soup.find_all('span', class_='alink')
obs = "\\n".join(f"{i + 1}. {link.get_text()}" for i, link in enumerate(links))
for tab in soup.find('div', {'id': 'tabs'}).find_all(['h3']):
    obs += "\\n" + tab['id'] + tab.text.strip()
"""
PAGE = "<div id=tabs><h3 id=t1> One </h3></div><span class='alink x'>go</span><span>no</span><script>alert(1)</script>"


def test_a_code_filter_reads_a_page():
    assert variables(FILTER, {"state": PAGE, **GIVEN})["obs"] == "1. go\nt1One"


@pytest.mark.parametrize(
    "program",
    ["BeautifulSoup(state).__class__", "BeautifulSoup(state)._tag", "BeautifulSoup(state).find(lambda t: True)",
     "BeautifulSoup(state).decompose()", "BeautifulSoup(open('x'))", "BeautifulSoup(state).find_all.__self__"],
)  # fmt: skip
def test_and_no_more(program):
    with pytest.raises(Refused):
        variables(program, {"state": PAGE, **GIVEN})


def test_an_xpath_that_none_can_evaluate_finds_nothing():
    html = "<div>" + "<p id='a'>x</p>" * 300 + "</div>"
    bomb = "//*[" + "count(//*[" * 5 + "1" + "])" * 5 + "]"
    odd = ["//p[@id='\ud800']", "//p[@id='\x00']", "//p[", bomb]
    assert not any(page.finds(html, xpath) for xpath in odd)
    assert page.finds(html, "//div/p[contains(@id, 'a')][2]")
