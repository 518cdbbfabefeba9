"""`python -m benchmarks [NAME ...]`: run benchmarks, print their figures, keep them in `benchmarks/results/`."""

import json
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from runners.manifest import hardware

NAMES = ("startup", "phone", "rollout", "counterfactual", "overhead")
RESULTS = Path(__file__).parent / "results"


def main(names: list[str]) -> int:
    unknown = set(names) - set(NAMES)
    if unknown:
        print(f"benchmarks: no benchmark {', '.join(sorted(unknown))}; choose from {', '.join(NAMES)}", file=sys.stderr)
        return 2
    table = Table("benchmark", "figure", "measured", "bar")
    for name in names or NAMES:
        measure: Callable[[], list[dict[str, Any]]] = import_module(f"benchmarks.{name}").measure
        figures = measure()
        for figure in figures:
            table.add_row(name, figure["figure"], f"{figure['measured']:.3g} {figure['unit']}", figure["bar"])
        RESULTS.mkdir(exist_ok=True)
        content = {"hardware": hardware(), "figures": figures}
        (RESULTS / f"{name}.json").write_text(json.dumps(content, indent=2) + "\n")
    Console().print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
