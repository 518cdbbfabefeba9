"""BrowserGym's calls: one form for each, nothing else is read, and none of it is run."""

import random

import pytest

from agentlab_runner.envs.browsergym.actions import CALLS, EXAMPLES, SIGNATURES, TEXT, CallParser, read

ALL = CallParser(["bid", "coord", "nav", "tab", "chat", "infeas"])


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("click('12')", "click('12')"),
        ('I press it.\nclick("a12", button="right")', "click('a12', button='right')"),
        ("click(12)", "click('12')"),
        ("```\nclick('12', 'left', [])\n```", "click('12')"),
        ("Action: fill(bid='7', value='it\\'s \"ż 日 😀\"\\n')", "fill('7', 'it\\'s \"ż 日 😀\"\\n')"),
        ("1. click('1')\n2. click('2')", "click('2')"),
        ("scroll(0, -200.5)", "scroll(0, -200.5)"),
        ("select_option('4', ['a', 'b'])", "select_option('4', ['a', 'b'])"),
        ("press('8', 'Control+a')", "press('8', 'Control+a')"),
        ("goto('https://example.com/a?b=1')", "goto('https://example.com/a?b=1')"),
        ("noop()", "noop()"),
    ],
)  # fmt: skip
def test_a_call_is_the_last_line_that_is_one(said, meant):
    assert ALL.parse(said) == meant
    assert ALL.parse(ALL.render(meant)) == meant


@pytest.mark.parametrize(
    "said",
    [
        "", "click", "click()", "click('12', '13', '14', '15')", "click('12', bid='12')", "click('12', odd=1)",
        "click('1' + '2')", "click(__import__('os').system('id'))", "click('12').x()", "click(f'{1}')",
        "click('12'); click('13')", "page.click('12')", "upload_file('5', '/etc/passwd')", "(lambda: 0)()",
        "goto('file:///etc/passwd')", "goto('javascript:alert(1)')", "click('12', button='fourth')",
        "click('[onclick]')", "click(True)", "scroll('a', 0)", "scroll(1e999, 0)", "scroll(True, 0)", "tab_focus(-1)",
        "tab_focus(1.0)", "fill('7', 8)", "fill('7', '\\ud800')", "select_option('7', [])", "press('8', 'a b')",
        "fill('7', '" + "x" * (TEXT + 1) + "')", "click(" * 300 + ")" * 300, "click(" + "-" * 3000 + "1)",
        "click(*['12'])", "click(**{'bid': '12'})", "eval('1')", "noop(1e6)", "fill('7', '\0')\0",
    ],
)  # fmt: skip
def test_what_is_none_is_not_read(said):
    assert ALL.parse(said) is None
    assert read(said) is None


def test_any_text_comes_back():
    draw = random.Random(0)
    for _ in range(300):
        text = "".join(chr(draw.choice([draw.randrange(32, 127), draw.randrange(160, 55000), 10, 39, 34, 92]))
                       for _ in range(draw.randrange(30)))  # fmt: skip
        call = read(f"fill('7', {text!r})")
        assert call.arguments == ("7", text, False)
        assert ALL.parse(str(call)) == str(call)


def test_every_call_has_an_example_and_files_are_nobodys():
    assert EXAMPLES.keys() == SIGNATURES.keys()
    assert not any("file" in name for name in SIGNATURES)
    assert [ALL.labels[ALL.label(ALL.parse(EXAMPLES[name]))] for name in ALL.labels] == list(ALL.labels)
    only = CallParser(["bid"])
    assert set(only.labels) == {*CALLS["bid"], "noop"}
    assert only.parse("mouse_click(1, 2)") is None
    with pytest.raises(ValueError, match="unknown subset 'all' of calls; choose of bid, coord"):
        CallParser(["all"])
