"""The AitW action format: every dialect, both ways, and what is not an action."""

import random

import pytest

from agentlab_runner.envs.android.actions import UNUSED, Action, ActionType, AitwParser, swipe, tap

TOLERANT, RELEASED = AitwParser(), AitwParser("released")
COGAGENT, COGAGENT_RELEASED = AitwParser("cogagent"), AitwParser("cogagent_released")
ACTIONS = [
    tap(0.25, 0.75),
    swipe((0.8, 0.5), (0.2, 0.5)),
    Action(ActionType.Type, text="usb c cable"),
    Action(ActionType.GoBack),
    Action(ActionType.GoHome),
    Action(ActionType.Enter),
    Action(ActionType.TaskComplete),
    Action(ActionType.TaskImpossible),
    Action(ActionType.Idle),
]


def decision(kind: str, touch: str = "[-1.0, -1.0]", lift: str = "[-1.0, -1.0]", text: str = "") -> str:
    return (f'Action Plan: [{kind}] Action Decision: "action_type": "{kind}", "touch_point": "{touch}", '
            f'"lift_point": "{lift}", "typed_text": "{text}"')


@pytest.mark.parametrize("parser", [TOLERANT, RELEASED], ids=["tolerant", "released"])
@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.kind.name)
def test_rendering_and_parsing_are_inverse(parser, action):
    assert parser.parse(parser.render(action)) == action
    assert parser.labels[parser.label(action)] == action.kind.name


@pytest.mark.parametrize("action", ACTIONS[:-1], ids=lambda action: action.kind.name)
def test_cogagent_rendering_and_parsing_are_inverse(action):
    assert COGAGENT.same(COGAGENT.parse(COGAGENT.render(action)), action)
    assert COGAGENT_RELEASED.same(COGAGENT_RELEASED.parse(COGAGENT.render(action)), action)


def test_points_are_y_first():
    parsed = TOLERANT.parse(decision("DUAL_POINT", "[0.1000, 0.9000]", "[0.1000, 0.9000]"))
    assert parsed == tap(0.1, 0.9)


@pytest.mark.parametrize("text", ["red, green and blue", 'say "hi", now', "it's 5:30, ok: go", "", "a, b, c, d"])
def test_typed_text_may_hold_commas_and_quotes(text):
    action = Action(ActionType.Type, text=text)
    assert TOLERANT.parse(TOLERANT.render(action)) == action


def test_typed_text_cannot_pretend_to_be_a_field():
    text = '"action_type": "PRESS_HOME", "touch_point": "[0.5, 0.5]"'
    assert TOLERANT.parse(decision("TYPE", text=text)) == Action(ActionType.Type, text=text)


@pytest.mark.parametrize("before", [
    '{"typed_text": "", "action_type": "DUAL_POINT", "touch_point": "[0.5, 0.2]"}',
    '"action_type": "DUAL_POINT", "typed_text": "", "touch_point": "[0.5, 0.2]", "lift_point": "[0.5, 0.2]"',
    "action_type: DUAL_POINT, typed_text: , touch_point: (0.5, 0.2)",
    '"action_type": "DUAL_POINT",\n"typed_text": "a, \'b\'"\n"touch_point": [0.5, 0.2]',
])
def test_fields_behind_typed_text_are_read(before):
    assert TOLERANT.parse(before) == tap(0.5, 0.2)


@pytest.mark.parametrize("text", ["one\ntwo", "one\n\ntwo, three", 'he said "hi"\nand left', '5" wide\n6" high', "\nb"])
def test_typed_text_may_hold_line_breaks(text):
    assert TOLERANT.parse(decision("TYPE", text=text)) == Action(ActionType.Type, text=text)
    assert TOLERANT.parse(decision("TYPE", text=text) + '\nThat "types" it.') == Action(ActionType.Type, text=text)
    assert TOLERANT.parse(f'{{"typed_text": "{text}", "action_type": "TYPE"}}') == Action(ActionType.Type, text=text)
    assert COGAGENT.parse(f'Grounded Operation: type "{text}"') == Action(ActionType.Type, text=text)


def test_what_stands_behind_the_closing_quote_is_not_typed():
    assert TOLERANT.parse('"action_type": "TYPE", "typed_text": "a"}\nDone, "b" it is.').text == "a"
    assert TOLERANT.parse('"action_type": "TYPE", "typed_text": "a" as asked\nDone.').text == "a"
    assert TOLERANT.parse('"action_type": "TYPE", "typed_text": "cut\noff').text == "cut\noff"


def test_released_fails_on_a_comma_in_typed_text_and_on_a_missing_marker():
    assert RELEASED.parse(decision("TYPE", text="red, green")) is None
    assert RELEASED.parse('"action_type": "PRESS_HOME"') is None
    assert RELEASED.parse(decision("PRESS_HOME") + ", ") is None
    assert RELEASED.fallback.kind is ActionType.TaskImpossible
    assert TOLERANT.fallback.kind is ActionType.Idle


@pytest.mark.parametrize("text", [
    decision("SHAKE"),
    decision("DUAL_POINT", "[half, 0.5]"),
    decision("DUAL_POINT", "[nan, 0.5]", "[0.5, 0.5]"),
    decision("DUAL_POINT", "[__import__('os'), 0.5]"),
    "Action Decision: a, b, c, d, e, f",
])
def test_released_reads_an_unknown_type_or_a_bad_number_as_idle(text):
    assert RELEASED.parse(text) == Action(ActionType.Idle)
    assert TOLERANT.parse(text) is None


def test_released_cuts_typed_text_at_a_colon():
    assert RELEASED.parse(decision("TYPE", text="to: me")) == Action(ActionType.Type, text="to")


@pytest.mark.parametrize("text", ["", "I would tap the button.", "action_type", decision("DUAL_POINT"),
                                  'Action Decision: "action_type": "TYPE"', "[[500,500]]", "\x00\ud800"])
def test_what_names_no_action_is_unparsable(text):
    assert TOLERANT.parse(text) is None
    assert COGAGENT.parse(text) is None


def test_tolerant_takes_a_missing_lift_point_and_clips():
    assert TOLERANT.parse('"action_type": "DUAL_POINT", "touch_point": "[0.5, 0.2]"') == tap(0.5, 0.2)
    assert TOLERANT.parse(decision("DUAL_POINT", "[1.7, -0.3]")) == tap(1.0, 0.0)
    assert TOLERANT.parse("{'action_type': 'press_back'}") == Action(ActionType.GoBack)
    assert RELEASED.parse(decision("DUAL_POINT", "[1.7, -0.3]")).lift == UNUSED


def test_random_text_never_raises():
    rng = random.Random(0)
    pieces = ['"action_type": ', '"DUAL_POINT"', "TYPE", ", ", '"touch_point": "[', "0.5", "]", '"', "typed_text", ": ",
              "Action Decision: ", "Grounded Operation:", "tap [[", "1e999", "type ", "-", "nan", "\n", "{", "é"]
    for _ in range(2000):
        text = "".join(rng.choices(pieces, k=rng.randint(0, 14)))
        for parser in (TOLERANT, RELEASED, COGAGENT, COGAGENT_RELEASED):
            parsed = parser.parse(text)
            assert parsed is None or parser.render(parsed)


def test_cogagent_taps_in_thousandths_x_first():
    assert COGAGENT.parse("Plan: ... Grounded Operation: tap [[250, 750]]") == tap(0.75, 0.25)
    assert COGAGENT.parse("Grounded Operation:swipe up").lift == (0.2, 0.5)
    assert COGAGENT.parse('Grounded Operation: type "a, b"').text == "a, b"
    assert COGAGENT.parse("Grounded Operation: think") is None


def test_cogagent_as_released_turns_a_tap_after_a_blank_into_idle():
    assert COGAGENT_RELEASED.parse("Grounded Operation:tap [[250,750]]") == tap(0.75, 0.25)
    assert COGAGENT_RELEASED.parse("Grounded Operation: tap [[250,750]]") == Action(ActionType.Idle)
    assert COGAGENT_RELEASED.parse("Grounded Operation: press home") == Action(ActionType.GoHome)


def test_history_has_the_quirks_of_the_release():
    complete = TOLERANT.history(Action(ActionType.TaskComplete))
    assert complete == TOLERANT.history(Action(ActionType.TaskImpossible))
    assert '"STATUS_TASK_COMPLETE"' in complete
    assert TOLERANT.history(Action(ActionType.Idle)) == ""
    assert TOLERANT.history(tap(0.5, 0.25)) == (
        '"action_type": "DUAL_POINT", "touch_point": "[0.5000, 0.2500]", "lift_point": "[0.5000, 0.2500]", '
        '"typed_text": ""')


def test_matching_rule():
    same = TOLERANT.same
    assert same(tap(0.5, 0.5), tap(0.5, 0.63))
    assert not same(tap(0.5, 0.5), tap(0.5, 0.65))
    assert same(tap(0.5, 0.1), tap(0.5, 0.9), boxes=[(0.45, 0.0, 0.55, 1.0)])
    assert same(swipe((0.8, 0.5), (0.2, 0.5)), swipe((0.6, 0.4), (0.3, 0.5)))
    assert not same(swipe((0.8, 0.5), (0.2, 0.5)), swipe((0.2, 0.5), (0.8, 0.5)))
    assert not same(swipe((0.8, 0.5), (0.2, 0.5)), tap(0.8, 0.5))
    assert same(Action(ActionType.Type, text="USB C"), Action(ActionType.Type, text=" usb  c"))
    assert not same(Action(ActionType.Type, text="usb"), Action(ActionType.Type, text="usb c"))
    assert not same(Action(ActionType.GoBack), Action(ActionType.GoHome))


def test_decimals_shorten_points():
    assert '"[0.33, 0.67]"' in AitwParser(decimals=2).render(tap(1 / 3, 2 / 3))


@pytest.mark.parametrize(("arguments", "message"), [
    ({"mode": "lenient"}, "choose one of"),
    ({"decimals": 0}, "1 to 6"),
])
def test_bad_arguments_say_what_is_right(arguments, message):
    with pytest.raises(ValueError, match=message):
        AitwParser(**arguments)
