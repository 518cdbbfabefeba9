"""The files that docs/adding_an_env.md and docs/adding_an_agent.md have one write."""

import re
from pathlib import Path

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGES = ("adding_an_env.md", "adding_an_agent.md")
BLOCK = re.compile(r"^```(\w+)[ ]?(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: str) -> list[tuple[str, str, str]]:
    """(language, file name or "", content) of every fenced block."""
    return BLOCK.findall((DOCS / page).read_text("utf-8"))


def write_recipes(folder: Path) -> None:
    for page in PAGES:
        for _, name, content in blocks(page):
            if name:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_text(content)
