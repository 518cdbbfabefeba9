"""A file in the place of another: what is kept of the old one, and what is refused because it cannot be."""

import os

import pytest

from agentlab_runner.data_cleaning.table.replacing import replacing


def put(path, content=b"new"):
    with replacing(path) as (file, _):
        file.write(content)


def torn(path):
    with replacing(path) as (file, _):
        file.write(b"half")
        raise KeyboardInterrupt


def test_a_new_file_has_the_usual_mode(tmp_path):
    before = os.umask(0o027)
    try:
        put(tmp_path / "folder" / "t.csv")
    finally:
        os.umask(before)
    assert (tmp_path / "folder" / "t.csv").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("mode", [0o600, 0o664, 0o2660])
def test_the_mode_stays(tmp_path, mode):
    path = tmp_path / "t.csv"
    path.write_bytes(b"old")
    path.chmod(mode)
    put(path)
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o7777 == mode


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root gives files away")
def test_owner_and_group_stay(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(b"old")
    os.chown(path, 12345, 54321)
    put(path)
    assert (path.stat().st_uid, path.stat().st_gid) == (12345, 54321)


def test_an_owner_that_cannot_be_kept_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "t.csv"
    path.write_bytes(b"old")
    if os.geteuid() == 0:
        os.chown(path, 12345, 54321)

    def denied(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "chown" if os.geteuid() == 0 else "chmod", denied)
    with pytest.raises(ValueError, match=r"owner or attributes that no new file can be given .Operation not permitted"):
        put(path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path):
    real = tmp_path / "real" / "t.csv"
    real.parent.mkdir()
    real.write_bytes(b"old")
    link, second = tmp_path / "link.csv", tmp_path / "second.csv"
    link.symlink_to(real)
    second.symlink_to("link.csv")
    put(second)
    assert second.is_symlink()
    assert link.is_symlink()
    assert not real.is_symlink()
    assert real.read_bytes() == b"new"
    assert sorted(os.listdir(tmp_path)) == ["link.csv", "real", "second.csv"]


def test_extended_attributes_stay(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(b"old")
    try:
        os.setxattr(path, "user.origin", b"office")
    except (AttributeError, OSError):
        pytest.skip("this file system has no attributes")
    put(path)
    assert os.getxattr(path, "user.origin") == b"office"


def test_what_a_new_file_would_harm_is_refused(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(b"old")
    os.link(path, tmp_path / "other.csv")
    with pytest.raises(ValueError, match=r"has 2 names .hard links., which a new file would part; name another place"):
        put(path)
    (tmp_path / "other.csv").unlink()
    path.chmod(0o444)
    with pytest.raises(ValueError, match="is read-only; make it writable"):
        put(path)
    with pytest.raises(IsADirectoryError):
        put(tmp_path)
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(ValueError, match="is no regular file"):
        put(tmp_path / "pipe.csv")
    assert path.read_bytes() == b"old"


def test_a_fault_on_the_way_leaves_all_as_it_was(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt):
        torn(path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
