"""No circle of imports, whether at the top of a file, in a function or for types alone."""

from graphlib import TopologicalSorter

import grimp
import pytest


@pytest.mark.parametrize("room", ["runners", "agents", "envs", "data_cleaning", "video"])
def test_no_imports_go_in_a_circle(room):
    graph = grimp.build_graph(f"agentlab_runner.{room}")
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    order = list(TopologicalSorter(imports).static_order())  # raises CycleError, which names the circle
    assert len(order) == len(graph.modules)
