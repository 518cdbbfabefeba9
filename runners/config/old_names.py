"""Names that the configs of older runs hold for code which has moved since."""

from typing import Any

PACKAGE = __name__.partition(".")[0]

_UNDER_THE_PACKAGE = (
    "agents.coso.agent.CosoAgent", "agents.coso.ppo_agent.UtterancePpoAgent",
    "agents.coso.released.load_trajectories", "agents.llm.autoui.AutoUIPolicy.from_pretrained",
    "agents.llm.policy.LanguagePolicy.from_pretrained", "agents.llm.tiny.create", "agents.twosome.agent.TwosomeAgent",
    "agents.twosome.baselines.RandomAgent", "agents.twosome.baselines.ZeroShotAgent",
    "agents.twosome.saycan.SaycanAgent", "agents.twosome.vector_ppo.VectorPpoAgent",
    "envs.alfworld.commands.CommandParser", "envs.alfworld.expert.Expert", "envs.alfworld.make",
    "envs.android.actions.AitwParser", "envs.android.devices.adb.AdbPhone", "envs.android.devices.android_env.launch",
    "envs.android.devices.sim_adb.SimAdbPhone", "envs.android.evaluators.Judge",
    "envs.android.evaluators.Programmatic", "envs.android.make", "envs.android.scripted_user.ScriptedUser",
    "envs.cards.actions.CardsParser", "envs.cards.demonstrator.Player", "envs.cards.make", "envs.overcooked.make",
    "envs.virtualhome.make", "envs.virtualhome.simulator.GraphHousehold", "envs.virtualhome.unity.UnityHousehold",
)  # fmt: skip
"""Installed without the package's name until 0.1."""

NEW = {name: f"{PACKAGE}.{name}" for name in _UNDER_THE_PACKAGE} | {
    "data_cleaning.experiment.Bench": f"{PACKAGE}.data_cleaning.experiments.experiment.Bench",
    "data_cleaning.experiment.Clean": f"{PACKAGE}.data_cleaning.experiments.experiment.Clean",
    "data_cleaning.experiment.Cleaners": f"{PACKAGE}.data_cleaning.experiments.experiment.Cleaners",
    "data_cleaning.experiment.Discover": f"{PACKAGE}.data_cleaning.experiments.experiment.Discover",
    "data_cleaning.experiment.Senses": f"{PACKAGE}.data_cleaning.experiments.experiment.Senses",
    "data_cleaning.planted.countries": f"{PACKAGE}.data_cleaning.experiments.planted.countries",
    "data_cleaning.planted.drugs": f"{PACKAGE}.data_cleaning.experiments.planted.drugs",
    "data_cleaning.planted.ofdgen": f"{PACKAGE}.data_cleaning.experiments.planted.ofdgen",
    "envs.android.sim.SimPhone": f"{PACKAGE}.envs.android.devices.sim.SimPhone",
    "runners.online.OnlineExperiment": f"{PACKAGE}.runners.online.experiment.OnlineExperiment",
    "runners.ray_rollout.RayRollout": f"{PACKAGE}.runners.online.ray_rollout.RayRollout",
    "runners.rollout.Rollout": f"{PACKAGE}.runners.online.rollout.Rollout",
    "runners.tracking.NullTracker": f"{PACKAGE}.runners.run.tracking.NullTracker",
    "runners.tracking.WandbTracker": f"{PACKAGE}.runners.run.tracking.WandbTracker",
    "runners.trainer.Trainer": f"{PACKAGE}.runners.processes.trainer.Trainer",
}
"""By the `_target_` of an older config, the one it has today."""
_OLD = {new: old for old, new in NEW.items()}


def renamed(config: Any) -> Any:
    """A plain config with today's name in every `_target_`."""
    return _with_targets(config, NEW)


def as_first_named(config: Any) -> Any:
    """A plain config with the oldest name in every `_target_`, so that moving code leaves its hash as it was."""
    return _with_targets(config, _OLD)


def _with_targets(node: Any, names: dict[str, str]) -> Any:
    if isinstance(node, dict):
        changed = {key: _with_targets(value, names) for key, value in node.items()}
        target = node.get("_target_")
        return changed | ({"_target_": names[target]} if isinstance(target, str) and target in names else {})
    if isinstance(node, list):
        return [_with_targets(value, names) for value in node]
    return node
