"""How long a user waits for `agentlab --help` and `agentlab list`, beside importing the CLI library they rest on."""

import statistics
import subprocess
import sys
import time

from benchmarks.figures import Figure, spread

ROUNDS = 9


def measure(quick: bool = False) -> list[Figure]:
    """Median seconds of each command, in turn, so that drift of the machine meets all alike."""
    commands = {
        "import typer": [sys.executable, "-c", "import typer"],
        "--help": [sys.executable, "-m", "agentlab_runner.runners", "--help"],
        "list": [sys.executable, "-m", "agentlab_runner.runners", "list"],
    }
    taken: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(2 if quick else ROUNDS):
        for name, command in commands.items():
            began = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            taken[name].append(time.perf_counter() - began)
    base = statistics.median(taken["import typer"])
    return [
        {
            "figure": f"agentlab {name} / python -c 'import typer'",
            "measured": statistics.median(taken[name]) / base,
            "unit": "x",
            "bar": "<= 4",
            "details": {"seconds": spread(taken[name]), "import_typer_seconds": spread(taken["import typer"])},
        }
        for name in ("--help", "list")
    ]
