"""`agentlab clean` as a user meets it."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import agentlab_runner.data_cleaning as data_cleaning
from agentlab_runner.runners.cli import app
from tests.conftest import environment

EXAMPLE = Path(data_cleaning.__file__).parent / "example"
CLINIC = Path(__file__).parent.parent / "data_cleaning" / "clinic"


@pytest.fixture
def clean(tmp_path, monkeypatch):
    """`agentlab clean ARGS` in this process, in a folder that holds the example."""
    shutil.copytree(EXAMPLE, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return lambda *args: CliRunner().invoke(app, ["clean", *map(str, args)])


def answer(result):
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


MEANING = ("-y", "country=countries", "-y", "medicines.json")


def test_a_repair_is_shown_and_nothing_is_written_unless_asked(clean, tmp_path):
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}
    result = clean("repair", "orders.csv", "-d", "cc -> country", *MEANING)
    assert result.exit_code == 0, result.stderr
    assert "Untied States" in result.stdout
    assert "nothing was written" in result.stdout
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_a_repair_leaves_the_table_its_reasons_and_an_ontology_that_make_a_second_run_idle(clean, tmp_path):
    original = Path("orders.csv").read_bytes()
    told = answer(
        clean("repair", "orders.csv", "-d", "cc -> country", *MEANING, "-o", "fixed.csv", "--choose", 2, "--json")
    )
    assert told["verified"]
    assert Path("orders.csv").read_bytes() == original
    folder = tmp_path / told["details"]
    rows = pq.read_table(folder / "repairs.parquet").to_pylist()
    assert {"column": "country", "old": "Untied States", "new": "United States"}.items() <= rows[0].items()
    old, new = (Path(name).read_text().splitlines() for name in ("orders.csv", "fixed.csv"))
    changed = [number - 1 for number, (a, b) in enumerate(zip(old, new, strict=True)) if a != b]
    assert changed == [row["row"] for row in rows]
    additions = json.loads((folder / "ontology_additions.json").read_text())
    assert {one["value"] for one in additions} == {"America", "Bharat"}
    front = json.loads((folder / "pareto.json").read_text())
    assert front["points"][front["chosen"]] == {"additions": told["additions"], "changes": told["changes"]}
    again = answer(
        clean("repair", "fixed.csv", "-d", "cc -> country", "-y", folder / "ontology.json", "-o", "again.csv", "--json")
    )
    assert (again["additions"], again["changes"]) == (0, 0)
    assert Path("again.csv").read_bytes() == Path("fixed.csv").read_bytes()


@pytest.mark.parametrize("verb", ["check", "repair"])
def test_the_page_is_one_file(clean, verb):
    answer(clean(verb, "orders.csv", "-d", "cc -> country", *MEANING, "--report", "seen/page.html", "--json"))
    [page] = Path("seen").iterdir()
    assert "Untied States" in page.read_text()
    assert 'src="http' not in page.read_text()


def test_what_cannot_be_repaired_is_left_said_and_fails(clean):
    Path("t.csv").write_text("x,y,a\nx,y,\nx,z,\nx,v,k\np,y,u\nq,y,u\nr,z,w\ns,z,w\n")
    args = ("repair", "t.csv", "-d", "x -> a", "-d", "y -> a", "--search", "fixed", "--fill-missing", "-o", "o.csv",
            "--json")  # fmt: skip
    result = clean(*args)
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert not told["verified"]
    said = "1 rows of a (the first is row 1) cannot be repaired: x -> a wants 'u' itself but y -> a wants 'w' itself"
    assert told["unresolved"] == [said]
    assert said in result.stderr
    assert "does not satisfy every dependency" in result.stderr
    assert Path("o.csv").read_text().splitlines()[2] == "x,z,"


def test_in_place_only_when_said(clean):
    refused = clean("repair", "orders.csv", "-d", "cc -> country", *MEANING, "-o", "orders.csv")
    assert refused.exit_code == 2
    assert "say --in-place" in refused.stderr
    answer(clean("repair", "orders.csv", "-d", "cc -> country", *MEANING, "--in-place", "--json"))
    assert "Untied" not in Path("orders.csv").read_text()


@pytest.mark.parametrize(("sense", "front"), [("FDA", [(0, 6), (1, 3), (2, 0)]), ("MoH", [(0, 7), (1, 3), (2, 0)])])
@pytest.mark.parametrize("search", ["exact", "beam"])
def test_the_sample_in_the_original_layout_gives_the_documented_counts(clean, sense, front, search):
    told = answer(
        clean("repair", CLINIC / "data.csv", "-d", CLINIC / "ofds.txt", "-y", CLINIC / "senses", "--sense", sense,
              "--search", search, "--json")
    )
    assert [(point["additions"], point["changes"]) for point in told["pareto"]] == front


def test_the_config_of_the_original_program_is_a_task(clean):
    rdf = '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:ex="http://example.org/">' + "".join(
        f'<rdf:Description rdf:about="http://example.org/{child}"><ex:is_a rdf:resource="http://example.org/{parent}"/>'
        "</rdf:Description>" for child, parent in (("USA", "US"), ("AMERICA", "US"), ("GERMANY", "DE"))
    ) + "</rdf:RDF>"
    Path("iso.rdf").write_text(rdf)
    Path("data.csv").write_text("cc,country\nus,usa\nus,America\nde,Germany\nde,DE\nus,Germany\n")
    Path("ofd.txt").write_text("cc->country\n")
    Path("conf.xml").write_text(
        "<Config><ontology><name>country</name><threshold>0.2</threshold><path>iso.rdf</path><sense>ISO</sense>"
        "<class>syn</class></ontology><data><path>data.csv</path></data><ofd><path>ofd.txt</path></ofd></Config>"
    )
    assert answer(clean("repair", "conf.xml", "--json"))["pareto"][0] == {"additions": 0, "changes": 1}
    found = answer(clean("discover", "conf.xml", "--json"))["ofds"]
    assert {"lhs": ["cc"], "rhs": "country", "support": 0.8}.items() <= found[0].items()


def test_a_folder_of_rahas_layout_is_scored_against_its_clean_table(clean):
    Path("geo").mkdir()
    Path("geo/dirty.csv").write_text("cc,country\nUS,USA\nUS,Germany\nUS,United States\nDE,Germany\nDE,Gemrany\n")
    Path("geo/clean.csv").write_text("cc,country\nUS,USA\nUS,USA\nUS,United States\nDE,Germany\nDE,Germany\n")
    told = answer(clean("repair", "geo", "-d", "cc->country", "-y", "country=countries", "--json"))
    assert told["quality"] == {"precision": 1.0, "recall": 1.0, "f1": 1.0}
    assert "say --in-place" in clean("repair", "geo", "-d", "cc->country", "-o", "geo/dirty.csv").stderr
    answer(clean("repair", "geo", "-d", "cc->country", "-y", "country=countries", "--in-place", "--json"))
    assert Path("geo/dirty.csv").read_bytes() == Path("geo/clean.csv").read_bytes()
    Path("geo/dirty.csv").write_text("cc,country\nUS,USA\nUS,Germany\nUS,United States\nDE,Germany\nDE,Gemrany\n")
    plain = clean("repair", "geo", "-d", "cc->country", "--json")
    assert plain.exit_code == 1  # without an ontology Germany stands against Gemrany, one against one
    assert json.loads(plain.stdout)["quality"]["precision"] < 1


RUNNING = {
    "COUNTRY": {"classes": {"us": ["USA", "America", "United States"], "canada": ["Canada", "CAN"]}},
    "MED": json.loads((EXAMPLE / "medicines.json").read_text())["medicine"],
}
ROWS = """CC,COUNTRY,SYMPTOM,MED
US,USA,joint pain,ibuprofen
US,America,joint pain,naproxen
US,United States,headache,tylenol
CA,Canada,headache,acetaminophen
CA,CAN,joint pain,advil
"""


@pytest.mark.parametrize(
    ("ofd", "kind", "holds", "support"),
    [
        ("CC -> COUNTRY", (), True, 1.0),
        ("SYMPTOM -> MED", (), False, 0.8),
        ("SYMPTOM -> MED", ("--kind", "inheritance", "--theta", 1), True, 1.0),
        ("CC -> MED", ("--kind", "inheritance", "--theta", 1), False, 0.6),
        ("CC -> MED", ("--kind", "inheritance", "--theta", 2), True, 1.0),
    ],
)
def test_the_running_example_holds_up_to_meaning_and_not_as_text(clean, ofd, kind, holds, support):
    Path("t.csv").write_text(ROWS)
    Path("o.json").write_text(json.dumps(RUNNING))
    [told] = answer(clean("check", "t.csv", "-d", ofd, "-y", "o.json", *kind, "--json"))
    assert (told["holds"], told["support"]) == (holds, pytest.approx(support))
    [plain] = answer(clean("check", "t.csv", "-d", ofd, "--json"))
    assert not plain["holds"]
    assert plain["support"] < told["support"]


def test_a_check_shows_what_each_class_means_and_what_stands_outside(clean):
    args = ("check", "orders.csv", "-d", "cc -> country", *MEANING)
    result = clean(*args, "--details", "found", "--strict")
    assert result.exit_code == 1
    assert "cc=DE  Germany (ISO 3166)         7/8     France (1)" in result.stdout
    spared = result.stdout.partition("of one meaning:")[2]
    assert re.search(r"^cc=FR  France \(ISO 3166\) +France \(4\), ", spared, re.MULTILINE)
    [told] = json.loads(Path("found/check.json").read_text())
    german = next(one for one in told["violations"] if one["class"] == {"cc": "DE"})
    assert [(one["value"], one["rows"]) for one in german["values"] if not one["covered"]] == [("France", [8])]
    assert {one["class"]["cc"] for one in told["synonyms"]} == {"FR", "KR"}
    assert all(value["covered"] for one in told["synonyms"] for value in one["values"])
    original = json.loads(Path("found/original/cc--country.json").read_text())
    assert (original["FD"], original["ERROR_RATE"], original["NUMBER_OF_ERROR"]) == ("cc-->country", 0.75, 14)
    error = original["VIOLATION"][-1]["ERROR_TUPPLES"][0]
    assert (error["ROW"], error["CELLS"][0], error["FREQUENCY"]) == (9, "1009", 1)
    assert clean(*args).exit_code == 0
    assert clean("check", "orders.csv", "-d", "order -> country", "--strict").exit_code == 0


def test_what_was_discovered_is_checked_and_repaired(clean):
    answer(clean("discover", "orders.csv", *MEANING, "--kappa", 0.7, "-o", "ofds.json", "--json"))
    wanted = [one for one in json.loads(Path("ofds.json").read_text()) if one["lhs"] == ["cc"]]
    Path("cc.json").write_text(json.dumps(wanted))
    [told] = answer(clean("check", "orders.csv", "-d", "cc.json", *MEANING, "--json"))
    assert told["support"] == wanted[0]["support"] == 0.75
    assert answer(clean("repair", "orders.csv", "-d", "cc.json", *MEANING, "--json"))["pareto"][0]["changes"] == 14


def test_coverage_names_what_is_unknown_and_warns_of_little(clean):
    told = clean("coverage", "orders.csv", "-y", "country=icd10", "-y", "medicines.json", "--json")
    country, medicine = answer(told)
    assert (country["known"], medicine["share"]) == (0, 1.0)
    assert "note: the ontology knows 0 of the" in told.stderr
    assert "America" in clean("coverage", "orders.csv", "-y", "countries").stdout


def test_discovery_writes_every_format(clean, tmp_path):
    told = answer(clean("discover", "orders.csv", *MEANING, "--json", "-o", "ofds.json", "--details", "found"))
    assert {"lhs": ["order"], "rhs": "medicine"}.items() <= told["ofds"][3].items()
    assert json.loads(Path("ofds.json").read_text()) == told["ofds"]
    assert "FD: order --> cc\n" in Path("found/original.txt").read_text()
    assert "t1&t2&EQ(t1.order,t2.order)&IQ(t1.cc,t2.cc)\n" in Path("found/holoclean.txt").read_text()
    assert json.loads(Path("found/desbordante.json").read_text())[0] == [[0], 1]
    fewer = answer(clean("discover", "orders.csv", "--columns", "cc,country", "--kappa", "0.95", "--json"))
    assert [(one["lhs"], one["rhs"]) for one in fewer["ofds"]] == [(["country"], "cc")]


def test_plain_lines_in_a_pipe(clean):
    lines = clean("discover", "orders.csv").stdout.splitlines()
    assert lines[0] == "4 dependencies:"
    assert lines[1].split()[:2] == ["dependency", "support"]
    assert lines[2].startswith("order -> cc  ")


def test_a_memory_limit_changes_nothing_but_the_way(clean):
    for verb, *rest in (("discover", "--kappa", 0.7), ("check", "-d", "cc -> country")):
        args = (verb, "orders.csv", *rest, *MEANING, "--json")
        assert answer(clean(*args)) == answer(clean(*args, "--memory-limit", "1GB"))


CYCLE = {"country": {"classes": {"a": ["x"], "b": ["y"]}, "isa": [["a", "b"], ["b", "a"]]}}


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        ("repair orders.csv -d cc->contry", "no column 'contry'; did you mean 'country'?"),
        ("repair orders.csv -d cc,country->country", "has 'country' on both sides"),
        ("repair orders.csv -d cc=country", "is no dependency; write it as"),
        ("repair orders.csv -d cc=>country", "is no dependency; write it as"),
        ("repair orders.csv", "name at least one dependency"),
        ("repair orders.csv -d cc->country -d country->medicine", "then by the other"),
        ("repair orders.csv -d cc->country --tau 1 --choose knee", "give one of them"),
        ("repair orders.csv -d cc->country --max-additions 0 --tau 0", "tau=0 cannot be met"),
        ("repair orders.csv -d cc->country --max-additions -1", "max_additions is -1"),
        ("repair orders.csv -d cc->country --choose most", "choose from evidence, knee"),
        ("repair orders.csv -d cc->country -o a.csv --in-place", "exclude each other"),
        ("repair orders.csv -d cc->country -o orders.csv/a.csv", "Not a directory; name another place"),
        ("repair orders.csv -d cc->country --details orders.csv", "orders.csv: File exists; name another place"),
        ("check orders.csv -d cc->country --report full", "full: Is a directory; name another place"),
        ("check orders.csv -d ->", "is no dependency"),
        ("check orders.csv -d []", "is no dependency"),
        ("repair orders.csv -d cc->country -o a.xlsx", "a.xlsx cannot be written; end its name in .csv"),
        ("check orders.csv", "nothing to check; name a dependency"),
        ("check orders.csv -d cc->contry", "no column 'contry'"),
        ("check orders.csv -d gone.txt", "cannot be read"),
        ("discover twice.csv", "more than one column 'a'"),
        ("discover ragged.csv", "cannot be read as a table"),
        ("discover gone.csv", "there is no file 'gone.csv'"),
        ("discover orders.xlsx", "there is no file"),
        ("discover orders.csv --kappa 0", "kappa is 0.0"),
        ("discover orders.csv --kappa 1.5", "kappa is 1.5"),
        ("discover orders.csv --theta -1", "theta is -1"),
        ("discover orders.csv --theta 1", "use kind inheritance"),
        ("discover orders.csv --kind antonym", "choose synonym or inheritance"),
        ("discover orders.csv --max-lhs -1", "max_lhs is -1"),
        ("discover orders.csv --nulls some", "--nulls 'some' is unknown; choose from equal, distinct"),
        ("discover orders.csv --columns cc,contry", "no column 'contry'"),
        ("discover orders.csv --columns ,", "',' is no list of columns"),
        ("discover orders.csv::cc", "'orders.csv' holds one table; leave out ::cc"),
        ("discover orders.csv --normalise casefold", "name the ontology"),
        ("discover orders.csv -y cycle.json", "is no hierarchy: column 'country': is-a cycle a -> b -> a"),
        ("discover orders.csv -y torn.ttl", "torn.ttl cannot be read as RDF"),
        ("discover orders.csv -y unbound.json", "bound to column 'contry', which the table does not have"),
        ("discover orders.csv -y contry=countries", "for column 'contry', which the table does not have"),
        ("discover orders.csv -y country=atlantis", "there is no ontology 'atlantis'"),
        ("discover orders.csv -y medicines.json --sense FDA", "the ontology has no sense 'FDA'"),
        ("discover orders.csv -y medicines.json --normalise upper", "NFKC"),
        ("discover wide.csv --max-lhs 1", "64 columns; discovery takes 63 at most"),
        ("discover orders.csv --memory-limit lots", "memory_limit is 'lots'"),
        ("discover orders.csv --memory-limit 1GB --columns cc", "do not go together"),
        ("coverage orders.csv", "no ontology was given"),
        ("example .", "is there already"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(clean, args, sentence):
    Path("twice.csv").write_text("a,b,a\n1,2,3\n")
    Path("ragged.csv").write_text("a,b\n1,2\n1\n")
    Path("wide.csv").write_text(",".join(f"c{i}" for i in range(64)) + "\n")
    Path("cycle.json").write_text(json.dumps(CYCLE))
    Path("unbound.json").write_text(json.dumps({"contry": {"classes": {}}}))
    Path("full").mkdir()
    Path("torn.ttl").write_text("@prefix : <http://a/> . :a :b")
    result = clean(*args.split())
    assert result.exit_code == 2, result.output
    assert sentence in result.stderr
    assert result.stderr.strip().splitlines()[-1].startswith("agentlab: ")
    assert result.stdout == ""


def test_a_cycle_may_be_condensed(clean):
    Path("cycle.json").write_text(json.dumps(CYCLE))
    result = clean("discover", "orders.csv", "-y", "cycle.json", "--condense-cycles")
    assert result.exit_code == 0
    assert "is-a cycle a -> b -> a is one concept now" in result.stderr


def test_an_empty_table_and_numbers_are_noted(clean):
    Path("empty.csv").write_text("a,b\n")
    result = clean("discover", "empty.csv", "--json")
    assert [(one["lhs"], one["rhs"]) for one in answer(result)["ofds"]] == [([], "a"), ([], "b")]
    assert "no rows, so every dependency holds" in result.stderr
    pq.write_table(pa.table({"a": ["x", "x"], "b": [1, 2]}), "numbers.parquet")
    Path("b.json").write_text(json.dumps({"b": {"classes": {"low": ["1", "2"]}}}))
    result = clean("discover", "numbers.parquet", "-y", "b.json", "--json")
    assert {"lhs": [], "rhs": "b"}.items() <= answer(result)["ofds"][1].items()
    assert "column 'b' holds int64; its values are compared with labels as text" in result.stderr


def test_unicode_forms_match_under_nfkc(clean):
    Path("cities.csv").write_text("k,city\n1,Zu\u0308rich\n1,Z\u00fcrich\n1,ZURIGO\n", encoding="utf-8")
    Path("c.json").write_text(json.dumps({"city": {"classes": {"zrh": ["Z\u00fcrich", "Zurigo"]}}}))
    args = ("discover", "cities.csv", "-y", "c.json", "--json")
    assert [one["rhs"] for one in answer(clean(*args))["ofds"]] == ["k"]
    assert [one["rhs"] for one in answer(clean(*args, "--normalise", "city=NFKC+casefold"))["ofds"]] == ["k", "city"]


THRICE = """
import sys
from typer.testing import CliRunner
from agentlab_runner.runners.cli import app

meaning = ["-y", "country=countries", "-y", "medicines.json"]
for args in (
    ["discover", "orders.csv", "--threads", sys.argv[1], "--details", "found"],
    ["check", "orders.csv", "-d", "cc -> country", "--details", "seen", "--report", "check.html"],
    ["repair", "orders.csv", "-d", "cc -> country", "-o", "fixed.csv", "--report", "repair.html"],
):
    done = CliRunner().invoke(app, ["clean", *args, *meaning])
    assert done.exit_code == 0, done.output
    print(done.stdout)
"""


def test_outputs_are_equal_byte_by_byte_whatever_the_hash_seed_and_threads(tmp_path):
    results = []
    for seed, threads in (("1", "1"), ("2", "2")):
        folder = tmp_path / seed
        shutil.copytree(EXAMPLE, folder)
        done = subprocess.run(
            [sys.executable, "-c", THRICE, threads], cwd=folder, env=environment() | {"PYTHONHASHSEED": seed},
            capture_output=True,
        )
        assert done.returncode == 0, done.stderr
        files = {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
        results.append((done.stdout, files))
    assert results[0] == results[1]
    assert len(results[0][1]) == 17


INTERRUPTED = """
import os, signal
from agentlab_runner.runners.cli import main

def replace(source, target, real=os.replace):
    if str(target).endswith("fixed.csv"):
        os.kill(os.getpid(), signal.SIGINT)
    real(source, target)

os.replace = replace
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
main()
"""


def test_an_interrupt_while_writing_leaves_the_old_file_and_no_part(tmp_path):
    shutil.copytree(EXAMPLE, tmp_path, dirs_exist_ok=True)
    (tmp_path / "fixed.csv").write_text("as it was")
    (tmp_path / "hook.py").write_text(INTERRUPTED)
    args = ["clean", "repair", "orders.csv", "-d", "cc -> country", *MEANING, "-o", "fixed.csv"]
    done = subprocess.run([sys.executable, "hook.py", *args], cwd=tmp_path, env=environment(), capture_output=True)
    assert done.returncode == 130, done.stderr
    assert (tmp_path / "fixed.csv").read_text() == "as it was"
    assert not list(tmp_path.glob(".*"))
