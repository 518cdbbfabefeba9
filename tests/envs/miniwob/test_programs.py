"""What was done on a page, as a program that does it again."""

import json
import random

import pytest

from agentlab_runner.agents.llm.programs.interpreter import calls
from agentlab_runner.envs.miniwob.parser import CALLS, PageParser

TASKS = [
    "click-button", "click-link", "click-tab", "click-tab-2", "click-option", "click-checkboxes", "click-color",
    "click-widget", "click-dialog", "click-dialog-2", "click-test-2", "click-button-sequence", "enter-text",
    "enter-password", "login-user", "focus-text-2", "choose-list", "click-collapsible", "click-collapsible-2",
    "click-scroll-list", "click-shades", "click-shape", "count-shape", "email-inbox", "enter-date", "enter-time",
    "find-word", "form-sequence-3", "grid-coordinate", "guess-number", "identify-shape", "login-user-popup",
    "multi-layouts", "navigate-tree", "read-table", "search-engine", "simple-algebra", "social-media", "terminal",
    "tic-tac-toe", "use-autocomplete", "use-spinner", "book-flight", "phone-book", "order-food",
]  # fmt: skip


def block(program):
    """As an agent gives it: read out of the program, not run."""
    return PageParser("block").block([(one.name, one.arguments) for one in calls(program, CALLS)])


def held(observation):
    """What the fields hold."""
    elements = json.loads(observation["elements"])
    return [one["value"] for one in elements if one["tag"] in ("input", "select", "textarea")]


def test_a_program_does_again_what_was_done(make):
    acting = make(*TASKS, action="phrases", horizon=4)
    again = make(*TASKS, action="program", horizon=4)
    draw, odd = random.Random(0), []
    for seed, task in enumerate(TASKS):
        observation, info = acting.reset(seed=seed, options={"task": task})
        begun, _ = again.reset(options=info["restart"])
        assert begun["html"] == observation["html"], task
        over = False
        while not over:
            observation, *answer, info = acting.step(draw.choice(observation["action_ids"]))
            seen, *replayed, repeated = again.step(block(info["program"]) or "")
            over = answer[1] or answer[2]
            same = over or held(observation) == held(seen)  # what is over, a block leaves at once, and typing does not
            if not same or [*answer, info["raw"]] != [*replayed, repeated["raw"]]:
                odd.append((task, seed, info["parsed"], info["program"], repeated["outcomes"]))
                break
    assert not odd


def told(env, action):
    *_, info = env.step(action)
    return info["program"]


@pytest.mark.parametrize(
    ("task", "element", "program"),
    [
        ("click-button", {"tag": "button", "asked": True}, "agent.click_xpath(\"//button[text()='{}']\")"),
        ("click-link", {"classes": "alink", "asked": True}, "agent.click_xpath(\"//*[text()='{}']\")"),
        ("click-option", {"kind": "radio", "asked": True}, "agent.click_xpath(\"//label[text()='{}']//input\")"),
        ("enter-password", {"tag": "button"}, "agent.click_xpath(\"//*[@id='subbtn']\")"),
        ("focus-text-2", {"id": "tt2"}, "agent.click_xpath('(//input)[2]')"),
        ("click-tab", {"tag": "a", "asked": True}, "agent.click_xpath(\"//a[text()='{}']\")"),
        ("grid-coordinate", {"tag": "circle", "asked": True}, "agent.click_xpath(\"//*[@id='{}']\")"),
    ],
)
def test_an_element_is_told_by_what_carries_over(make, task, element, program):
    env = make(task, action="utterances", horizon=2)
    observation, info = env.reset(seed=5)
    wanted = {name: value for name, value in element.items() if name != "asked"}
    for one in json.loads(observation["elements"]):
        said = one["text"] or one["label"] or one["id"]
        named = not element.get("asked") or said in info["goal"]
        if named and all(one[name] == value for name, value in wanted.items()):
            assert told(env, f"click {one['ref']}") == program.format(said)
            return
    raise AssertionError(observation["elements"])


def test_typing_lists_and_what_has_no_call(make):
    env = make("enter-text", "choose-list", action="utterances", horizon=9)
    observation, _ = env.reset(seed=0, options={"task": "enter-text"})
    field = next(one["ref"] for one in json.loads(observation["elements"]) if one["tag"] == "input")
    click = "agent.click_xpath(\"//*[@id='tt']\")"
    assert told(env, f'type {field} "it\'s"') == f"{click}\nagent.type(\"it's\")"
    assert told(env, f'type {field} "b"') == f"{click}\nagent.press('command+a')\nagent.type('b')"
    assert told(env, "press enter") == "agent.press('enter')"
    assert told(env, f"hover {field}") == "agent.movemouse(\"//*[@id='tt']\")"
    assert told(env, f"scroll {field} down") is None
    assert told(env, f"drag {field} to {field}") is None
    assert told(env, "click 9999") == ""
    assert told(env, "I do not know") == ""
    observation, info = env.reset(seed=0, options={"task": "choose-list"})
    wanted = info["goal"].removeprefix("Select ").split(" from the list")[0]
    chosen = next(one["ref"] for one in json.loads(observation["elements"]) if one["tag"] == "select")
    assert told(env, f"select {chosen} {json.dumps(wanted)}") == f"agent.click_option(\"//option[text()='{wanted}']\")"
    assert told(env, f'select {chosen} "Atlantis"') == ""


def test_both_quotes_stand_in_an_xpath(make):
    env = make("click-test", action="utterances", horizon=2)
    observation, _ = env.reset(seed=0)
    env.stage.page.evaluate("""() => { document.getElementById('subbtn').removeAttribute('id');
        document.querySelector('button').textContent = 'it\\'s "me"' }""")
    ref = next(one["ref"] for one in json.loads(observation["elements"]) if one["tag"] == "button")
    program = told(env, f"click {ref}")
    assert "concat(" in program
    assert calls(program, CALLS)[0].arguments[0].startswith("//button[text()=concat(")


def test_an_episode_begins_again_where_its_reset_says(make):
    first = make("click-link", "click-button", split="demonstrations")
    observation, info = first.reset(seed=8, options={"task": "click-button"})
    assert info["restart"] == {"task": "click-button", "page_seed": info["page_seed"]}
    other = make("click-link", "click-button", split="train")
    for seed in (1, None):
        again, begun = other.reset(seed=seed, options=info["restart"])
        assert (again, begun) == (observation, info)
    testing = make("click-button", split="test")
    for env, number in ((testing, 7), (first, 50_000), (other, 999_999), (other, -1), (other, "7"), (other, True),
                        (testing, 1_000_000), (first, 7.0)):  # fmt: skip
        with pytest.raises(ValueError, match="page_seed"):
            env.reset(seed=0, options={"task": "click-button", "page_seed": number})
    with pytest.raises(ValueError, match="none of this environment's tasks"):
        testing.reset(options={"task": "click-link", "page_seed": 50_000})
    assert make("click-button", page_seed="browsergym").reset(options={"page_seed": 70_000})[1]["page_seed"] == 70_000
