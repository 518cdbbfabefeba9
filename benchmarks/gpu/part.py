"""`python -m benchmarks.gpu.part NAME DEVICE FILE [--quick]`: one part of the check, in a process of its own.

A kernel that fails spoils every later call of its process, and a call to another process may never return; so parts
share none. What a part has found so far is in its file, a JSON object a line, whatever becomes of it.
"""

import json
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from benchmarks.figures import Figure
from benchmarks.gpu.device import Skipped, describe

Check = Callable[[torch.device, bool], Iterator[Figure]]


def main(name: str, kind: str, file: Path, quick: bool) -> None:
    device = torch.device(kind)
    check: Check = import_module(f"benchmarks.gpu.{name}").check
    with file.open("w") as out:

        def tell(**entry: Any) -> None:
            print(json.dumps(entry), file=out, flush=True)

        tell(device=describe(device))
        try:
            for figure in check(device, quick):
                tell(figure={**figure, "figure": f"{name}: {figure['figure']}"})
        except Skipped as why:
            tell(skipped=str(why))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), "--quick" in sys.argv[4:])
