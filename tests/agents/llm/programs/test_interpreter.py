"""The language of models' programs: Python's own meaning for what is in it, and a reason for what is not."""

import time

import pytest

from agentlab_runner.agents.llm.programs.interpreter import Called, calls, variables
from agentlab_runner.agents.llm.programs.language import CALLS, Foreign, Refused

API = {"click_xpath": 1, "type": 1, "press": 1, "nothing": 0}

COMPUTED = """
words = "Select 7 and 12, then press 'Submit'".split()
numbers = [int(w.strip(",")) for w in words if w.strip(",").isdigit()]
total, mean = sum(numbers), sum(numbers) / len(numbers)
squares = {n: n ** 2 for n in numbers}
text = f"{total:>5}|{mean:.2f}|{words[-1]!r}"
ordered = sorted(words, key=lambda w: (len(w), w.lower()), reverse=True)
pairs = [(a, b) for a in range(3) for b in "xy" if a % 2 == 0]
count = 0
while True:
    count += 1
    if count == 3:
        continue
    if count > 5:
        break
best = max(numbers) if numbers and not total < 3 else None
a, (b, c) = 1, (2, 3)
table = {"k": [1]}
table["k"].append(2)
table["z"] = table.get("q", "none").upper()
seen = set()
for i, word in enumerate(words):
    seen.add(word[:2])
again = ", ".join(sorted(seen))
low = 1 < total <= 19 != 20
"""


def test_it_computes_what_python_does():
    expected: dict = {}
    exec(COMPUTED, {}, expected)  # noqa: S102 - ours
    found = variables(COMPUTED, {})
    for name in ("i", "word", "w", "n"):
        expected.pop(name, None)
    assert {name: found[name] for name in expected} == expected


def test_calls_become_a_list():
    program = """# log in
for _ in range(2):
    agent.press("arrowleft")
agent.type(f'{"bob".upper()} {3 + 4}')
agent.click_xpath(xpath="//button")
agent.nothing()
"""
    assert calls(program, API) == [
        Called("press", ("arrowleft",)), Called("press", ("arrowleft",)), Called("type", ("BOB 7",)),
        Called("click_xpath", ("//button",)), Called("nothing", ()),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("import os", "'import os' is not in the language"),
        ("from os import system", "is not in the language"),
        ("agent.__class__", "there is no agent"),
        ("().__class__.__bases__", "not in the language"),
        ("'{0.__class__}'.format(1)", "not in the language"),
        ("[].append.__self__", "not in the language"),
        ("open('x')", "not in the language"),
        ("getattr(agent, 'type')", "not in the language"),
        ("exec('1')", "not in the language"),
        ("agent.fly()", "line 1: agent cannot fly; it can click_xpath, type"),
        ("agent.type()", "type takes 1"),
        ("agent.type(['x'])", "type takes 1"),
        ("agent.type('a')\nagent = 3", "line 2: 'agent'"),
        ("x = lambda agent: 1", "not in the language"),
        ("def f(): pass", "not in the language"),
        ("class A: pass", "not in the language"),
        ("try:\n  1\nexcept: pass", "not in the language"),
        ("while True: pass", "more than 20000 steps"),
        ("for i in range(10**9): pass", "more than 20000 steps"),
        ("x = [i for i in range(10**7)]", "more than 20000 steps"),
        ("list(range(10**10))", "more than 20000 steps"),
        ("x = 10 ** 1000", "too large"),
        ("x = 2.0 ** 10000", "too large"),
        ("x = 1 << 9999999", "not in the language"),
        ("x = 'a' * 10**9", "too l"),
        ("a = 'a' * 100000\nb = a.replace('a', a)", "line 2: a text grows too long"),
        ("a = 'ab'.join(['b' * 1000] * 4000)", "a text grows too long"),
        ("x = [0] * 4000\ny = [x] * 4000\nz = [y] * 4000\ns = str(z)", "too large"),
        ("x = [0] * 4000\ny = [x] * 4000\ns = y == [[0] * 4000] * 4000", "too large"),
        ("a = [1]\na[0] = a\nstr(a)", "nested too deeply"),
        ("f'{1:>1000000000}'", "not in the language"),
        ("'%1000000000d' % 3", "not in the language"),
        ("x = lambda: x()\nx()", "nested too deeply"),
        ("x = " + "-" * 3000 + "1", "nested too deeply|no Python"),
        ("(" * 5000 + ")" * 5000, "no Python"),
        ("agent.type('x'", "no Python"),
        ("\0", "no Python"),
        ("x = [1][3]", "line 1: IndexError"),
        ("x = 1 / 0", "ZeroDivisionError"),
        ("x = int('9' * 5000)", "too large"),
        ("break", "a break outside a loop"),
        ("x = y", "there is no y"),
        ("for _ in range(300): agent.press('enter')", f"more than {CALLS} calls"),
        ("#" * 30_000, "is too long"),
        ("await agent.type('x')", "no Python|not in the language"),
        ("x = [*range(3)]", "not in the language"),
        ("print(*[1])", "not in the language"),
        ("global x", "not in the language"),
        ("x = str.join", "there is no str"),
    ],
)  # fmt: skip
def test_what_is_not_in_it_is_refused_soon(program, reason):
    began = time.process_time()
    with pytest.raises(Refused, match=reason):
        calls(program, API)
    assert time.process_time() - began < 10  # of 2 s that a program may take, on whatever machine this is


def test_what_was_called_before_a_refusal_is_kept():
    with pytest.raises(Refused) as fault:
        calls("agent.type('a')\nagent.fly()", API)
    assert fault.value.called == [Called("type", ("a",))]


class Page(Foreign):
    ATTRIBUTES = frozenset({"title"})
    METHODS = frozenset({"find"})
    title = "Inbox"
    secret = "no"

    def find(self, name: str) -> str:
        return f"<{name}>"


def test_a_foreign_value_says_what_can_be_asked_of_it():
    found = variables("obs = page.title + page.find('a')", {"page": Page()})
    assert found["obs"] == "Inbox<a>"
    for program in ("page.secret", "page.__class__", "page.find.__self__", "page.title()", "page.find = 1"):
        with pytest.raises(Refused):
            variables(program, {"page": Page()})


def test_an_import_of_what_is_given_anyhow_is_no_fault():
    assert variables("from bs4 import BeautifulSoup\nx = 1", {"BeautifulSoup": Page})["x"] == 1
    with pytest.raises(Refused):
        variables("from bs4 import Tag", {"BeautifulSoup": Page})


NESTED = "a, b, t = [1], [1], (1,)\nfor i in range(60):\n    a, b, t = [a, a], [b, b], (t, t)\n"
"""Small to write down, and longer than the world lasts to go through."""


@pytest.mark.parametrize(
    "source",
    [
        "min(range(10**12))", "'a' in range(10**12)", "[].extend(range(10**10))", "a, b = range(10**10)",
        "round(1, -10**9)", f"{NESTED}x = {{t: 1}}", f"{NESTED}x = {{t}}", f"{NESTED}x = set([t])",
        f"{NESTED}x = {{}}\nx[t] = 1", f"{NESTED}x = {{}}.get(t)", f"{NESTED}x = sorted([a, b])",
        f"{NESTED}x = min(a, b)", f"{NESTED}x = [a].index(b)", f"{NESTED}[a].remove(b)", f"{NESTED}[a, b].sort()",
        f"{NESTED}x = sorted([1, 2], key=lambda n: a if n == 1 else b)", f"{NESTED}x = {{t for i in range(2)}}",
        "s = 'x' * 200000\nx = f'" + "{s}" * 4000 + "'", "s = 'x' * 199000\nx = [s + str(i) for i in range(4000)]",
    ],
)  # fmt: skip
def test_what_is_short_to_say_and_long_to_do_is_refused(source):
    began = time.monotonic()
    with pytest.raises(Refused):
        variables(source, {})
    assert time.monotonic() - began < 60
