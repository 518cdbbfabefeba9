"""The page of a repair: self-contained, escaped, and what its script is told is what the repair says."""

import base64
import hashlib
import json
import re
from html import unescape

import pytest

from agentlab_runner.data_cleaning.command.page import check_page, page
from agentlab_runner.data_cleaning.discovery.logic import check
from agentlab_runner.data_cleaning.experiments.planted import countries, drugs
from agentlab_runner.data_cleaning.repairs.repair import repair
from agentlab_runner.data_cleaning.types import OFD
from tests.data_cleaning.conftest import make_ontology, make_table

NASTY = '</script><img src=x onerror=alert(1)>&"\''


@pytest.fixture(scope="module", params=["fixed", "exact", "two"])
def done(request):
    if request.param == "two":
        planted = drugs(800, concepts=6, senses=2, spread=3, err=0.1)
        return repair(planted.dirty, planted.ofds, planted.ontology)
    planted = countries(60 if request.param == "exact" else 900, concepts=5, err=0.1, inc=0.2)
    return repair(planted.dirty, planted.ofds, planted.ontology, search=request.param)


def payload(text):
    [found] = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    return json.loads(found)


def changed(data, point):
    """What the script counts as changed in each class at a point, by its own rules."""
    added = set()
    for one in data["points"][: point + 1]:
        added = (added - set(one["minus"])) | set(one["plus"])
    counts = []
    for one in data["classes"]:
        reading = one["readings"][data["points"][point]["readings"].get(one["id"], 0)]
        outside = zip(one["values"], reading["covered"], reading["candidates"], strict=True)
        counts.append(sum(n for (_, n), covered, candidate in outside if not covered and candidate not in added))
    return counts


def test_what_is_drawn_adds_up(done):
    data = payload(page(done))
    assert [(p["additions"], p["changes"]) for p in data["points"]] == [tuple(point) for point in done.pareto]
    assert data["taken"] == done.chosen
    assert all(not one["more"] for one in data["classes"])
    if len(done.problems[0].classes.ofds) == 1:
        for number, point in enumerate(done.pareto):
            assert sum(changed(data, number)) == point.changes


def test_it_asks_nobody_and_lets_no_other_script_run(done):
    text = page(done)
    [script] = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in unescape(text)
    assert re.findall(r'(?:src|href)="(?!#)[^"]*"', text) == []
    assert re.findall(r"https?://(?!www\.w3\.org/2000/svg)", text) == []


def test_values_cannot_become_markup():
    given = make_table({NASTY: ["k"] * 5, "A": [NASTY, "a", "a", "a", NASTY + "2"]})
    ofd, ontology = OFD((NASTY,), "A"), make_ontology("A", {NASTY: ["a"]})
    for text in (page(repair(given, [ofd], ontology)), check_page([check(given, ofd, ontology)], ontology)):
        assert "<img" not in text
        assert text.count("<script") == 2
        assert payload(text)["classes"][0]["values"][1][0] == NASTY


def test_a_check_shows_what_violates_first_and_then_what_has_one_meaning():
    given = make_table({"C": ["us"] * 4 + ["de"] * 3 + ["fr"] * 2, "D": ["x"] * 9,
                        "A": ["USA", "America", None, "Peru", "Germany", "DEU", "DEU", "France", "France"]})
    ontology = make_ontology("A", {"us": ["USA", "America"], "pe": ["Peru"], "de": ["Germany", "DEU"]})
    reports = [check(given, OFD((left,), "A"), ontology, nulls="equal") for left in ("C", "D")]
    text = check_page(reports, ontology)
    data = payload(text)
    assert [(one["ofd"], one["key"], one["readings"][0]["name"]) for one in data["classes"]] == [
        ("D -> A", "D=x", "de"), ("C -> A", "C=us", "us"), ("C -> A", "C=de", "de")
    ]
    us = data["classes"][1]
    assert us["values"] == [["USA", 1], ["America", 1], ["NULL", 1], ["Peru", 1]]
    assert us["readings"][0]["covered"] == [True, True, False, False]
    assert us["alternatives"] == [["pe", 1]]
    assert changed(data, 0) == [6, 2, 0]
    assert data["points"][0]["changes"] == sum(one.deficit for one in reports) == 8
    assert (data["total"], data["taken"]) == (3, 0)
    for one in reports:
        assert f'<td class="number">{one.ofd.support:.4f}</td>' in text
    assert 'id="choices" hidden' in text


def test_a_check_that_holds_says_so():
    given = make_table({"C": ["us", "us"], "A": ["USA", "USA"]})
    text = check_page([check(given, OFD(("C",), "A"))], make_ontology("A", {}))
    assert '<span class="badge good">holds</span>' in text
    assert payload(text)["classes"] == []


def test_what_is_left_out_is_said():
    planted = countries(4000, concepts=249, zipf=0.0, err=0.2, inc=0.1)
    done = repair(planted.dirty, planted.ofds, planted.ontology, adopt_foreign=True)
    text = page(done)
    data = payload(text)
    assert len(data["classes"]) == 200 < data["total"]
    assert f"of {data['total']} classes in violation the 200 worst are shown" in text
    assert f"of {len(done.pareto)} points of the front {len(data['points'])} are shown" in text
    assert data["points"][data["taken"]]["changes"] == done.pareto[done.chosen].changes
