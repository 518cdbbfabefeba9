"""Going on with an Optuna study that an earlier command began."""

from omegaconf import DictConfig


def trials_to_go(sweeper: DictConfig) -> int:
    """How many of `n_trials` the study still lacks; trials that failed or were cut short are queued to be asked again.

    Args:
        sweeper: the `hydra.sweeper` node of the Optuna plugin, with `storage`, `study_name` and `n_trials`.
    """
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
