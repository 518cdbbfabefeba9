"""A memory's folder: what a kill, a full disk or somebody else left there."""

import errno
import io
import json
import logging
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import zipfile

import numpy as np
import pytest

from agentlab_runner.agents.memory import files
from agentlab_runner.agents.memory.embedders import Hashed
from agentlab_runner.agents.memory.settings import MemorySettings
from agentlab_runner.agents.memory.store import Provenance, Record, Store
from agentlab_runner.runners.errors import RunFailed, UserError
from agentlab_runner.runners.files import atomic


def record(number, **changes):
    parts = {"payload": {"number": number}, "available_from": number % 3 or None, "provenance": Provenance("r", number)}
    return Record(f"id {number:04}", "lesson", f"text of number {number} é\udce9", **parts | changes)


def hashed():
    return Hashed(dim=32)


def filled(folder, count, at_once=1):
    store = Store.open(folder, hashed())
    for start in range(0, count, at_once):
        store.add(*map(record, range(start, start + at_once)))
    return store


def same(one, other):
    """Equal to the last bit: records, and what searching finds of each."""
    queries = [record.text for record in one]
    return list(one) == list(other) and one.search(queries, 3, now=9) == other.search(queries, 3, now=9)


def segments(folder):
    return sorted(path.name for path in folder.glob("vectors-*"))


@pytest.mark.parametrize("at_once", [1, 5, 40])
def test_reopened_it_is_the_one_in_memory(tmp_path, at_once):
    store = filled(tmp_path, 40, at_once)
    for read_only in (True, False):
        assert same(Store.open(tmp_path, hashed(), read_only=read_only), store)
    alone = Store(hashed())
    alone.add(*map(record, reversed(range(40))))
    assert same(alone, store)


def test_an_append_repeated_after_a_kill_changes_nothing(tmp_path):
    store = filled(tmp_path, 3)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.name != "lock"}
    store.add(record(2), record(0))
    Store.open(tmp_path, hashed()).add(record(1))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.name != "lock"} == before


@pytest.mark.parametrize("batch", [1, 3])
def test_killed_at_any_byte_of_an_append_it_loses_that_append_at_most(tmp_path, monkeypatch, batch):
    """The vectors are written under another name and renamed, then come the lines."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)  # thousands of them, for disks that nobody pulls out here
    before, after = tmp_path / "before", tmp_path / "after"
    old = filled(before, 4)
    shutil.copytree(before, after)
    new = [record(number) for number in range(4, 4 + batch)]
    whole = Store.open(after, hashed())
    whole.add(*new)
    (fresh,) = set(segments(after)) - set(segments(before))
    vectors, lines = (after / fresh).read_bytes(), (after / files.RECORDS).read_bytes()
    held = (before / files.RECORDS).stat().st_size
    ends = [at for at in range(held, len(lines) + 1) if lines[:at].endswith(b"\n")]
    hidden = f".{fresh}.x{atomic.TEMPORARY}"
    states = [(hidden, vectors[:at], held) for at in (0, 1, len(vectors) // 2, len(vectors))]  # nobody looks into it
    states += [(fresh, vectors, at) for at in range(held, len(lines) + 1)]
    cut = tmp_path / "cut"
    for number, (name, content, size) in enumerate(states):
        shutil.rmtree(cut, ignore_errors=True)
        shutil.copytree(before, cut)
        (cut / name).write_bytes(content)
        (cut / files.RECORDS).write_bytes(lines[:size])
        kept = 4 + max(0, sum(end <= size for end in ends) - 1)
        mended = Store.open(cut, hashed())
        assert [one.id for one in mended] == [record(one).id for one in range(kept)]
        assert set(segments(cut)) == set(segments(before)) | ({fresh} if kept > 4 else set())
        assert not list(cut.glob(".*"))
        if number % 8 == 0 or size in ends:
            mended.add(*new)
            assert same(Store.open(cut, hashed(), read_only=True), whole)
    assert same(Store.open(before, hashed()), old)


KILLED = """
import sys
from agentlab_runner.agents.memory.store import Store
from tests.agents.memory.test_memory_files import hashed, record
store = Store.open(sys.argv[1], hashed())
for number in range(len(store), 10**6, 3):
    store.add(*map(record, range(number, number + 3)))
    print(number + 3, flush=True)
"""


def test_killed_for_real_it_has_all_it_said_it_had(tmp_path):
    chance, said = random.Random(0), 0
    for _ in range(4):
        command = [sys.executable, "-c", KILLED, str(tmp_path)]
        env = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as process:
            for _ in range(chance.randrange(20, 40)):
                said = int(process.stdout.readline())
            time.sleep(chance.random() / 100)
            process.send_signal(signal.SIGKILL)
            rest = process.stdout.read().split()
        said = int(rest[-1]) if rest else said
        store = Store.open(tmp_path, hashed())
        assert said <= len(store) <= said + 3
        assert list(store) == [record(number) for number in range(len(store))]
        store.add(*map(record, range(len(store), len(store) + -len(store) % 3)))
        assert same(Store.open(tmp_path, hashed(), read_only=True), store)


def full(*args, **kwargs):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_interrupted_after_its_lines_were_written_an_append_is_whole(tmp_path, monkeypatch):
    store = filled(tmp_path, 2)
    append = files.append_line

    def interrupted(path, line):
        append(path, line)
        raise KeyboardInterrupt

    monkeypatch.setattr(files, "append_line", interrupted)
    with pytest.raises(KeyboardInterrupt):
        store.add(record(2))
    monkeypatch.undo()
    assert list(Store.open(tmp_path, hashed(), read_only=True)) == list(map(record, range(3)))


@pytest.mark.parametrize("step", ["vectors", "lines"])
def test_a_full_disk_is_one_sentence_and_nothing_was_added(tmp_path, monkeypatch, step):
    store = filled(tmp_path, 3)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.name != "lock"}
    with monkeypatch.context() as patch:
        if step == "vectors":
            patch.setattr(atomic.os, "replace", full)
        else:
            sync, calls = os.fsync, []

            def fsync(handle):
                calls.append(handle)
                return full() if len(calls) == 3 else sync(handle)  # of the vectors, of the folder, of the lines

            patch.setattr(atomic.os, "fsync", fsync)
        with pytest.raises(RunFailed, match="the disk is full"):
            store.add(record(3))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.name != "lock"} == before
    assert len(store) == 3
    store.add(record(3))
    assert same(Store.open(tmp_path, hashed()), store)


def test_many_small_files_become_few_and_no_append_rewrites_all(tmp_path, monkeypatch):
    written = []
    write = files.Files._write
    monkeypatch.setattr(files.Files, "_write", lambda *args: written.append(len(args[1])) or write(*args))
    store = filled(tmp_path, 300)
    assert len(segments(tmp_path)) <= 2 * files.FANOUT
    assert sum(written) <= 300 * 3  # once each, and once for every sixteenfold growth
    assert max(written) == 256
    assert same(Store.open(tmp_path, hashed()), store)


def test_killed_while_files_are_put_together_nothing_changes(tmp_path, monkeypatch):
    monkeypatch.setattr(files.Files, "_remove", lambda *args: None)
    store = filled(tmp_path, files.FANOUT)
    monkeypatch.undo()
    assert len(segments(tmp_path)) == files.FANOUT + 1
    assert same(Store.open(tmp_path, hashed(), read_only=True), store)
    assert same(Store.open(tmp_path, hashed()), store)
    assert len(segments(tmp_path)) == 1


def test_files_that_cannot_be_put_together_stay_and_the_record_is_there(tmp_path, monkeypatch, caplog):
    store = filled(tmp_path, files.FANOUT - 1)
    write = files.Files._write
    monkeypatch.setattr(files.Files, "_write", lambda *args: write(*args) if len(args[1]) == 1 else lost())

    def lost():
        raise RunFailed("the disk is full")

    with caplog.at_level(logging.WARNING):
        store.add(record(files.FANOUT - 1))
    assert "stay as many as they are: the disk is full" in caplog.text
    assert len(segments(tmp_path)) == files.FANOUT
    monkeypatch.undo()
    assert same(Store.open(tmp_path, hashed()), store)


def test_vectors_of_an_append_that_was_lost_are_not_those_of_what_came_later(tmp_path):
    """Half a batch was kept; the rest comes again and says something else."""
    filled(tmp_path, 2, at_once=2)
    lines = (tmp_path / files.RECORDS).read_bytes()
    (tmp_path / files.RECORDS).write_bytes(lines[: lines.index(b"\n") + 5])
    store = Store.open(tmp_path, hashed())
    other = Record(record(1).id, "lesson", "something else")
    store.add(other, *map(record, range(2, 40)))
    for read in (Store.open(tmp_path, hashed()), store):
        assert read.search(["something else"], 1)[0][0].record == other
        assert read.search(["something else"], 1)[0][0].similarity == pytest.approx(1)


def test_records_without_vectors_are_embedded_again_and_said(tmp_path, caplog):
    store = filled(tmp_path, 5)
    (tmp_path / segments(tmp_path)[2]).unlink()
    with pytest.raises(UserError, match=r"1 records in .* have no vectors \('id 0002' is the first\)"):
        Store.open(tmp_path, hashed(), read_only=True)
    with caplog.at_level(logging.WARNING):
        assert same(Store.open(tmp_path, hashed()), store)
    assert "1 records in" in caplog.text
    assert same(Store.open(tmp_path, hashed(), read_only=True), store)


def test_another_embedder_is_refused_by_name(tmp_path):
    filled(tmp_path, 1)
    for read_only in (True, False):
        with pytest.raises(UserError, match=r"by 'hashed-32', and vectors of 'hashed-64' .* choose that embedder"):
            Store.open(tmp_path, Hashed(dim=64), read_only=read_only)


def test_what_is_no_memory_is_none_and_is_not_written_to(tmp_path):
    with pytest.raises(UserError, match="holds no memory"):
        Store.open(tmp_path / "none", hashed(), read_only=True)
    assert not (tmp_path / "none").exists()
    store = filled(tmp_path / "kept", 2)
    before = sorted(path.name for path in (tmp_path / "kept").iterdir())
    read = Store.open(tmp_path / "kept", hashed(), read_only=True)
    with pytest.raises(RunFailed, match="opened to be read"):
        read.add(record(2))
    assert list(read) == list(store)
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == before


def test_two_writers_are_told_of_each_other(tmp_path):
    first, second = filled(tmp_path, 1), Store.open(tmp_path, hashed())
    second.add(record(1))
    with pytest.raises(RunFailed, match="another process has written"):
        first.add(record(2))
    assert same(Store.open(tmp_path, hashed()), second)


def packed(compression=zipfile.ZIP_STORED, **arrays):
    """What np.savez writes, or would have."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", compression) as parts:
        for name, array in arrays.items():
            file = io.BytesIO()
            np.save(file, array, allow_pickle=True) if not isinstance(array, bytes) else file.write(array)
            parts.writestr(f"{name}.npy", file.getvalue())
    return content.getvalue()


IDS = np.frombuffer(b"id 0000", np.uint8)
ROW = np.eye(1, 32, dtype=np.float32)
HUGE = b"{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 32), }"
HUGE = b"\x93NUMPY\x01\x00" + len(HUGE).to_bytes(2, "little") + HUGE


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x05\x06" + bytes(18),
        packed(ids=IDS),
        packed(ids=IDS, vectors=np.array([{"a": 1}], object)),
        packed(ids=IDS, vectors=np.full((1, 32), np.nan, np.float32)),
        packed(ids=IDS, vectors=ROW * 3),
        packed(ids=IDS, vectors=ROW.astype(np.float64)),
        packed(ids=IDS, vectors=np.vstack([ROW, ROW])),
        packed(ids=IDS, vectors=HUGE),
        packed(ids=np.frombuffer(b"id \xff", np.uint8), vectors=ROW),
        packed(zipfile.ZIP_DEFLATED, ids=IDS, vectors=ROW),
    ],
)
def test_vectors_that_nobody_here_wrote_are_refused_within_bounds(tmp_path, content):
    filled(tmp_path, 1)
    (tmp_path / segments(tmp_path)[0]).write_bytes(content)
    for read_only in (True, False):
        with pytest.raises(UserError, match=r"vectors-000001\.npz is damaged .*; restore it"):
            Store.open(tmp_path, hashed(), read_only=read_only)


def test_every_flipped_byte_of_vectors_is_noticed_or_of_no_account(tmp_path):
    store = filled(tmp_path, 2, at_once=2)
    path = tmp_path / segments(tmp_path)[0]
    content, refused = bytearray(path.read_bytes()), 0
    for at in range(len(content)):
        content[at] ^= 0x41
        path.write_bytes(content)
        try:
            assert same(Store.open(tmp_path, hashed(), read_only=True), store)
        except UserError:
            refused += 1
        content[at] ^= 0x41
    assert refused > len(content) // 2


LINE = record(1).line()


@pytest.mark.parametrize(
    "line",
    [
        "nonsense",
        "[]",
        "{}",
        '{"id": "x", "kind": "k"}',
        '{"id": "x", "kind": "k", "text": "t", "code": "c"}',
        '{"id": "x", "kind": "k", "text": "t", "payload": [1]}',
        '{"id": "x", "kind": "k", "text": "t", "payload": {"a": NaN}}',
        '{"id": "x", "kind": "k", "text": "t", "available_from": Infinity}',
        '{"id": "x", "kind": "k", "text": "t", "available_from": "now"}',
        '{"id": "x", "kind": "k", "text": "t", "provenance": {"run": []}}',
        '{"id": "x\\u0007", "kind": "k", "text": "t"}',
        "[" * 10**5 + "]" * 10**5,
        json.dumps({"id": "x", "kind": "k", "text": "t" * 2**23}),
        record(0).line(),
    ],
)
def test_lines_that_nobody_here_wrote_are_refused(tmp_path, line):
    filled(tmp_path, 1)
    with open(tmp_path / files.RECORDS, "a") as file:
        file.write(f"{line}\n{LINE}\n")
    for read_only in (True, False):
        with pytest.raises(UserError, match=r"records\.jsonl is damaged .*; restore it"):
            Store.open(tmp_path, hashed(), read_only=read_only)


def test_links_and_formats_of_others_are_refused(tmp_path):
    filled(tmp_path / "kept", 1)
    shutil.move(tmp_path / "kept" / files.RECORDS, tmp_path / "elsewhere")
    (tmp_path / "kept" / files.RECORDS).symlink_to(tmp_path / "elsewhere")
    for read_only in (True, False):
        with pytest.raises(UserError, match="leads out of"):
            Store.open(tmp_path / "kept", hashed(), read_only=read_only)
    filled(tmp_path / "newer", 1)
    (tmp_path / "newer" / files.META).write_text('{"format": 9, "embedder": "hashed-32"}')
    with pytest.raises(UserError, match="format 9"):
        Store.open(tmp_path / "newer", hashed())


def test_a_run_begins_with_what_was_remembered_before_and_stands_alone(tmp_path, monkeypatch):
    before = filled(tmp_path / "before", 5)
    settings = MemorySettings(embedder=hashed(), folder=str(tmp_path / "before"))
    monkeypatch.setattr(files.Files, "append", lambda *args: full())
    with pytest.raises(OSError, match="No space"):
        Store.begin(tmp_path / "run" / "memory", settings)
    monkeypatch.undo()
    assert not (tmp_path / "run" / "memory").exists()
    (tmp_path / "run" / "memory").mkdir(parents=True)
    begun = Store.begin(tmp_path / "run" / "memory", settings)
    assert same(begun, before)
    begun.add(record(5))
    before.add(record(6))
    assert list(Store.begin(tmp_path / "run" / "memory", settings)) == list(map(record, range(6)))
    assert os.listdir(tmp_path / "run") == ["memory"]
    assert len(Store.begin(tmp_path / "empty", MemorySettings(embedder=hashed()))) == 0
