"""A folder that somebody else may have made is read within bounds, and is never a way to what lies outside it."""

import json
import os
import shutil
from functools import partial

import numpy as np
import pytest
from PIL import Image

from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.files.pictures import MOST_PIXELS, read_picture
from agentlab_runner.runners.files.received import CONFIG_LIMIT, inside, read_object
from agentlab_runner.runners.run.checkpoint import Checkpoints
from agentlab_runner.runners.run.config_file import check_unedited, read_config
from agentlab_runner.runners.run.folder import FOLDERS, Run
from agentlab_runner.runners.run.lookup import latest
from agentlab_runner.runners.run.manifest import read_manifest
from tests.runners.received import ALIAS_BOMB, declare, forge, png

CONFIG = {"seed": 3, "total_iterations": 10, "logger": None, "checkpoint": {"every": 1, "keep": 1}}


@pytest.fixture
def run(tmp_path):
    return Run.create(CONFIG, tmp_path / "runs", ["agentlab", "train"], name="sent").path


@pytest.fixture
def precious(tmp_path):
    """A folder of the reader's own, which nothing may change."""
    folder = tmp_path / "precious"
    folder.mkdir()
    (folder / "thesis.pt").write_text("years of work")
    yield folder
    assert [file.name for file in folder.iterdir()] == ["thesis.pt"]
    assert (folder / "thesis.pt").read_text() == "years of work"


# -- files -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["../../precious/thesis.pt", "/etc/hostname", "sub/x.pt", ".hidden.pt", "x.txt", 7])
def test_a_checkpoint_names_a_file_beside_it_and_no_other(run, precious, name):
    (run / "checkpoints").mkdir()
    about = {"step": 1, "score": None, "file": name, "sha256": "0", "size": 1}
    (run / "checkpoints/000001.json").write_text(json.dumps(about))
    with Run.open(run) as opened:
        for step in (2, 3):
            opened.save_checkpoint(step, {})
        assert [one.step for one in opened.checkpoints.all()] == [3]


@pytest.mark.parametrize("step", [5, "1", None, True, -1, 1.0, [1]])
def test_a_checkpoint_that_says_another_step_than_its_name_is_damaged(tmp_path, step):
    Checkpoints(tmp_path).save(1, {})
    about = json.loads((tmp_path / "000001.json").read_text())
    (tmp_path / "000001.json").write_text(json.dumps(about | {"step": step}))
    (found,) = Checkpoints(tmp_path).all()
    assert (found.step, found.sha256) == (1, "")
    with pytest.raises(UserError, match="checkpoint 1 is damaged"):
        Checkpoints(tmp_path).load()


@pytest.mark.parametrize("name", ["checkpoints", "episodes", "eval", "media", "wandb", "lock", "metrics.jsonl"])
def test_a_link_out_of_the_folder_is_no_way_to_write_or_delete_there(run, precious, name):
    target = precious / "thesis.pt" if name in ("lock", "metrics.jsonl") else precious
    (run / name).unlink(missing_ok=True)
    (run / name).symlink_to(target)
    with pytest.raises(UserError, match=rf"{name} leads out of .*put a copy in its place"):
        Run.open(run)


def test_a_link_within_the_folder_and_the_links_of_wandb_are_left_alone(run, tmp_path):
    (run / "wandb").mkdir()
    (run / "wandb/debug.log").symlink_to("/nowhere/core.log")
    (run / "eval").mkdir()
    (run / "last").symlink_to("eval")
    (tmp_path / "shortcut").symlink_to(run)
    assert Run.open(tmp_path / "shortcut").config.seed == 3


@pytest.mark.parametrize("name", ["wandb/artifacts", "wandb/wandb/logs", "wandb/artifacts/staging"])
def test_a_folder_of_wandbs_that_leads_out_is_no_way_to_write_there(run, precious, name):
    (run / name).parent.mkdir(parents=True)
    (run / name).symlink_to(precious)
    with pytest.raises(UserError, match=rf"{name} leads out of .*put a copy in its place"):
        Run.open(run)


@pytest.mark.parametrize("name", FOLDERS)
def test_a_file_in_a_folders_place_is_named(run, name):
    shutil.rmtree(run / name, ignore_errors=True)
    (run / name).write_text("x")
    with pytest.raises(UserError, match=rf"{name} is no folder, and so no part of a run; remove it"):
        Run.open(run)


@pytest.mark.parametrize("name", ["lock", "config.yaml", "manifest.json", "metrics.jsonl", "extra"])
def test_a_pipe_keeps_nobody_waiting(run, name):
    (run / name).unlink(missing_ok=True)
    os.mkfifo(run / name)
    with pytest.raises(UserError, match=rf"{name} is (no plain file|neither a file nor a folder)"):
        Run.open(run)


def test_a_link_to_itself(tmp_path):
    (tmp_path / "x").symlink_to("x")
    with pytest.raises(UserError, match="leads out of"):
        inside(tmp_path, "x")


# -- configs and manifests ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (ALIAS_BOMB, r"has the alias \*a0"),
        ("a: &a [1]\nb: *a\n", "has the alias"),
        ("a: " + "[" * 100_000, "nested too deeply"),
        ("a: " + "[" * 70 + "]" * 70, "nested too deeply"),
        (f"a: {'x' * CONFIG_LIMIT}\n", "larger than 512 KiB"),
        (f"a: {'1' * 5000}\n", "damaged"),
        ("a: 2026-99-99\n", "damaged"),
        ("a: 2026-11-29\n", "more than JSON can"),
        ("1: a\n", "more than JSON can"),
        ("a: !!binary aGk=\n", "more than JSON can"),
        ("a: !!python/object/apply:os.mkdir [ran]\n", "damaged"),
        ("- a\n", "more than JSON can"),
        ("a: ${oc.env:HOME}\n", r"a is '\$\{oc.env:HOME\}', still to be filled in"),
        ("a: [x, {b: '${oc.decode:1}'}]\n", r"a\.1\.b is"),
        ("a: ???\n", "still to be filled in"),
        ("a: [\n", "damaged"),
    ],
)
def test_a_config_is_plain_data_of_a_bounded_size(run, text, fault):
    (run / "config.yaml").write_text(text)
    with pytest.raises(UserError, match=fault):
        Run.open(run)
    assert not os.path.exists("ran")


@pytest.mark.parametrize("keep", ["x", 0, None, [1], 1.5])
def test_what_a_config_has_kept_of_checkpoints_is_a_count(run, keep):
    forge(run, lambda config: config["checkpoint"].update(keep=keep))
    with pytest.raises(UserError, match=r"checkpoint\.keep is"):
        Run.open(run)


def test_whatever_a_config_says_it_is_read_back_unedited(tmp_path):
    odd = ["1e3", "1:30", "yes", "null", "~", "- x", "é\u2028\x85\x07\U0001f600", "a\n\n b ", "", "'", "{", "0x1f"]
    config = {"odd": odd, "numbers": [1e-5, -0.0, float("inf"), 2**70, True, None], "": {"a.b": 1}}
    made = Run.create(config, tmp_path, [])
    assert made.config.odd == odd
    check_unedited(made.path, read_config(made.path), read_manifest(made.path))


MANIFESTS = [b"{}", b"[]", b"\xff\xfe", b"", b"{", b"[" * 100_000, b"null", b"1" * 5000]


@pytest.mark.parametrize("content", MANIFESTS)
def test_one_bad_manifest_hides_no_other_run(run, content, caplog):
    bad = run.with_name("9999_bad")
    shutil.copytree(run, bad)
    (bad / "manifest.json").write_bytes(content)
    assert latest(run.parent).path == run
    assert "9999_bad is left out" in caplog.text
    with pytest.raises(UserError, match="damaged"):
        read_manifest(bad)


def test_a_manifest_that_is_no_file_hides_no_other_run(run, caplog):
    for name, make in {"folder": os.mkdir, "pipe": os.mkfifo, "link": partial(os.symlink, "/etc/passwd")}.items():
        run.with_name(name).mkdir()
        make(run.with_name(name) / "manifest.json")
    assert latest(run.parent).path == run
    assert len(caplog.messages) == 3
    shutil.rmtree(run)
    with pytest.raises(UserError, match="there is no run in"):
        latest(run.parent)


@pytest.mark.parametrize(
    "said",
    [
        {"started": "yesterday"}, {"started": 5}, {"started": "0001-01-01T00:00:00"}, {"ended": []}, {"status": "no"},
        {"command": "train"}, {"command": [1]}, {"wandb_id": "../../x"}, {"wandb_id": 1}, {"git": None}, {"git": {}},
        {"hardware": []}, {"resumed": {}}, {"config_hash": None}, {"seed": "x"}, {"packages": []}, {"name": None},
        {"seconds": 10**400}, {"seconds": "x"}, {"tags": [1]}, {"notes": 1}, {"group": []}, {"init_from": {}},
        {"threads": {}}, {"threads": [2]}, {"threads": {"number": "2"}}, {"threads": {"number": 0}},
        {"threads": {"number": 10**9}},
    ],
)  # fmt: skip
def test_what_a_manifest_is_relied_on_for_is_checked(run, said):
    declare(run, **said)
    with pytest.raises(UserError, match=rf"its {next(iter(said))} is missing or wrong"):
        read_manifest(run)


def test_the_latest_run_is_the_latest_whatever_its_time_zone(run):
    later = run.with_name("a_later")
    shutil.copytree(run, later)
    declare(run, started="2026-11-29T12:00:00+09:00")
    declare(later, started="2026-11-29T11:00:00+00:00")
    assert latest(run.parent).path == later


@pytest.mark.parametrize("content", [b"[]", b"\xff", b"[" * 100_000, b'{"a": ' + b"[" * 70 + b"]" * 70 + b"}"])
def test_json_that_is_no_object(tmp_path, content):
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(UserError, match=r"x\.json is damaged"):
        read_object(tmp_path, "x.json")


# -- pictures ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (png(60_000, 60_000), "3600000000 pixels"),  # a header that lies
        (png(2**31 - 1, 2**31 - 1), "pixels|cannot be read"),
        (png(8_000, 8_000, bytes(8_001_000)), "8000 x 8000 pixels"),
        (png(100, 100), "cannot be read"),
        (png(0, 0), "cannot be read"),
        (b"GIF89a", "it is no PNG"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1 1\n", "it is no PNG"),  # would call another program
        (b"", "it is no PNG"),
    ],
)
def test_an_absurd_picture_is_named_and_not_decoded(tmp_path, content, fault):
    (tmp_path / "x.png").write_bytes(content)
    with pytest.raises(UserError, match=fault):
        read_picture(tmp_path, "x.png")


def test_a_picture_of_bearable_size_is_read(tmp_path):
    assert MOST_PIXELS > 3840 * 2160
    Image.fromarray(np.full((20, 30, 3), 7, np.uint8)).save(tmp_path / "x.png")
    assert read_picture(tmp_path, "x.png").shape == (20, 30, 3)
    with pytest.raises(UserError, match="leads out of"):
        read_picture(tmp_path, "../x.png")
