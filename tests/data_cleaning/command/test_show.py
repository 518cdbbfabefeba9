"""What is printed, and how much of it."""

from agentlab_runner.data_cleaning.command import show
from agentlab_runner.data_cleaning.discovery.logic import check
from agentlab_runner.data_cleaning.types import OFD
from tests.data_cleaning.conftest import make_ontology, make_table


def test_every_violated_class_is_told_but_of_those_with_one_meaning_only_the_first():
    keys = [f"k{number // 2}" for number in range(2 * 100)]
    good = ["USA", "America"] * 50
    given = make_table({"K": keys, "A": good + [f"{text} {at}" for at in range(50) for text in ("oops", "")]})
    ontology = make_ontology("A", {"us": ["USA", "America"]})
    facts, violated, spared = show.check(check(given, OFD(("K",), "A"), ontology), ontology, whole=True)
    assert (facts.title, len(violated.rows), violated.more) == ("K -> A does not hold", 50, 0)
    assert (len(spared.rows), spared.more) == (show.SHOWN, 50 - show.SHOWN)
    assert spared.rows[0] == ("K=k0", "us", "USA (1), America (1)")
    few = show.check(check(given, OFD(("K",), "A"), ontology), ontology)
    assert (len(few[1].rows), few[1].more) == (show.SHOWN, 50 - show.SHOWN)


def test_null_and_empty_text_are_visible():
    given = make_table({"K": [None, None, None], "A": ["", None, ""]})
    violated = show.check(check(given, OFD(("K",), "A"), nulls="equal"), make_ontology("B", {}))[1]
    assert violated.rows == [("K=NULL", "''", "2/3", "NULL (1)")]
    [facts] = show.check(check(given, OFD(("K",), "A")), make_ontology("B", {}))
    assert ("left out", "3 rows that lack a cell of it") in facts.rows
