"""What a folder may be called."""

import pytest

from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.files.names import bare, label
from agentlab_runner.runners.run.folder import Run


@pytest.mark.parametrize("name", ["a", "lr0.1", "coso_android", "2026-11-30_x", "a..b", "prüfung", "x" * 100])
def test_bare_names(name):
    assert bare(name) == name == label(name)


@pytest.mark.parametrize(
    ("text", "nearest"),
    [
        ("../../x", "x"), ("my run", "my_run"), ("", "run"), ("...", "run"), ("latest", "run_latest"),
        ("COM1.log", "run_COM1.log"), ("a\x00b\n", "a_b"), ("[a,b]", "a_b"), ("/etc/passwd", "etc_passwd"),
        ("x" * 300, "x" * 100), ("漢" * 300, "漢" * 33), ("x" * 99 + ".y", "x" * 99), ("nul", "run_nul"),
    ],
)  # fmt: skip
def test_others_are_refused_with_the_nearest(text, nearest):
    with pytest.raises(UserError, match=f"--name {nearest.replace('.', '[.]')}$"):
        bare(text)
    assert bare(nearest) == nearest


def test_a_run_is_made_nowhere_else(tmp_path):
    with pytest.raises(UserError, match="cannot be the name of a folder"):
        Run.create({}, tmp_path / "runs", [], name="../x")
    assert not list(tmp_path.iterdir())
