"""Optuna studies that belong to a sweep folder, and go on when the command is given again."""

from enum import Enum
from pathlib import Path

from omegaconf import DictConfig

STUDY = "optuna.sqlite"
"""File of a sweep folder."""


def prepare(sweeper: DictConfig, folder: Path) -> None:
    """Give the Optuna plugin a study in the sweep folder, to be maximised, and only the trials it still lacks.

    What the user chose stays: the plugin's own default direction is an enum member, a chosen one is text.

    Args:
        sweeper: the plugin's `hydra.sweeper` node; changed in place.
    """
    sweeper.storage = sweeper.storage or f"sqlite:///{folder / STUDY}"
    sweeper.study_name = sweeper.study_name or "agentlab"
    if isinstance(sweeper.direction, Enum):
        sweeper.direction = "maximize"
    sweeper.n_trials = _trials_to_go(sweeper)


def _trials_to_go(sweeper: DictConfig) -> int:
    """How many of `n_trials` the study lacks; those that failed or were cut short are queued to be asked again."""
    import optuna
    from optuna.trial import TrialState

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        study = optuna.load_study(study_name=sweeper.study_name, storage=sweeper.storage)
    except KeyError:  # not begun
        return int(sweeper.n_trials)
    trials = study.get_trials()
    known = [trial.params for trial in trials if trial.state in (TrialState.COMPLETE, TrialState.WAITING)]
    for trial in trials:
        if trial.state is TrialState.RUNNING:
            study.tell(trial.number, state=TrialState.FAIL)
        if trial.state in (TrialState.RUNNING, TrialState.FAIL) and trial.params and trial.params not in known:
            study.enqueue_trial(trial.params)
            known.append(trial.params)
    complete = sum(trial.state is TrialState.COMPLETE for trial in trials)
    return max(0, int(sweeper.n_trials) - complete)
