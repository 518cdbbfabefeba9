"""A repair that is stopped half-way: nothing appears, nothing is changed, nothing is left behind."""

from contextlib import chdir

import pytest
from typer.testing import CliRunner

from agentlab_runner.data_cleaning.table import writing
from agentlab_runner.runners.cli import app

TABLE = "CC,CTRY\n" + "US,United States\n" * 40 + "US,Untied States\n" + "US,USA\n" * 20


def repair(folder, *options):
    with chdir(folder):
        return CliRunner().invoke(
            app, ["clean", "repair", "in.csv", "--ofd", "CC -> CTRY", "--ontology", "CTRY=countries", *options]
        )


@pytest.mark.parametrize("options", [("--out", "out.csv"), ("--in-place",), ("--out", "out.parquet")], ids=str)
def test_stopped_while_the_table_is_written(tmp_path, monkeypatch, options):
    (tmp_path / "in.csv").write_text(TABLE)
    written = []

    def stopped(file, content):
        written.append(content)
        raise KeyboardInterrupt

    replacing = writing.replacing

    def interrupted(path):
        return _Torn(replacing(path), stopped)

    monkeypatch.setattr(writing, "replacing", interrupted)
    done = repair(tmp_path, *options)
    assert done.exit_code == 130, done.output
    assert written
    assert (tmp_path / "in.csv").read_text() == TABLE
    assert not list(tmp_path.glob("out.*"))
    assert not list(tmp_path.rglob("*.part"))
    monkeypatch.undo()
    assert repair(tmp_path, *options).exit_code == 0


class _Torn:
    """The file a table goes into, which is interrupted at its first write."""

    def __init__(self, replacing, write):
        self._replacing, self._write = replacing, write

    def __enter__(self):
        file, place = self._replacing.__enter__()
        return _File(file, self._write), place

    def __exit__(self, *fault):
        return self._replacing.__exit__(*fault)


class _File:
    def __init__(self, file, write):
        self._file, self._stop = file, write

    def write(self, content):
        self._file.write(bytes(content)[:10])
        self._stop(self._file, content)

    def __getattr__(self, name):
        return getattr(self._file, name)


def test_stopped_before_anything_is_written(tmp_path, monkeypatch):
    (tmp_path / "in.csv").write_text(TABLE)

    def stop(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("agentlab_runner.data_cleaning.repairs.repair.Problem.carry_out", stop)
    assert repair(tmp_path, "--in-place", "--details", "why").exit_code == 130
    assert [path.name for path in tmp_path.iterdir()] == ["in.csv"]
    assert (tmp_path / "in.csv").read_text() == TABLE
