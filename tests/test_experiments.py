"""The first line of an experiment, which `agentlab list` shows, says how long it takes or what it needs."""

import re
from pathlib import Path

import pytest

EXPERIMENTS = sorted((Path(__file__).parent.parent / "conf" / "exp").glob("*.yaml"))


@pytest.mark.parametrize("file", EXPERIMENTS, ids=lambda file: file.stem)
def test_its_first_line_says_what_to_expect(file):
    first = file.read_text("utf-8").splitlines()[0]
    told = re.fullmatch(r"# .+ \(([^()]+)\)", first)
    assert told, f"{file.name}: end the first line with how long it takes and what comes out, in brackets"
    assert re.search(r"second|minute|hour|needs a GPU", told[1])
