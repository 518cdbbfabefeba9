"""What is said of a page: only what the screen shows, and every phrase once."""

import pytest

from agentlab_runner.envs.miniwob import words
from agentlab_runner.envs.miniwob.primitives import read


def element(ref, tag="button", **own):
    plain = {"kind": "", "text": "", "value": "", "label": "", "options": [], "colour": "rgba(0, 0, 0, 0)",
             "focused": False, "clickable": True, "visible": True}  # fmt: skip
    return {"ref": ref, "tag": tag, **plain, **own}


PAGE = [
    element(1, text="ok"), element(2, text="ok"), element(3, "a", text="more"),
    element(4, "input", kind="text", label="Username"), element(5, "input", kind="checkbox", label="terms"),
    element(6, "select", options=["May", "June"], value="May"), element(7, "div", colour="rgb(250, 10, 10)"),
    element(8, "p", text="Read this", clickable=False),
]  # fmt: skip


def test_each_phrase_is_another_and_does_what_it_says():
    found = words.phrases('Enter "bob" and press ok', PAGE)
    assert found == {
        'click the 1st button "ok"': "click 1", 'click the 2nd button "ok"': "click 2",
        'click the link "more"': "click 3",
        'click the text field "Username"': "click 4", 'type "bob" into the text field "Username"': 'type 4 "bob"',
        'click the box "terms"': "click 5", 'choose "May" in the list': 'select 6 "May"',
        'choose "June" in the list': 'select 6 "June"', "click the red area": "click 7",
        'click the paragraph "Read this"': "click 8",
    }  # fmt: skip
    assert all(read(action) for action in found.values())


def test_what_the_screen_does_not_show_is_not_told():
    hidden = [element(20, text="the answer is 42", visible=False), element(21, "input", kind="text", visible=False)]
    goal = "Find it"
    assert words.phrases(goal, [*PAGE, *hidden]) == words.phrases(goal, PAGE)
    assert words.listing([hidden[0], *PAGE, hidden[1]]) == words.listing(PAGE)
    assert words.phrases(goal, hidden) == {"wait": "press escape"}


def test_many_elements_are_bounded():
    many = [element(n, text=f"b{n % 7}") for n in range(500)]
    assert len(words.phrases("x", many)) == words.MOST


@pytest.mark.parametrize(
    ("css", "name"),
    [("rgb(255, 0, 0)", "red"), ("rgb(0, 120, 0)", "green"), ("rgba(0, 0, 0, 0)", ""), ("none", ""),
     ("rgba(250, 250, 5, 0.5)", "yellow")],
)  # fmt: skip
def test_colours_have_names(css, name):
    assert words.colour(css) == name


def test_what_a_goal_gives_to_type():
    assert words.sayable('Enter the username "al" and the password "x y"') == ["al", "x y"]
    assert words.sayable("Type 7, then 7.") == ["Type", "7", "then"]
