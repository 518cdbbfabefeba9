"""What is said of a page: only what the screen shows, and every phrase once."""

import numpy as np
import pytest

from agentlab_runner.envs.miniwob import features, words
from agentlab_runner.envs.miniwob.primitives import read


def element(ref, tag="button", **own):
    nothing = "rgba(0, 0, 0, 0)"
    plain = {"kind": "", "text": "", "value": "", "label": "", "options": [], "chosen": [], "controls": 0,
             "colour": nothing, "frame": "", "ink": "rgb(0, 0, 0)", "focused": False, "clickable": True,
             "visible": True, "left": 10, "top": 20 * ref, "width": 40, "height": 10}  # fmt: skip
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
    offers, fewer = words.offers(goal, [*PAGE, *hidden]), words.offers(goal, PAGE)
    np.testing.assert_array_equal(features.table(goal, offers), features.table(goal, fewer))


def test_a_list_holds_what_it_shows_and_no_name_within_the_page():
    land = element(6, "select", options=["Choose", "United States"], chosen=["United States"], value="us")
    assert words.listing([land]) == '[6] list holds "United States" offers "Choose", "United States"'
    assert words.listing([{**land, "chosen": [], "value": ""}]) == '[6] list offers "Choose", "United States"'


def test_of_two_that_do_the_same_the_inner_one_stays():
    label = element(1, "label", text="yes", controls=2, width=60)
    box = element(2, "input", kind="checkbox", label="yes", width=10, top=20)
    outer = element(3, "li", text="Tab", width=50)
    inner = element(4, "a", text="Tab", top=60)
    beside = element(5, "a", text="Tab")
    found = words.phrases("x", [label, box, outer, inner, beside])
    assert found == {'click the box "yes"': "click 2", 'click the 1st link "Tab"': "click 4",
                     'click the 2nd link "Tab"': "click 5"}  # fmt: skip
    assert words.phrases("x", [label, {**box, "visible": False}]) == {'click the label "yes"': "click 1"}


def test_things_without_a_name_are_called_by_what_they_are():
    things = [element(1, "span", colour="rgb(255, 0, 0)"), element(2, "span"),
              element(3, "input", kind="text", colour="rgb(255, 255, 255)"),
              element(4, "select", options=["a"], colour="rgb(255, 255, 255)")]  # fmt: skip
    assert list(words.phrases('"b"', things)) == [
        "click the red area", "click the icon", "click the text field", 'type "b" into the text field',
        'choose "a" in the list',
    ]  # fmt: skip


def test_orders_are_written_as_people_do():
    many = words.numbered([element(n, text="b") for n in range(1, 24)])
    assert [name.split()[0] for name in many] == [
        "1st", "2nd", "3rd", *(f"{n}th" for n in range(4, 21)), "21st", "22nd", "23rd",
    ]  # fmt: skip


# -- features -------------------------------------------------------------------------------------------------------


def seen(goal, *elements):
    """Of each phrase what is not 0, by name."""
    offers = words.offers(goal, elements)
    rows = features.table(goal, offers)
    assert rows.dtype == np.float32
    assert rows.shape == (len(offers), len(features.NAMES))
    return {
        offer.phrase: {name: round(float(value), 3) for name, value in zip(features.NAMES, row, strict=True) if value}
        for offer, row in zip(offers, rows, strict=True)
    }


def test_names_of_features_are_distinct():
    assert len(set(features.NAMES)) == len(features.NAMES)


def test_place_colour_frame_and_order_are_in_numbers():
    patch = {"left": 60, "top": 95, "width": 40, "height": 20, "clickable": False}
    first, second = seen("x", element(1, "div", colour="rgb(255, 0, 0)", frame="rgb(0, 0, 255)", **patch),
                         element(2, "div", colour="rgb(250, 0, 0)", **{**patch, "left": 0})).values()  # fmt: skip
    assert first == {"x": 0.5, "y": 0.5, "width": 0.25, "height": 0.095, "colour_there": 1, "colour_red": 1,
                     "frame_there": 1, "frame_blue": 1, "hue_cos": 1, "saturation": 1, "order": -1, "first": 1,
                     "equals": 0.693, "column": 1, "kind_area": 1, "act_click": 1}  # fmt: skip
    assert (second["order"], second["last"], second["column"]) == (1, 1, -1)
    assert "frame_there" not in second


def test_places_in_a_grid_are_ranks():
    dots = [element(3 * row + column + 1, "circle", left=10 * column, top=30 * row, width=4, height=4)
            for row in range(2) for column in range(3)]  # fmt: skip
    found = list(seen("x", *dots).values())
    assert [(one.get("column", 0), one.get("row", 0)) for one in found] == [
        (-1, -1), (0, -1), (1, -1), (-1, 1), (0, 1), (1, 1),
    ]  # fmt: skip
    assert all(one["grid"] for one in found)


def test_what_is_chosen_filled_and_held_is_said():
    found = seen(
        'Enter "al" and "bo"',
        element(1, "input", kind="checkbox", label="yes", value="true"),
        element(2, "input", kind="text", label="Name", value="bo", focused=True),
        element(3, "select", options=["May", "June"], chosen=["June"]),
    )
    assert found['click the box "yes"']["chosen"] == 1
    assert found['click the text field "Name"'].items() >= {"filled": 1, "focused": 1}.items()
    first, second = found['type "al" into the text field "Name"'], found['type "bo" into the text field "Name"']
    assert (first.get("holds", 0), second["holds"]) == (0, 1)
    assert (first["word_first"], second["word_last"], first["word_order"], second["word_order"]) == (1, 1, -1, 1)
    assert [found[f'choose "{month}" in the list'].get("chosen", 0) for month in ("May", "June")] == [0, 1]


def test_where_nothing_can_be_done_there_is_still_a_row():
    assert seen("x") == {"wait": {}}


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
