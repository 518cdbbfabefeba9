"""No, uniform and causal entropy side by side, as the documentation's table is made."""

import json

import pytest

from tests.integration.conftest import manifest, small

pytestmark = pytest.mark.slow


def test_a_sweep_over_methods_and_seeds_ends_in_a_table_and_runs_once(lab):
    overrides = small("coso_android", "total_iterations=2", "agent.entropy=none,uniform,causal", "seed=0,1")
    first = lab("sweep", *overrides).stdout
    (folder,) = (lab.path / "sweeps").iterdir()
    table = (folder / "table.md").read_text()
    for entropy in ("none", "uniform", "causal"):
        assert f"| {entropy} | 2 |" in table
    runs = [file.parent for file in folder.glob("jobs/*/manifest.json")]
    assert len(runs) == 6
    assert all(manifest(run)["status"] == "finished" for run in runs)
    assert "agent.entropy=causal" in first
    again = lab("sweep", *overrides).stdout
    assert "6 of 6 jobs are finished already" in again
    assert [manifest(run) for run in runs] == [json.loads((run / "manifest.json").read_text()) for run in runs]
    assert (folder / "table.md").read_text() == table
