"""`python -m benchmarks.gpu`: what only a GPU can tell, in at most eight minutes, without a network; one JSON.

Each part has a process of its own (`benchmarks.gpu.part`) and the time that is left; one that fails, or is ended, does
not end the others.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypedDict

from agentlab_runner.runners.run.manifest import hardware
from benchmarks.figures import RESULTS, Figure, reached

PARTS: Mapping[str, int] = {"equal": 60, "processes": 25, "phrases": 90, "phone": 90, "weights": 25, "compiled": 60}
"""With the seconds that must be left for it to begin."""
BUDGET = 480
COMMIT = Path("build") / "commit"
"""Where `make gpu-bundle` writes the commit, for a copy that git knows nothing of."""

Command = Callable[[str, Path], list[str]]
"""What runs a part, and into which file."""


class Failure(TypedDict):
    """A part that did not come to its end."""

    part: str
    why: list[str]
    """The last lines of its traceback."""


class Result(TypedDict):
    """The content of `gpu_check.json`."""

    date: str
    commit: str | None
    hardware: dict[str, Any]
    device: dict[str, Any]
    seconds: float
    budget: float
    figures: list[Figure]
    failures: list[Failure]
    skipped: list[str]


def main(arguments: Sequence[str] | None = None) -> int:
    options = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    options.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all if none is given")
    options.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu: to see that it runs")
    options.add_argument("--out", type=Path, help="folder for gpu_check.json (benchmarks/results)")
    options.add_argument("--budget", type=float, default=BUDGET, help=f"seconds in all ({BUDGET})")
    options.add_argument("--quick", action="store_true", help="smaller models, fewer rounds")
    given = options.parse_args(arguments)
    unknown = sorted(set(given.parts) - set(PARTS))
    if unknown:
        options.error(f"no part {', '.join(unknown)}; choose from {', '.join(PARTS)}")
    if given.device == "cuda" and (lacking := without_gpu()):
        advice = "run it on a machine with one (docs/benchmarks.md), or see that it runs here with --device cpu"
        print(f"gpu-check: {lacking}; {advice}", file=sys.stderr)
        return 2
    quick = ["--quick"] if given.quick else []

    def command(part: str, file: Path) -> list[str]:
        return [sys.executable, "-m", "benchmarks.gpu.part", part, given.device, str(file), *quick]

    result = run(given.parts or list(PARTS), command, given.budget)
    folder = given.out or (RESULTS if given.device == "cuda" else None)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "gpu_check.json").write_text(json.dumps(result, indent=2) + "\n")
        print(f"wrote {folder / 'gpu_check.json'}")
    return 1 if result["failures"] or not all(map(reached, result["figures"])) else 0


def without_gpu() -> str | None:
    """Why there is no GPU to check; None if there is one."""
    import torch

    if torch.cuda.is_available():
        return None
    if not hardware()["gpu"]:
        return "there is no CUDA GPU here"
    return f"{', '.join(hardware()['gpu'])} cannot be used by torch {torch.__version__}, which is no CUDA build for it"


def run(parts: list[str], command: Command, budget: float, needs: Mapping[str, float] = PARTS) -> Result:
    """Every part in turn, as long as there is time, telling of each as it ends."""
    began = time.monotonic()
    machine: dict[str, Any] = {key: value for key, value in hardware().items() if key != "host"}
    result = Result(
        date=date.today().isoformat(),
        commit=_output("git", "rev-parse", "HEAD") or (COMMIT.read_text().strip() if COMMIT.is_file() else None),
        hardware=machine,
        device={},
        seconds=0.0,
        budget=budget,
        figures=[],
        failures=[],
        skipped=[],
    )
    for part in parts:
        left = budget - (time.monotonic() - began)
        if left >= needs[part]:
            _run_one(part, command, left, result)
        else:
            _skip(result, f"{part}: {max(left, 0):.0f} of {budget:.0f} s were left, and it wants {needs[part]:.0f}")
    result["seconds"] = round(time.monotonic() - began, 1)
    drivers = _output("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader")
    result["device"]["driver"] = drivers.splitlines()[0] if drivers else None
    return result


def _skip(result: Result, why: str) -> None:
    result["skipped"].append(why)
    print(f"skipped: {why}")


def _run_one(part: str, command: Command, left: float, result: Result) -> None:
    began = time.monotonic()
    with TemporaryDirectory() as folder:
        file, log = Path(folder, "found"), Path(folder, "log")
        file.touch()
        with log.open("w") as out:
            try:
                plain = os.environ | {"HYDRA_FULL_ERROR": "1"}  # the fault itself, not what Hydra makes of it
                done = subprocess.run(command(part, file), env=plain, stdout=out, stderr=out, timeout=left, check=False)
            except subprocess.TimeoutExpired:
                why = [f"it was ended after the {left:.0f} s that were left"]
            else:
                said = log.read_text(errors="replace").strip().splitlines()[-6:]
                why = [f"exit code {done.returncode}", *said] if done.returncode else []
        for line in file.read_text().splitlines(keepends=True):
            if line.endswith("\n"):  # else its writer was ended in the middle of it
                _take(part, json.loads(line), result)
    if why:
        result["failures"].append(Failure(part=part, why=why))
        print(f"{part}: FAILED: {why[-1]}")
    print(f"{part}: {time.monotonic() - began:.0f} s", flush=True)


def _take(part: str, entry: dict[str, Any], result: Result) -> None:
    """One line of what a part has found."""
    if "device" in entry:
        result["device"] |= entry["device"]
    elif "skipped" in entry:
        _skip(result, f"{part}: {entry['skipped']}")
    else:
        figure: Figure = entry["figure"]
        result["figures"].append(figure)
        verdict = "" if reached(figure) else f"  MISSED {figure['bar']}"
        print(f"{figure['figure']}: {figure['measured']:.3g} {figure['unit']}{verdict}")


def _output(*command: str) -> str | None:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


if __name__ == "__main__":
    sys.exit(main())
