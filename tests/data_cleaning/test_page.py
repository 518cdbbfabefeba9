"""The page of a repair: self-contained, escaped, and what its script is told is what the repair says."""

import base64
import hashlib
import json
import re
from html import unescape

import pytest

from data_cleaning.page import page, write_report
from data_cleaning.planted import countries, drugs
from data_cleaning.repairs import repair
from data_cleaning.types import OFD
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


def test_values_cannot_become_markup(tmp_path):
    given = make_table({NASTY: ["k"] * 5, "A": [NASTY, "a", "a", "a", NASTY + "2"]})
    done = repair(given, [OFD((NASTY,), "A")], make_ontology("A", {NASTY: ["a"]}))
    write_report(done, tmp_path / "deep" / "page.html")
    text = (tmp_path / "deep" / "page.html").read_text("utf-8")
    assert "<img" not in text
    assert text.count("<script") == 2
    assert payload(text)["classes"][0]["values"][1][0] == NASTY
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["page.html"]


def test_what_is_left_out_is_said():
    planted = countries(4000, concepts=249, zipf=0.0, err=0.2, inc=0.1)
    done = repair(planted.dirty, planted.ofds, planted.ontology)
    text = page(done)
    data = payload(text)
    assert len(data["classes"]) == 200 < data["violated"]
    assert f"of {data['violated']} classes in violation the 200 worst are shown" in text
    assert f"of {len(done.pareto)} points of the front {len(data['points'])} are shown" in text
    assert data["points"][data["taken"]]["changes"] == done.pareto[done.chosen].changes
