"""docs/data_cleaning.md shows what its commands print, and its Python runs."""

import difflib
import re
from pathlib import Path

import pytest

from docs.play import play

PAGE = Path(__file__).resolve().parents[3] / "docs" / "data_cleaning.md"


@pytest.mark.slow
def test_every_output_shown_came_out_of_the_command():
    page = PAGE.read_text(encoding="utf-8")
    told = difflib.unified_diff(page.splitlines(), play(page).splitlines(), "page", "commands", lineterm="")
    assert "\n".join(told) == "", "python -m docs.play docs/data_cleaning.md puts it right"


def test_the_library_example_runs(capsys):
    [code] = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    exec(code, {})  # noqa: S102 - our own page
    lines = capsys.readouterr().out.splitlines()
    assert "[] ->inh,1 MED" in lines
    assert "{'MED': {2: " in lines[-1]
