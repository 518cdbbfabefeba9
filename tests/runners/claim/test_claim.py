"""Claims as users run them: real processes under Hydra's launchers; only the experiment is a cheap one."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from agentlab_runner.runners.claim.claim import Jobs, read, read_off
from agentlab_runner.runners.claim.results import ArmResult, ClaimResults, Verdict
from agentlab_runner.runners.claim.settings import ClaimSettings
from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.terminal.statistics import student_interval
from tests.conftest import ROOT, environment

CONF = ROOT / "tests/runners/conf"
SMALL = ["~claim.settings.long", "claim.arms.tuned.tune={experiment.slope:[0.2]}", "claim.seeds=[0,1]"]
"""One setting, one value to tune and two seeds: five runs."""


def claim(folder: Path, *args: str, code: int = 0) -> str:
    """What `agentlab claim` prints."""
    env = environment() | {"AGENTLAB_CONF": str(CONF)}
    done = subprocess.run(
        [sys.executable, "-m", "agentlab_runner.runners", "claim", *args],
        cwd=folder,
        env=env,
        text=True,
        capture_output=True,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def steeper(monkeypatch: pytest.MonkeyPatch) -> ClaimSettings:
    monkeypatch.setenv("AGENTLAB_CONF", str(CONF))
    return read("steeper")


def results(flat: dict[int, float], tuned: dict[int, float], claim: ClaimSettings) -> ClaimResults:
    """As if both settings had given these values."""
    arms = [
        ArmResult(setting, arm, {}, values, [], [], [])
        for setting in claim.settings
        for arm, values in (("flat", flat), ("tuned", tuned))
    ]
    return ClaimResults(claim, arms, [])


def test_a_claim_tunes_runs_judges_and_is_read_back(tmp_path: Path) -> None:
    joblib = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
    said = claim(tmp_path, "steeper", *joblib)
    # 0.3 wins the tuning; at step 2 it is at 0.6 against 0.2, and each seed differs by exactly that.
    assert "supported: the steeper one climbs higher" in said
    assert "experiment.slope=0.3" in said
    found = json.loads((tmp_path / "claims/steeper/results.json").read_text())
    assert [round(c["difference"], 6) for c in found["comparisons"]] == [0.4, 0.8]
    assert found["arms"][0]["values"] == pytest.approx({"0": 0.2, "1": 0.21, "2": 0.22})
    folder = tmp_path / "claims/steeper"
    assert all(arm["cpu_seconds"] and min(arm["cpu_seconds"]) > 0 for arm in found["arms"])
    assert len(list(folder.glob("jobs/*"))) == 2 * (2 + 3 + 3)  # settings x (tuning values, flat seeds, tuned seeds)
    assert (folder / "curves-long.png").exists()
    assert "supported" in (folder / "table.md").read_text()
    again = claim(tmp_path, "steeper", *joblib)
    assert "4 of 4 jobs are finished already" in again
    assert "12 of 12 jobs are finished already" in again
    assert len(list(folder.glob("jobs/*"))) == 16
    fewer = claim(tmp_path, "steeper", "claim.seeds=[0,1]", *joblib)
    assert "| 3" not in fewer
    assert len(list(folder.glob("jobs/*"))) == 16


def test_a_claim_that_is_refused_says_so_in_words_and_leaves_no_folder(tmp_path: Path) -> None:
    said = claim(tmp_path, "steeper", "claim.seeds=[0]", code=2)
    assert said == "agentlab: claim.seeds is [0], but must be a list of at least 2 items\n"
    said = claim(tmp_path, "steeper", "claim.expect=[{arm:a,above:flat}]", code=2)
    assert said.startswith("agentlab: claim is refused: expect names the arm 'a', but the arms are")
    assert "is not installed here" in claim(tmp_path, "steeper", "hydra/launcher=jobli", code=2)
    assert not list(tmp_path.iterdir())


def test_a_metric_that_no_run_logged_is_refused_and_replaces_no_result(tmp_path: Path) -> None:
    budget = [*SMALL, "total_iterations=1"]
    claim(tmp_path, "steeper", *budget)
    before = (tmp_path / "claims/steeper/results.json").read_text()
    said = claim(tmp_path, "steeper", *budget, "+claim.metric=eval/succes", code=2)
    assert "no run of this claim logged eval/succes; did you mean eval/success?" in said
    assert (tmp_path / "claims/steeper/results.json").read_text() == before


def test_claims_are_made_where_runs_are(tmp_path: Path) -> None:
    claim(tmp_path, "steeper", *SMALL, "runs_dir=there", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    assert (tmp_path / "there/claims/steeper/table.md").exists()
    assert not (tmp_path / "claims").exists()


def test_a_failed_run_leaves_the_claim_undecided_and_is_named(tmp_path: Path) -> None:
    fail = tmp_path / "fail"
    fail.touch()
    said = claim(tmp_path, "steeper", f"experiment.fail={fail}", *SMALL, code=1)
    assert "undecided" in said
    assert "slope 0.2 is too steep" in said
    assert "values are missing" in said


def test_a_run_that_was_told_to_end_leaves_the_claim_unfinished(tmp_path: Path) -> None:
    told = tmp_path / "told"
    told.write_text("15")
    said = claim(tmp_path, "steeper", f"experiment.die={told}", *SMALL, code=130)
    assert "undecided" in said
    assert "interrupted, which the same command goes on with: 3" in said  # one that tunes, two that judge


def test_a_difference_beyond_its_interval_decides(steeper: ClaimSettings) -> None:
    low, high = {0: 0.1, 1: 0.2, 2: 0.15}, {0: 0.5, 1: 0.61, 2: 0.54}
    assert results(low, high, steeper).verdict is Verdict.SUPPORTED
    assert results(high, low, steeper).verdict is Verdict.CONTRADICTED
    assert results(low, {0: 0.2, 1: 0.1, 2: 0.16}, steeper).verdict is Verdict.UNDECIDED


def test_a_table_says_what_its_runs_were_played_under(steeper: ClaimSettings) -> None:
    bare = results({0: 0.1}, {0: 0.2}, steeper)
    found = replace(bare, conditions={"pages": "1.1", "browser": "156"})
    assert found.tables()[0][0].endswith("(pages 1.1, browser 156)")
    assert found.as_dict()["conditions"] == {"pages": "1.1", "browser": "156"}
    assert not bare.tables()[0][0].endswith(")")


def test_curves_over_a_count_are_read_off_at_its_multiples() -> None:
    # Evaluated after 0, 10 and 13 of what is counted; the last multiple of 4 that was reached is 12.
    found = read_off({0: 1.0, 2: 3.0, 3: 6.0}, {0: 0.0, 1: 5.0, 2: 10.0, 3: 13.0}, 4)
    assert found == pytest.approx({0: 1.0, 4: 1.8, 8: 2.6, 12: 5.0})


def test_values_logged_apart_from_the_count_stand_where_it_stood_last() -> None:
    found = read_off({1: 1.0, 4: 3.0, 6: 5.0}, {0: 0.0, 3: 8.0, 5: 16.0}, 8)
    assert found == pytest.approx({0: 1.0, 8: 3.0, 16: 5.0})


def test_curves_may_be_over_steps_and_over_no_other_name(tmp_path: Path) -> None:
    budget = [*SMALL, "total_iterations=2"]
    said = claim(tmp_path, "steeper", *budget, "+claim.over={metric: step, every: 1}")
    assert "over step" in said
    said = claim(tmp_path, "steeper", *budget, "+claim.over={metric: eval/succes, every: 1}", code=2)
    assert "did not log eval/succes, over which this claim is drawn; did you mean eval/success?" in said


@pytest.mark.parametrize(
    ("tuned", "within", "verdict"),
    [
        ({0: 0.20, 1: 0.21, 2: 0.19}, 0.05, Verdict.SUPPORTED),
        ({0: 0.20, 1: 0.21, 2: 0.19}, 0.005, Verdict.UNDECIDED),
        ({0: 0.90, 1: 0.91, 2: 0.89}, 0.05, Verdict.CONTRADICTED),
        ({0: 0.20}, 0.05, Verdict.UNDECIDED),
    ],
)
@pytest.mark.parametrize("equals", ["flat", 0.2])
def test_two_are_equal_where_the_whole_interval_is_close(
    steeper: ClaimSettings, tuned: dict[int, float], within: float, verdict: Verdict, equals: str | float
) -> None:
    expected = {"arm": "tuned", "equals": equals, "within": within}
    claim = ClaimSettings(**{**steeper.model_dump(), "expect": [expected]})
    found = results({0: 0.2, 1: 0.2, 2: 0.2}, tuned, claim)
    assert found.verdict is verdict
    assert f"tuned = {equals} +- {within:g}" in found.tables()[1][1][1][0]


def test_a_missing_seed_supports_nothing(steeper: ClaimSettings) -> None:
    found = results({0: 0.1, 1: 0.2, 2: 0.15}, {0: 0.5, 1: 0.61}, steeper)
    assert found.verdict is Verdict.UNDECIDED
    assert "2 of 12 values are missing" in found.verdict_line()


def test_a_margin_must_be_exceeded(steeper: ClaimSettings) -> None:
    steeper.expect[0].margin = 0.5
    assert results({0: 0.1, 1: 0.2, 2: 0.15}, {0: 0.5, 1: 0.61, 2: 0.54}, steeper).verdict is Verdict.CONTRADICTED


def test_students_interval_is_the_textbooks() -> None:
    # t(0.975, 4) = 2.776; the sample variance of 1..5 is 2.5
    interval = student_interval([1, 2, 3, 4, 5])
    assert interval is not None
    assert interval.low == pytest.approx(3 - 2.7764451 * (2.5 / 5) ** 0.5)
    assert interval.high == pytest.approx(3 + 2.7764451 * (2.5 / 5) ** 0.5)
    assert student_interval([1.0]) is None


def test_an_override_can_name_the_seed_of_its_run(steeper: ClaimSettings) -> None:
    steeper.arms["flat"].overrides.append("eval.seed={seed}")
    assert "eval.seed=7" in Jobs(steeper, []).overrides(next(iter(steeper.settings)), "flat", {}, 7)


def test_arms_with_the_same_overrides_share_their_runs(steeper: ClaimSettings) -> None:
    steeper.arms["tuned"].tune = {}
    steeper.arms["tuned"].overrides = steeper.arms["flat"].overrides
    jobs = Jobs(steeper, [])
    assert jobs.overrides("short", "flat", {}, 0) == jobs.overrides("short", "tuned", {}, 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("claim.seeds=[1]", "claim.seeds"),
        ("claim.seeds=[1,1]", "name a seed twice"),
        ("claim.tuning_seeds=[0]", "tune on seeds that do not judge"),
        ("claim.tuning_seeds=[]", "give tuning_seeds"),
        ("claim.expect=[]", "claim.expect"),
        ("claim.expect=[{arm: steep, above: flat}]", "the arms are flat, tuned"),
        ("~claim.arms.tuned", "but the arms are flat"),
        ("claim.expect=[{arm: tuned}]", "either {arm, above} or {arm, equals, within}"),
        ("claim.expect=[{arm: tuned, above: flat, equals: 0.5, within: 0.1}]", "either {arm, above} or"),
        ("claim.expect=[{arm: tuned, equals: flat}]", "equals and within go together"),
        ("claim.expect=[{arm: tuned, above: flat, within: 0.1}]", "equals and within go together"),
        ("claim.expect=[{arm: tuned, equals: flat, within: 0}]", "must be greater than 0"),
        ("claim.expect=[{arm: tuned, equals: flat, within: 0.1, margin: 0.1}]", "an equivalence has within"),
        ("claim.expect=[{arm: tuned, equals: steep, within: 0.1}]", "the arms are flat, tuned"),
        ("claim.seedz=x", "did you mean 'claim.seeds'"),
        ("+claim.metrik=x", "did you mean 'claim.metric'"),
    ],
)
def test_a_wrong_claim_is_refused_in_a_sentence(monkeypatch: pytest.MonkeyPatch, change: str, message: str) -> None:
    monkeypatch.setenv("AGENTLAB_CONF", str(CONF))
    with pytest.raises(UserError, match=message.replace("[", r"\[").replace("?", r"\?")):
        read("steeper", [change])


def test_an_unknown_claim_names_the_nearest(tmp_path: Path) -> None:
    assert "did you mean steeper" in claim(tmp_path, "steper", code=2)
    assert "has no key" in claim(tmp_path, "steeper", "experiment.slop=1", code=2)
