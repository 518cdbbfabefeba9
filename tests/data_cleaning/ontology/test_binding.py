"""How an ontology finds its column."""

import json

import numpy as np
import pytest

from agentlab_runner.data_cleaning.ontology.binding import bind
from agentlab_runner.data_cleaning.types import Table


def table(**columns: list[str]) -> Table:
    coded = [np.unique(values, return_inverse=True) for values in columns.values()]
    return Table(
        tuple(columns), tuple(codes.astype(np.int32) for _, codes in coded), tuple(tuple(map(str, v)) for v, _ in coded)
    )


ORDERS = table(cc=["US", "DE"], country=["USA", "Germany"], note=["urgent", "late"])


@pytest.mark.parametrize("spec", ["country=countries", "countries:country"])
def test_a_column_is_named_on_either_side(spec):
    ontology, said = bind([spec], ORDERS)
    assert list(ontology.columns) == ["country"]
    assert said == []


def test_a_source_without_a_column_finds_those_it_knows():
    ontology, said = bind(["countries"], ORDERS)
    assert list(ontology.columns) == ["cc", "country"]
    assert said == ["countries is bound to cc, country, whose values it knows"]


def test_sources_join_and_a_file_may_name_its_columns(tmp_path):
    file = tmp_path / "notes=1.json"
    file.write_text(json.dumps({"note": {"classes": {"soon": ["urgent"]}}}))
    ontology, _ = bind(["country=countries", "country=countries", str(file)], ORDERS)
    assert len(ontology.columns["country"].concepts) == 2 * 498
    assert ontology.names("note", ["urgent"]).classes.tolist() == [0]
    renamed, _ = bind([f"cc={file}"], ORDERS)
    assert list(renamed.columns) == ["cc"]


def test_normalising_is_said_for_one_column_or_all_and_else_by_the_source():
    medicines = table(med=["Advil", "IBUPROFEN"], other=["x", "y"])
    known = bind(["med=drugs"], medicines)[0].coverage(medicines)[0].known
    assert known == 2
    assert bind(["med=drugs"], medicines, ["med=none"])[0].coverage(medicines)[0].known == 0
    assert bind(["med=drugs"], medicines, ["none"])[0].normalise == {"med": "none"}


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ("contry=countries", "for column 'contry', which the table does not have; did you mean 'country'"),
        ("countries:nation", "for column 'nation', which the table does not have; its columns are cc, country, note"),
        ("icd10", "knows less than 10% of the cells of every column .* say which it speaks of: COLUMN=icd10"),
        ("no such file", "neither a file nor one of"),
    ],
)
def test_a_column_that_is_not_there(spec, sentence):
    with pytest.raises(ValueError, match=sentence):
        bind([spec], ORDERS)


def test_a_file_that_names_an_unknown_column(tmp_path):
    file = tmp_path / "o.json"
    file.write_text(json.dumps({"contry": {"classes": {}}}))
    with pytest.raises(ValueError, match="bound to column 'contry', which the table does not have"):
        bind([str(file)], ORDERS)
    with pytest.raises(ValueError, match="normalise 'contry=strip' names column"):
        bind(["country=countries"], ORDERS, ["contry=strip"])
