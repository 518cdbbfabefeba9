"""Text files: how they are understood, and that a repair changes the cells it names and no other byte."""

import random

import pyarrow as pa
import pytest

from agentlab_runner.data_cleaning.table import writing
from agentlab_runner.data_cleaning.table.delimited import Reading, understand
from agentlab_runner.data_cleaning.table.sources import load, stream
from agentlab_runner.data_cleaning.table.tables import read, write
from agentlab_runner.data_cleaning.table.writing import NotAsMeant

WORDS = ["a", "Ünïcode", "two words", " lead", "trail ", "comma, here", "semi;colon", "tab\there", 'quote " inside',
         '"all"', "x\ny", "x\r\ny", "old\rmac", "'", "''", "\\", '\\"', "NA", "007", "", "ß" * 9]  # fmt: skip
MARKS = {"utf-8": b"", "utf-8-sig": b"\xef\xbb\xbf", "utf-16-le": b"\xff\xfe", "latin-1": b"", "cp1252": b""}


def text_file(tmp_path, content, name="t.csv"):
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return tmp_path / name


def columns(source):
    return load(source).to_pydict()


class Odd:
    """A file made field by field, so that what each byte stands for is known without reading it."""

    def __init__(self, seed):
        self.rng = rng = random.Random(seed)
        self.delimiter, self.quote = rng.choice(",;\t|"), rng.choice("\"\"'")
        codec = rng.choice(list(MARKS))
        self.encoding, self.mark = codec.removesuffix("-sig"), MARKS[codec]
        self.width, self.rows = rng.randint(2, 5), rng.randint(0, 8)
        self.names = [f"{rng.choice(WORDS)}{number}" for number in range(self.width)]
        self.cells = [[rng.choice([None, *WORDS]) for _ in self.names] for _ in range(self.rows)]
        self.spelt = [[self.spelling(cell) for cell in row] for row in (self.names, *self.cells)]
        ends = [rng.choice(["\n", "\r\n", "\r"])] if rng.random() < 0.7 else ["\n", "\r\n", "\r"]
        self.ends = [rng.choice(ends) * rng.choice([1, 1, 1, 2]) for _ in self.spelt]
        if rng.random() < 0.5:
            self.ends[-1] = ""
        # a bare CR before a record that begins on LF would be one line end, and no field begins with LF unquoted
        self.head = rng.choice(["", "", ends[0]])

    def spelling(self, cell):
        if cell is None:
            return ""
        risky = cell == "" or cell.startswith(self.quote) or any(char in cell for char in f"\r\n{self.delimiter}")
        if not risky and self.rng.random() < 0.6:
            return cell
        whole = len(cell)
        if not risky and self.quote not in cell and self.rng.random() < 0.2:
            whole = self.rng.randint(0, len(cell))  # what follows a closing quote belongs to the field
        return self.quote + cell[:whole].replace(self.quote, 2 * self.quote) + self.quote + cell[whole:]

    def content(self, spelt):
        lines = (self.delimiter.join(row) + end for row, end in zip(spelt, self.ends, strict=True))
        return self.mark + (self.head + "".join(lines)).encode(self.encoding)

    def minimal(self, cell):
        if cell is None:
            return ""
        risky = cell == "" or any(char in cell for char in f"{self.quote}\r\n{self.delimiter}")
        return self.quote + cell.replace(self.quote, 2 * self.quote) + self.quote if risky else cell


@pytest.mark.parametrize("seed", range(150))
def test_odd_files_are_read_as_meant_and_only_the_named_cells_are_rewritten(seed, tmp_path):
    odd = Odd(seed)
    path = text_file(tmp_path, odd.content(odd.spelt))
    encoding = None if odd.mark else odd.encoding
    source = understand(path, Reading(odd.delimiter, odd.quote, encoding))
    table = load(source)
    assert table.column_names == odd.names
    assert [list(row.values()) for row in table.to_pylist()] == odd.cells
    _, batches = stream(source)
    assert [list(row.values()) for batch in batches for row in batch.to_pylist()] == odd.cells
    changes: dict[str, dict[int, str | None]] = {}
    spelt = [list(row) for row in odd.spelt]
    for row in range(odd.rows):
        for position in range(odd.width):
            if odd.rng.random() < 0.3:
                new = odd.rng.choice([None, *WORDS])
                changes.setdefault(odd.names[position], {})[row] = new
                spelt[row + 1][position] = odd.minimal(new)
    write(source, changes, path)
    assert path.read_bytes() == odd.content(spelt)
    assert list(tmp_path.iterdir()) == [path]


def test_a_mark_before_a_quoted_header_of_two_lines_moves_no_row(tmp_path):
    path = text_file(tmp_path, '\ufeff"k\nkey","v"\na,x\na,x\nb,q\na,y\n')
    write(path, {"v": {3: "x"}}, path)
    assert path.read_text("utf-8") == '\ufeff"k\nkey","v"\na,x\na,x\nb,q\na,x\n'


@pytest.mark.parametrize(
    ("name", "content", "delimiter", "names"),
    [
        ("t.csv", "city, state\tzip\nBoston, MA\t02115\n", "\t", ["city, state", "zip"]),
        ("t.tsv", "city, state\tzip\nBoston, MA\t02115\n", "\t", ["city, state", "zip"]),
        ("t.csv", '"a;b;c;d",e\n"1;2;3;4",5\n', ",", ["a;b;c;d", "e"]),
        ("t.csv", '"a, b";c\n1,5;2\n', ";", ["a, b", "c"]),
        ("t.csv", "name;price\nx;1,50\ny;2,25\n", ";", ["name", "price"]),
        ("t.txt", "a|b|c\n1|2,0|3\n", "|", ["a", "b", "c"]),
        ("t.tsv", "a,b\n1,2\n", ",", ["a", "b"]),
        ("t.csv", "name\nx;y\n", ",", ["name"]),
        ("t.csv", "a,b\n1,x;y\n2,z\n", ",", ["a", "b"]),
        ("t.csv", '\ufeff"a",b,\r\n1,2,\r\n', ",", ["a", "b", ""]),
        ("t.csv", '"\tDoe;Jane";"b"\n"\tRoe;Jo";1\n', ";", ["\tDoe;Jane", "b"]),  # python/cpython#97611
        ("t.csv", "O&#039;Connor,b\nO&#039;Hara,c\n", ",", ["O&#039;Connor", "b"]),  # wireservice/csvkit#392
        ("t.csv", "id;list\n1;['345']\n4;['112', '112']\n", ";", ["id", "list"]),  # python/cpython#119123
        ("t.csv", 'col1\n"cell with\nnewline"\n', ",", ["col1"]),  # duckdb/duckdb#11403
        ("t.csv", '"name"\n"foo"\n'.replace('"n', '\ufeff"n'), ",", ["name"]),  # pandas-dev/pandas#4793
    ],
)
def test_the_delimiter_is_one_under_which_the_file_is_a_table(tmp_path, name, content, delimiter, names):
    source = understand(text_file(tmp_path, content, name))
    assert (source.delimiter, source.names) == (delimiter, names)
    load(source)


def test_what_is_said_comes_first_and_what_was_understood_is_one_line(tmp_path):
    path = text_file(tmp_path, "a;b\n'x;y';NA\n'NA';\n".encode("utf-16"))
    source = understand(path, Reading(quote="'", nulls=("NA", "N/A")))
    assert columns(source) == {"a": ["x;y", "NA"], "b": [None, None]}
    said = "UTF-16-LE with a byte-order mark, separated by semicolons, quoted by '; an empty field or NA or N/A is NULL"
    assert str(source) == f"{path} is {said}"
    assert columns(understand(path, Reading("tab", "none"))) == {"a;b": ["'x;y';NA", "'NA';"]}
    write(source, {"b": {0: "NA", 1: "ok"}}, path)
    assert path.read_bytes().decode("utf-16") == "a;b\n'x;y';'NA'\n'NA';ok\n"


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (Reading(delimiter="::"), "the delimiter is '::'; give one ASCII character"),
        (Reading(delimiter='"'), "one ASCII character that is no quote"),
        (Reading(quote="<<"), "the quote is '<<'; give one ASCII character, or none"),
        (Reading(encoding="klingon"), "the encoding 'klingon' is not known; give one as utf-8, latin-1"),
    ],
)
def test_what_cannot_be_said(tmp_path, said, message):
    with pytest.raises(ValueError, match=message):
        understand(text_file(tmp_path, "a,b\n"), said)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty; its first line should name the columns"),
        (b"\xef\xbb\xbf", "is empty; its first line should name the columns"),
        (b"a,b\n1,2\n3\n", "Row #3: Expected 2 columns, got 1.*is its delimiter or its quote another one"),
        (b'a,b\n1,"x\n2,y\n', "the last field of .* begins with a quote that is never closed"),
        (b"a,b\n1,M\xfcller\n", "invalid UTF8 data; name its encoding"),
        (b"a,,\n1,2,3\n", "more than one column without a name; name them in its first line"),
        (b"a,b,a\n1,2,3\n", "more than one column 'a'; rename them"),
    ],
)
def test_files_that_are_no_table_are_refused_in_one_sentence(tmp_path, content, message):
    path = text_file(tmp_path, content)
    for how in (lambda: read(path), lambda: [list(batches) for _, batches in [stream(path)]]):
        with pytest.raises(ValueError, match=message.replace("Row #3: ", "(Row #3: )?")) as caught:
            how()
        assert "\n" not in str(caught.value)


def test_quotes_that_only_look_unclosed(tmp_path):
    assert columns(text_file(tmp_path, 'a,b\n1,5" pipe')) == {"a": ["1"], "b": ['5" pipe']}
    assert columns(text_file(tmp_path, 'a,b\n1,"x"')) == {"a": ["1"], "b": ["x"]}
    assert columns(text_file(tmp_path, 'a,b\n1,"""x"""\n')) == {"a": ["1"], "b": ['"x"']}


def test_names_longer_than_a_block_are_read(tmp_path):
    names = [f"c{number}" for number in range(200_000)]
    path = text_file(tmp_path, f"{','.join(names)}\n{','.join(['1'] * len(names))}\n")
    assert understand(path).names == names


def test_a_file_of_a_mark_and_blank_lines_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"cannot be read as a table|is empty"):
        columns(text_file(tmp_path, "\n\n"))


def test_a_record_longer_than_a_block_is_read_and_written(tmp_path):
    long = "x" * 3_000_000
    path = text_file(tmp_path, f"a,b\n1,y\n2,{long}\n3,z\n")
    assert columns(path)["b"] == ["y", long, "z"]
    _, batches = stream(path)
    assert [row for batch in batches for row in batch.column(0).to_pylist()] == ["1", "2", "3"]
    write(path, {"b": {2: "w"}}, path)
    assert path.read_text() == f"a,b\n1,y\n2,{long}\n3,w\n"


def test_what_an_encoding_cannot_hold_is_refused_and_nothing_is_written(tmp_path):
    path = text_file(tmp_path, "a,b\nü,1\n".encode("latin-1"))
    source = understand(path, Reading(encoding="latin-1"))
    with pytest.raises(ValueError, match="'東京' cannot be written in iso8859-1"):
        write(source, {"b": {0: "東京"}}, path)
    with pytest.raises(ValueError, match=r"'x,y' cannot be written in .*, which has no quotes"):
        write(understand(path, Reading(quote="none", encoding="latin-1")), {"b": {0: "x,y"}}, path)
    assert path.read_bytes() == "a,b\nü,1\n".encode("latin-1")
    assert list(tmp_path.iterdir()) == [path]


def test_cells_that_have_changed_since_are_not_overwritten(tmp_path):
    path = text_file(tmp_path, "a,b\n1,x\n")
    with pytest.raises(ValueError, match="row 0 of column 'b' is 'x' now and was 'y' when it was read; start again"):
        write(path, {"b": {0: "z"}}, path, {"b": {0: "y"}})
    assert path.read_text() == "a,b\n1,x\n"


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_what_reads_otherwise_than_meant_never_takes_the_place(tmp_path, monkeypatch, suffix):
    path = text_file(tmp_path, "a,b\n1,x\n2,x\n")
    out = tmp_path / f"out{suffix}"

    def torn(source, real=writing.load):
        table = real(source)
        return table if source == path else table.set_column(0, "a", pa.array(["1", "3"]))

    monkeypatch.setattr(writing, "load", torn)
    with pytest.raises(NotAsMeant, match="read again, row 1 of column 'a' is '3', but '2' was meant"):
        write(path, {"b": {1: "y"}}, out)
    assert not out.exists()
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("content", "said", "expected"),
    [
        # OpenRefine/OpenRefine#402: what follows a closing quote belongs to the field, and survives a round trip
        ('a|b\n"Quotes" with words after|02134\n"Quotes on each side"|6789\n', Reading(),
         {"a": ["Quotes with words after", "Quotes on each side"], "b": ["02134", "6789"]}),
        # OpenRefine/OpenRefine#19: a comma and a line break inside quotes
        ('name,about,born\nMary,"Queen of England,\nScotland", 1662\n', Reading(),
         {"name": ["Mary"], "about": ["Queen of England,\nScotland"], "born": [" 1662"]}),
        # duckdb/duckdb#16760: a line break in the header
        ('x,y,"test\n123"\na,b,c\n', Reading(), {"x": ["a"], "y": ["b"], "test\n123": ["c"]}),
        # duckdb/duckdb#15783: CR, LF and CR LF in one file
        ("a,b\r1,2\n3,4\r\n5,6", Reading(), {"a": ["1", "3", "5"], "b": ["2", "4", "6"]}),
        # duckdb/duckdb#14304: backslashes escape nothing, and stay
        ('"foo","bar"\n332,"Surname\\, First"\n', Reading(), {"foo": ["332"], "bar": ["Surname\\, First"]}),
        # pandas takes NA, the code of Namibia, for a missing value; here only where that is said, and never in quotes
        ('cc,n\nNA,1\n"NA",2\n', Reading(), {"cc": ["NA", "NA"], "n": ["1", "2"]}),
        ('cc,n\nNA,1\n"NA",2\n', Reading(nulls=("NA",)), {"cc": [None, "NA"], "n": ["1", "2"]}),
        # HoloClean/holoclean-legacy#252: long columns are not dropped
        (f"a,b\n{'long ' * 100},1\n", Reading(), {"a": ["long " * 100], "b": ["1"]}),
    ],
)  # fmt: skip
def test_inputs_of_other_tools_trackers(tmp_path, content, said, expected):
    path = text_file(tmp_path, content)
    source = understand(path, said)
    assert columns(source) == expected
    last = list(expected)[-1]
    write(source, {last: {0: "new"}}, path)
    assert columns(understand(path, said)) == expected | {last: ["new", *expected[last][1:]]}
    assert len(path.read_bytes()) == len(content) + len("new") - len(expected[last][0]) - 2 * ('"Surname' in content)
