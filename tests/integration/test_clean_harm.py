"""`agentlab clean` does no harm that it does not name."""

import json
import os
import re
import stat
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from agentlab_runner.runners.cli import app

NEIGHBOURS = "cc,country\n" + "DE,Germany\n" * 20 + "DE,France\n" * 4 + "FR,France\n" * 20


@pytest.fixture
def clean(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda *args: CliRunner().invoke(app, ["clean", *map(str, args)])


def answer(result):
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_neighbours_name_is_corrected_and_never_learnt(clean):
    Path("t.csv").write_text(NEIGHBOURS)
    args = ("repair", "t.csv", "--ofd", "cc -> country", "--ontology", "country=countries", "-o", "fixed.csv")
    told = answer(clean(*args, "--json"))
    assert (told["additions"], told["changes"], told["verified"]) == (0, 4, True)
    assert Path("fixed.csv").read_text() == "cc,country\n" + "DE,Germany\n" * 24 + "FR,France\n" * 20
    told = answer(clean(*args, "--adopt-foreign", "--json"))
    assert (told["additions"], told["changes"]) == (1, 0)


def test_the_row_that_is_named_is_the_row_that_is_written(clean):
    Path("t.csv").write_text('\ufeff"k\nkey","v"\na,x\na,x\nb,q\na,y\n', "utf-8")
    answer(clean("repair", "t.csv", "-d", '"k\nkey" -> v', "-o", "fixed.csv", "--json"))
    [change] = pq.read_table("fixed_details/repairs.parquet").to_pylist()
    assert (change["row"], change["old"], change["new"]) == (3, "y", "x")
    assert Path("fixed.csv").read_text("utf-8") == '\ufeff"k\nkey","v"\na,x\na,x\nb,q\na,x\n'


def test_missing_cells_neither_group_nor_are_filled_unless_that_is_said(clean):
    text = "zip,city\n,Boston\n,Boston\n,Chicago\n,Denver\n1,Rome\n1,Rome\n1,\n"
    Path("t.csv").write_text(text)
    args = ("t.csv", "-d", "zip -> city")
    assert answer(clean("repair", *args, "--json"))["changes"] == 0
    assert answer(clean("repair", *args, "--fill-missing", "--json"))["changes"] == 1
    assert answer(clean("repair", *args, "--nulls", "equal", "--json"))["changes"] == 2
    [told] = answer(clean("check", *args, "--json"))
    assert (told["holds"], told["rows"], told["incomplete"]) == (True, 2, 5)
    assert "left out: 5 rows that lack a cell of it" in clean("check", *args).stdout
    assert answer(clean("check", *args, "--json")) == answer(clean("check", *args, "--memory-limit", "1GB", "--json"))
    assert not answer(clean("check", *args, "--nulls", "equal", "--json"))[0]["holds"]


def test_nulls_that_all_differ_are_no_crash(clean):
    Path("t.csv").write_text("k,v\nb,\nb,\n")
    args = ("repair", "t.csv", "-d", "k -> v", "--nulls", "distinct", "--json")
    assert answer(clean(*args))["changes"] == 0
    assert answer(clean(*args, "--fill-missing"))["verified"]


def test_a_tie_is_unresolved_said_and_fails(clean):
    Path("t.csv").write_text("k,v\na,x\na,y\nb,p\nb,p\nb,q\n" + "".join(f"t{i},x\nt{i},y\n" for i in range(30)))
    result = clean("repair", "t.csv", "-d", "k -> v", "-o", "fixed.csv")
    assert result.exit_code == 1
    assert "1 cells changed" in result.stdout
    said = "2 rows of v (the first is row 0) are unresolved: by k -> v they may mean 'x' itself as well as 'y' itself"
    assert said in result.stderr
    assert "... and 11 more" in result.stderr
    assert Path("fixed.csv").read_text().startswith("k,v\na,x\na,y\nb,p\nb,p\nb,p\n")
    told = json.loads(Path("fixed_details/unresolved.json").read_text())
    assert len(told) == 31
    assert (told[0]["column"], told[0]["rows"]) == ("v", [0, 1])


def test_a_repair_in_place_keeps_mode_and_link_and_refuses_what_it_cannot_keep(clean):
    Path("real").mkdir()
    Path("real/t.csv").write_text(NEIGHBOURS)
    Path("real/t.csv").chmod(0o600)
    Path("t.csv").symlink_to("real/t.csv")
    args = ("repair", "t.csv", "-d", "cc -> country", "-y", "country=countries", "--in-place", "--json")
    answer(clean(*args))
    assert Path("t.csv").is_symlink()
    assert stat.S_IMODE(Path("real/t.csv").stat().st_mode) == 0o600
    assert "DE,France" not in Path("real/t.csv").read_text()
    os.link("real/t.csv", "other.csv")
    result = clean(*args)
    assert result.exit_code == 2
    assert "has 2 names (hard links)" in result.stderr


def test_a_file_is_read_as_it_looks_or_as_is_said_and_that_is_said(clean):
    rows = "city, state\tzip\nMünchen, BY\t80331\nMünchen, BY\tNA\nBonn, NW\t53111\n"
    Path("t.tsv").write_bytes(rows.encode("cp1252"))
    refused = clean("check", "t.tsv", "-d", '"city, state" -> zip')
    assert refused.exit_code == 2
    assert "invalid UTF8 data; name its encoding" in refused.stderr
    args = ("t.tsv", "-d", '"city, state" -> zip', "--encoding", "cp1252", "--null-values", "NA,N/A")
    result = clean("check", *args, "--json")
    assert (answer(result)[0]["lhs"], answer(result)[0]["holds"]) == (["city, state"], True)
    said = 't.tsv is CP1252, separated by tabs, quoted by "; an empty field or NA or N/A is NULL'
    assert f"agentlab: note: {said}" in result.stderr
    answer(clean("repair", *args, "--fill-missing", "--in-place", "--json"))
    assert Path("t.tsv").read_bytes().decode("cp1252").splitlines()[2] == "München, BY\t80331"
    found = answer(clean("discover", "t.tsv", "--encoding", "cp1252", "--columns", '"city, state",zip', "--json"))
    assert found["columns"] == ["city, state", "zip"]
    odd = clean("discover", "t.tsv", "--encoding", "cp1252", "--delimiter", "tab", "--quote", "none")
    assert odd.exit_code == 0
    assert '"city, state" -> zip' in odd.stdout
    assert "quotes mean nothing" in odd.stderr


def test_a_million_damaged_cells_do_not_unbind_an_ontology(clean):
    rows = [f"{n},{'Germany' if n % 25 else f'slip {n}'}" for n in range(1000)]
    Path("t.csv").write_text("\n".join(["id,country", *rows]))
    result = clean("coverage", "t.csv", "-y", "countries", "--json")
    [found] = answer(result)
    assert (found["column"], found["share"]) == ("country", 0.96)
    assert found["known"] / found["values"] < 0.1


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        ("check t.csv -d cc=>country", "'cc=>country' is no dependency; write it as"),
        ("repair t.csv -d cc->country --delimiter ::", "the delimiter is '::'"),
        ("check t.csv -d cc->country --quote <<", "the quote is '<<'"),
        ("coverage t.csv -y country=countries --encoding klingon", "the encoding 'klingon' is not known"),
        ("discover t.parquet --delimiter ;", "t.parquet is no text file (.csv, .tsv, .txt), so it has no delimiter"),
        ("repair t.csv -d cc->country --nulls some", "--nulls 'some' is unknown; choose from ignore, equal, distinct"),
        ("discover t.csv --nulls ignore", "--nulls 'ignore' is unknown; choose from equal, distinct"),
        ("check nested.parquet -d a->b", "flatten it or leave it out of the table"),
    ],
)
def test_refusals(clean, args, sentence):
    import pyarrow as pa

    Path("t.csv").write_text(NEIGHBOURS)
    pq.write_table(pa.table({"a": ["x"]}), "t.parquet")
    pq.write_table(pa.table({"a": ["x"], "b": [[1]]}), "nested.parquet")
    result = clean(*args.split())
    assert result.exit_code == 2, result.output
    assert sentence in result.stderr


def test_what_is_left_is_not_listed_as_done(clean):
    Path("t.csv").write_text("k,v\na,x\na,y\nb,p\nb,p\nb,q\n")
    done = clean("repair", "t.csv", "--ofd", "k -> v", "--out", "fixed.csv").stdout
    assert re.search(r"^0 +2 +taken, 1 of them left as they are$", done, re.MULTILINE)
    assert "1 cells changed" in done
    told = json.loads(Path("fixed_details/pareto.json").read_text())
    assert (told["points"][told["chosen"]]["changes"], told["left"]) == (2, 1)
