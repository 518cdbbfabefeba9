"""What is shown of a page, against a second implementation and by its own rules."""

import json
from random import Random
from xml.sax.saxutils import escape, quoteattr

import pytest

from agentlab_runner.envs.mind2web.pruning import DESCRIBING, element, parsed, shown
from tests.envs.mind2web import reference
from tests.envs.mind2web.make_corpus import corpus

WORDS = ("buy", "now", "Search", "a&b", "5 > 4", 'say "hi"', "hidden", "none", "http://x", "averyveryverylongword",
         "one two three four five six seven", "ż日", "x" * 14)  # fmt: skip


def random_page(rng, size):
    """A tree of elements, some without an id, texts among them."""
    number = iter(range(1, 10_000))

    def node(depth):
        key = "" if rng.random() < 0.1 else f' backend_node_id="{next(number)}"'
        if rng.random() < 0.3:
            return f"<text{key}>{escape(rng.choice([*WORDS, ' ']))}</text>{rng.choice(['', ' '])}"
        named = rng.sample(DESCRIBING, rng.choice([0, 0, 1, 3, 8]))
        attributes = "".join(f" {name}={quoteattr(rng.choice(WORDS))}" for name in named)
        tag = rng.choice(["div", "span", "a", "button", "li"])
        inside = "".join(node(depth + 1) for _ in range(rng.choice([0, 1, 1, 2, 5]))) if depth < size else ""
        return f"<{tag}{key}{attributes}>{inside}</{tag}>{rng.choice(['', ' '])}"

    return f'<html backend_node_id="0">{"".join(node(0) for _ in range(4))}</html>'


@pytest.mark.parametrize("seed", range(150))
def test_a_page_is_what_the_rules_make_of_it(seed):
    rng = Random(seed)
    html = random_page(rng, rng.choice([2, 4, 9]))
    known = [node.key for node in reference.tree(html).walk() if node.key and node.tag != "text"]
    for count in (1, 3, 8):
        chosen = rng.sample(known, min(count, len(known)))
        assert shown(parsed(html), chosen) == reference.page(html, chosen)


def test_pages_of_the_corpus_are_too():
    for name, content in corpus().items():
        if name.endswith("0.json"):
            for sample in json.loads(content):
                for action in sample["actions"]:
                    ids = [one["backend_node_id"] for one in (action["pos_candidates"] + action["neg_candidates"])[:5]]
                    html = action["cleaned_html"]
                    assert shown(parsed(html), ids) == reference.page(html, ids)


def test_a_small_page_letter_by_letter():
    html = (
        '<html backend_node_id="1"><body backend_node_id="2"><div backend_node_id="3"><a backend_node_id="4" '
        'aria_label="Cart" title="cart" class="btn btn-primary"><text backend_node_id="5">Your  cart</text></a></div>'
        '<input backend_node_id="6" type="hidden" value="http://x" name="q" /><p backend_node_id="7">'
        '<text backend_node_id="8">A &amp; B</text></p></body></html>'
    )
    assert shown(parsed(html), ["4"]) == "<html><a id=4 cart btn btn-primary>Your cart</a></html>"
    both = "<html><body><a id=4 cart btn btn-primary>Your cart</a><input id=6 q /><p>A & B</p></body></html>"
    assert shown(parsed(html), ["4", "6"]) == both


def test_what_is_far_from_a_candidate_is_left_out():
    deep = "".join(f'<div backend_node_id="d{n}" title="deep{n}">' for n in range(9)) + "</div>" * 9
    rows = "".join(f'<li backend_node_id="r{n}" title="row{n}" />' for n in range(9))
    many = "".join(f'<i backend_node_id="m{n}" title="many{n}" />' for n in range(60))
    parts = {"div": ("c", deep), "ul": ("u", rows), "p": ("p", many)}
    html = "".join(f'<{tag} backend_node_id="{key}">{inside}</{tag}>' for tag, (key, inside) in parts.items())
    html = f"<html>{html}</html>"
    text = shown(parsed(html), ["c"])
    assert ("deep5" in text, "deep6" in text) == (True, False)  # six generations
    text = shown(parsed(html), ["r4"])
    assert [n for n in range(9) if f"row{n}" in text] == [1, 2, 3, 4, 5, 6, 7]
    text = shown(parsed(html), ["p"])
    assert ("many49" in text, "many50" in text) == (True, False)


def test_an_element_that_the_cleaned_page_lacks_is_found_in_the_whole_one():
    html = (
        '<html backend_node_id="1"><div backend_node_id="2"><button backend_node_id="3" data_pw_testid_buckeye="u" '
        'aria_label="close"><text>x</text></button><button backend_node_id="33"><text>y</text></button></div></html>'
    )
    assert element(parsed(html), "u") == ("3", "<button id=3 close>x</button>")
    with pytest.raises(ValueError, match="marks no element by other"):
        element(parsed(html), "other")


def test_a_candidate_that_is_not_there_is_named():
    with pytest.raises(ValueError, match="no element '9'"):
        shown(parsed('<html backend_node_id="1" />'), ["9"])


@pytest.mark.parametrize("html", ["", "<html>", "no page", "<a/><b/>"])
def test_what_is_no_tree_is_refused(html):
    with pytest.raises(ValueError, match="no well-formed tree"):
        parsed(html)


def test_nothing_outside_a_page_is_read_and_no_entity_grows(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("SECRET")
    steals = (
        f'<!DOCTYPE html [<!ENTITY e SYSTEM "file://{secret}">]>'
        '<html><a backend_node_id="1"><text backend_node_id="2">&e; there</text></a></html>'
    )
    assert "SECRET" not in shown(parsed(steals), ["1"])
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10 if n else "ha"}">' for n in range(9))
    grows = f'<!DOCTYPE html [{laughs}]><html><a backend_node_id="1"><text>&l8;</text></a></html>'
    with pytest.raises(ValueError, match="amplification"):
        parsed(grows)
