"""Run the commands a page shows and put what they print under them: python -m docs.play docs/data_cleaning.md

A block fenced as `console` holds lines `$ COMMAND`, each followed by its output. All commands of a page run in order,
in one folder that is empty at first, `cd` being obeyed; `agentlab` is this checkout's.
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"(?<=^```console\n).*?(?=^```$)", re.MULTILINE | re.DOTALL)


def play(page: str) -> str:
    """The page with the output of every command as it is now; what goes to stderr comes first."""
    played = []
    end = 0
    with TemporaryDirectory() as top:
        folder = Path(top)
        for block in BLOCK.finditer(page):
            played.append(page[end : block.start()])
            end = block.end()
            for command in re.findall(r"^\$ (.*)$", block[0], re.MULTILINE):
                if command.startswith("cd "):
                    folder /= command.removeprefix("cd ")
                played.append(f"$ {command}\n{_run(command, folder)}")
    return "".join(played) + page[end:]


def _run(command: str, folder: Path) -> str:
    if command.startswith("cd "):
        return ""
    words = f'agentlab() {{ "{sys.executable}" -m agentlab_runner.runners "$@"; }}; {command}'
    env = os.environ | {"NO_COLOR": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(["bash", "-c", words], cwd=folder, env=env, capture_output=True, text=True, check=False)
    lines = (done.stderr + done.stdout).strip().splitlines()
    return "".join(f"{line.rstrip()}\n" for line in lines)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        page = Path(name)
        page.write_text(play(page.read_text(encoding="utf-8")), encoding="utf-8")
