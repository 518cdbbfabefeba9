"""`python -m benchmarks [NAME ...]`: run benchmarks, print their figures, keep them in `benchmarks/results/`."""

import argparse
import json
import re
from collections.abc import Callable
from datetime import date
from importlib import import_module
from pathlib import Path

from rich.console import Console
from rich.table import Table

from agentlab_runner.runners.run.manifest import hardware
from benchmarks.figures import RESULTS, Figure, markdown_table, reached

HERE = Path(__file__).parent
MODULES = {
    file.stem: ".".join(("benchmarks", *file.relative_to(HERE).with_suffix("").parts))
    for file in sorted(HERE.rglob("*.py"))
    if "\ndef measure(" in file.read_text()
}
"""Every module here that measures something, by its last name."""
PAGE = HERE.parent / "docs" / "benchmarks.md"
SECTION = re.compile(r"(?<=<!-- figures -->\n).*?(?=<!-- end of figures -->)", re.DOTALL)


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    options.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(MODULES)}; all if none is given")
    options.add_argument("--quick", action="store_true", help="few rounds, to see that it runs; nothing is kept")
    options.add_argument("--table", action="store_true", help="put the kept figures into docs/benchmarks.md instead")
    given = options.parse_args()
    unknown = sorted(set(given.names) - set(MODULES))
    if unknown:
        options.error(f"no benchmark {', '.join(unknown)}; choose from {', '.join(MODULES)}")
    if given.table:
        PAGE.write_text(SECTION.sub(lambda _: markdown_table() + "\n", PAGE.read_text()))
        print(f"wrote the figures into {PAGE}")
        return
    table = Table("benchmark", "figure", "measured", "bar", "reached")
    for name in given.names or MODULES:
        measure: Callable[[bool], list[Figure]] = import_module(MODULES[name]).measure
        figures = measure(given.quick)
        for figure in figures:
            measured = f"{figure['measured']:.3g} {figure['unit']}"
            table.add_row(name, figure["figure"], measured, figure["bar"], "yes" if reached(figure) else "no")
        if given.quick:
            print(json.dumps(figures, indent=2))
        else:
            _keep(name, figures)
    Console().print(table)


def _keep(name: str, figures: list[Figure]) -> None:
    machine = {key: value for key, value in hardware().items() if key != "host"}
    content = {"date": date.today().isoformat(), "hardware": machine, "figures": figures}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    main()
