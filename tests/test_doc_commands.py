"""What the pages say can be typed composes, and what they list is what there is."""

import json
import re
import shlex
from pathlib import Path

import pytest

from agentlab_runner.envs.android.tasks import TEMPLATES
from agentlab_runner.envs.android.tasks.template import split_of
from agentlab_runner.runners.config.compose import draft
from benchmarks.__main__ import PAGE, SECTION
from benchmarks.figures import RESULTS, markdown_table, reached

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *(ROOT / "docs" / f"{name}.md" for name in (
    "alfworld", "android", "callbacks", "coso", "coso_ppo", "matrix", "mind2web", "pointer", "prompting", "scaling",
    "synapse", "twosome"
))]  # fmt: skip
COMMAND = re.compile(r"(?:^|\| `)agentlab (?:train|show|sweep|eval) ([^`\n]*\+exp=[^`\n]*)(?:`|$)", re.MULTILINE)


def commands() -> list[str]:
    return [line for page in PAGES for line in COMMAND.findall(page.read_text())]


def test_there_are_commands():
    assert len(commands()) > 8


@pytest.mark.parametrize("line", commands())
def test_overrides_compose(line):
    overrides = shlex.split(line, comments=True)
    draft([re.sub(r"^([\w.]+=[\w.]+)(,[\w.]+)+$", r"\1", override) for override in overrides])  # a sweep's first job


def test_every_template_is_listed_with_its_split():
    page = (ROOT / "docs" / "android.md").read_text()
    rows = dict(re.findall(r"^\| (\d \| `\w+`) \| .* \| (\d+ \| \d+) \|$", page, re.MULTILINE))
    splits = {t: split_of(t) for t in TEMPLATES.values()}
    assert rows == {f"{t.level} | `{t.name}`": f"{len(s['train'])} | {len(s['test'])}" for t, s in splits.items()}


@pytest.mark.parametrize(
    ("exp", "pages"), [("coso_android", ["coso.md"]), ("coso_numberline", ["coso_ppo.md", "coso.md"])]
)
def test_every_option_of_the_agent_is_explained(exp, pages):
    page = "".join((ROOT / "docs" / name).read_text() for name in pages)
    settings = draft([f"+exp={exp}"]).agent
    named = [key for key in settings if not str(key).startswith("_") and key not in ("scm", "offline", "imitation")]
    named += [f"scm.{key}" for key in settings.scm]
    assert [key for key in named if f"`{key}`" not in page] == []


@pytest.mark.parametrize("room", ["runners", "data_cleaning", "agents", "envs/android"])
def test_every_wing_has_its_line(room):
    page = (ROOT / "docs" / "architecture.md").read_text()
    table = page.partition(f"| `{room}/` | holds |")[2].partition("\n\n")[0]
    there = {f"{path.name}/" if path.is_dir() else path.name for path in (ROOT / room).iterdir()}
    assert {name for name in there if not name.startswith("__") or name == "__main__.py"} == set(
        re.findall(r"`([a-z_]+(?:\.py|/))`", "\n".join(row.split("|")[1] for row in table.splitlines()[1:] if row))
    )


def test_the_table_of_figures_is_that_of_the_results():
    section = SECTION.search(PAGE.read_text())
    assert section is not None
    if any(RESULTS.glob("*.json")):
        assert section[0] == markdown_table() + "\n"


@pytest.mark.parametrize("file", sorted(RESULTS.glob("*.json")), ids=lambda file: file.stem)
def test_results_name_their_machine(file):
    result = json.loads(file.read_text())
    assert result["hardware"]["cpu"]
    assert "host" not in result["hardware"]


@pytest.mark.parametrize(("measured", "bar", "verdict"), [(10, ">= 10", True), (9.9, ">= 10", False), (4, "<= 4", True),
                                                         (1e-4, "<= 1e-5", False), (0, "", True)])
def test_reached(measured, bar, verdict):
    assert reached({"figure": "", "measured": measured, "unit": "x", "bar": bar, "details": {}}) is verdict
