"""`python -m benchmarks.cleaning.fd_engine ENGINE CSV`: one search for functional dependencies; what it took, as JSON.

Imports nothing that the engine does not need.
"""

import json
import resource
import sys
from pathlib import Path

from benchmarks.figures import Stopwatch


def main(engine: str, path: str) -> None:
    watch = Stopwatch()
    if engine == "ours":
        import numpy as np

        from agentlab_runner.data_cleaning.discovery.discover import discover
        from agentlab_runner.data_cleaning.table.tables import read
        from agentlab_runner.data_cleaning.types import Table

        codes = tuple(np.array(column, np.int32) for column in ([0, 0, 1], [0, 1, 0], [0, 1, 1]))
        discover(Table(("A", "B", "C"), codes, (("x", "y"),) * 3))  # loads the kernels
        table = read(path)
        loaded = watch.read()
        found = len(discover(table, threads=2))
    else:
        import desbordante

        module = desbordante.afd if engine == "Tane" else desbordante.fd
        algorithm = getattr(module.algorithms, engine)()
        algorithm.load_data(table=(path, ",", True))
        loaded = watch.read()
        algorithm.execute(**({"threads": 2} if "threads" in algorithm.get_possible_options() else {}))
        found = len(algorithm.get_fds())
    wall, cpu = watch.read()
    usage = resource.getrusage(resource.RUSAGE_SELF)
    said = {
        "found": found,
        "search_wall": wall - loaded[0],
        "search_cpu": cpu - loaded[1],
        "cpu": usage.ru_utime + usage.ru_stime,
        "peak_mb": _peak(),
    }
    print(json.dumps(said))


def _peak() -> float:
    """Peak resident memory in MB. Not ru_maxrss: that of a new process begins with its parent's."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


if __name__ == "__main__":
    main(*sys.argv[1:])
