"""QMIX (arXiv 1803.11485): values of single agents, mixed into the team's, for teams of one fixed size.

The mixer and the loss are torchrl's. Agents do not remember (PyMARL gives each a GRU), so that steps are replayed, not
episodes.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from tensordict import TensorDict
from tensordict.nn import TensorDictModule
from torch import Tensor, nn
from torchrl.modules.models.multiagent import QMixer
from torchrl.objectives import SoftUpdate, ValueEstimators
from torchrl.objectives.multiagent import QMixerLoss

from agentlab_runner.agents.marl.heads import NEVER
from agentlab_runner.agents.marl.ppo import usable
from agentlab_runner.agents.marl.settings import QmixSettings
from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.team_batch import TeamBatch
from agentlab_runner.runners.teams import TeamChoice, TeamSpec, TeamView
from agentlab_runner.runners.types import Metrics, Trajectory

if TYPE_CHECKING:
    from agentlab_runner.runners.experiment import Trainer


class AgentValues(nn.Module):
    """Q of every action of every agent, by shared weights that are told which agent it is."""

    itself: Tensor

    def __init__(self, team: TeamSpec, hidden: int) -> None:
        super().__init__()
        self.register_buffer("itself", torch.eye(team.agents))
        self.layers = nn.Sequential(
            nn.Linear(team.observation + team.agents, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(),
            nn.Linear(hidden, team.actions),
        )  # fmt: skip

    def forward(self, observations: Tensor, present: Tensor, choice: Tensor) -> tuple[Tensor, Tensor]:
        """[B, N, D], [B, N], [B, N] -> all values [B, N, A], and those of the choices [B, N, 1]; 0 of the absent."""
        who: Tensor = self.itself.expand(*observations.shape[:-2], -1, -1)
        values = self.layers(torch.cat([observations, who], dim=-1)) * present[..., None]
        return values, values.gather(-1, choice[..., None])


class Qmix:
    """A `TeamAgent`; explores with a falling epsilon and replays what it saw. Double Q (arXiv 1509.06461).

    Args:
        team: the sizes of the environment.
        settings: those of `QmixSettings`.

    Raises:
        UserError: if actions are continuous.
    """

    def __init__(self, team: TeamSpec, **settings: Any) -> None:
        if team.continuous:
            raise UserError("QMIX chooses among actions, and these are continuous; use env.actions=discrete")
        self.team, self.settings = team, QmixSettings(**settings)
        self.values = AgentValues(team, self.settings.hidden)
        local = TensorDictModule(self.values, in_keys=[*SEEN, CHOICE], out_keys=[VALUES, CHOSEN])
        mixer = QMixer((team.state,), self.settings.mixing, team.agents, torch.device("cpu"))
        mixing = TensorDictModule(mixer, in_keys=[CHOSEN, "state"], out_keys=["chosen_action_value"])
        self.loss = QMixerLoss(local, mixing, action_space="categorical")
        self.loss.set_keys(action=CHOICE, action_value=VALUES, local_value=CHOSEN)
        self.loss.make_value_estimator(ValueEstimators.TD0, gamma=self.settings.gamma)
        self.env_steps = self.episodes = self.updated = 0
        self._chance = torch.Generator().manual_seed(torch.initial_seed())
        self._replay: TensorDict | None = None
        """[buffer_steps]."""
        self._filled = self._next = 0

    def setup(self, trainer: "Trainer") -> None:
        """
        Raises:
            UserError: if several processes learn.
        """
        if trainer.processes > 1:
            raise UserError("QMIX learns in one process; use trainer=cpu or trainer=gpu")
        trainer.prepare(self.loss)
        with warnings.catch_warnings(action="ignore"):  # that it takes over all at once, as it should
            self._target = SoftUpdate(self.loss, tau=1.0)
        self._optimizer = torch.optim.Adam(self.loss.parameters(), lr=self.settings.lr)

    @property
    def epsilon(self) -> float:
        s = self.settings
        return s.epsilon_start + (s.epsilon_end - s.epsilon_start) * min(1.0, self.env_steps / s.epsilon_steps)

    @torch.no_grad()
    def decide(self, view: TeamView, memory: Mapping[str, Tensor], deterministic: bool) -> TeamChoice:
        """
        Raises:
            UserError: if an episode begins with fewer agents than there can be.
        """
        begins = (view.step == 0) & view.present.any(dim=1)
        if bool((begins & ~view.present.all(dim=1)).any()):
            raise UserError(
                f"QMIX mixes the values of exactly {self.team.agents} agents, and a team begins with fewer; give all "
                "tasks one size, or use agent=team_ppo"
            )
        values = self._values(_seen(view))
        legal = torch.ones_like(values, dtype=torch.bool) if view.legal is None else view.legal
        greedy = values.masked_fill(~legal, NEVER).argmax(dim=-1)
        if deterministic:
            return TeamChoice(greedy)
        chance = view.uniform(self.team.actions + 1)
        anything = chance[..., 1:].masked_fill(~legal, NEVER).argmax(dim=-1)
        return TeamChoice(torch.where(chance[..., 0] < self.epsilon, anything, greedy))

    def learn(self, trajectories: Sequence[Trajectory], trainer: "Trainer") -> Metrics:
        batch, s = usable(trajectories), self.settings
        if not len(batch):
            return {}
        self._keep(batch)
        self.env_steps += len(batch.rewards)
        self.episodes += len(batch)
        losses = []
        for _ in range(s.steps):
            rows = torch.randint(self._filled, (s.batch_size,), generator=self._chance)
            losses.append(self._step(self._replay[rows.to(batch.rewards.device)], trainer))  # type: ignore[index]
        if self.episodes // s.target_every > self.updated:
            self.updated = self.episodes // s.target_every
            self._target.step()
        loss = float(torch.stack(losses).mean())
        return {"losses/value_loss": loss, "rollout/epsilon": self.epsilon, "replay/steps": float(self._filled)}

    def _step(self, sample: TensorDict, trainer: "Trainer") -> Tensor:
        following = sample["next"]
        with torch.no_grad():  # double Q: chosen by the network that learns, valued by the target's
            values = self._values(following).masked_fill(~following["agents", "legal"], NEVER)
        following[CHOICE] = values.argmax(dim=-1)
        found: list[Tensor] = []

        def losses() -> Iterator[Tensor]:
            loss = self.loss(sample)["loss"]
            found.append(loss.detach())
            yield loss

        trainer.step(self._optimizer, losses(), self.loss.parameters(), self.settings.max_grad_norm)
        return found[0]

    def _values(self, seen: TensorDict) -> Tensor:
        """[B, N, A]."""
        told = seen.select(*SEEN).set(CHOICE, torch.zeros_like(seen["agents", "present"], dtype=torch.int64))
        with self.loss.local_value_network_params.to_module(self.loss.local_value_network):
            self.loss.local_value_network(told)
        values: Tensor = told[VALUES]
        return values

    # -- replay and state ---------------------------------------------------------------------------------------------

    def _keep(self, batch: TeamBatch) -> None:
        """Put the newest steps in, over the oldest."""
        steps = _steps(batch, self.team.actions)[-self.settings.buffer_steps :]
        capacity = self.settings.buffer_steps
        if self._replay is None:
            self._replay = steps[:1].apply(lambda one: one.new_zeros(capacity, *one.shape[1:]), batch_size=[capacity])
        assert self._replay is not None
        rows = (torch.arange(len(steps)) + self._next) % capacity
        self._replay[rows.to(batch.rewards.device)] = steps
        self._next = int(rows[-1] + 1) % capacity
        self._filled = min(self._filled + len(steps), capacity)

    def state_dict(self) -> Mapping[str, Any]:
        kept = None if self._replay is None else self._replay[: self._filled].flatten_keys("/").to_dict()
        counts = (self.env_steps, self.episodes, self.updated, self._next)
        return {
            "loss": {name: value.clone() for name, value in self.loss.state_dict().items() if torch.is_tensor(value)},
            "optimizer": self._optimizer.state_dict(),
            "chance": self._chance.get_state(),
            "counts": list(counts),
            "replay": kept,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.load_weights(state)
        self._optimizer.load_state_dict(state["optimizer"])
        self._chance.set_state(state["chance"].cpu())
        self.env_steps, self.episodes, self.updated, self._next = state["counts"]
        if state["replay"] is not None:
            steps = TensorDict(state["replay"], [len(state["replay"]["next/reward"])]).unflatten_keys("/")
            capacity = self.settings.buffer_steps
            self._replay = steps[:1].apply(lambda one: one.new_zeros(capacity, *one.shape[1:]), batch_size=[capacity])
            self._replay[: len(steps)] = steps
            self._filled = len(steps)

    def load_weights(self, state: Mapping[str, Any]) -> None:
        """As `TransferableAgent`."""
        self.loss.load_state_dict({**self.loss.state_dict(), **state["loss"]})


AGENTS = "agents"
SEEN = ((AGENTS, "observation"), (AGENTS, "present"))
CHOICE, VALUES, CHOSEN = (AGENTS, "choice"), (AGENTS, "action_value"), (AGENTS, "chosen_action_value")


def _seen(view: TeamView) -> TensorDict:
    return TensorDict({SEEN[0]: view.observations, SEEN[1]: view.present}, [len(view.observations)])


def _steps(batch: TeamBatch, actions: int) -> TensorDict:
    """[S], each step with what came after it; what all were given is one reward, the mean over the team."""
    ends = batch.lengths.cumsum(0) - 1
    final = batch.final

    def following(values: Tensor, last: Tensor) -> Tensor:
        return values.roll(-1, 0).index_copy(0, ends, last)

    def legal(given: Tensor | None, present: Tensor) -> Tensor:
        return present[..., None].expand(-1, -1, actions) if given is None else given

    ended = torch.zeros_like(batch.present[:, :1]).index_fill(0, ends, True)
    now, after = legal(batch.legal, batch.present), legal(final.legal, final.present)
    return TensorDict(
        {
            SEEN[0]: batch.observations,
            SEEN[1]: batch.present,
            CHOICE: batch.actions,
            "state": batch.state,
            ("next", *SEEN[0]): following(batch.observations, final.observations),
            ("next", *SEEN[1]): following(batch.present, final.present),
            ("next", AGENTS, "legal"): following(now, after),
            ("next", "state"): following(batch.state, final.state),
            ("next", "reward"): batch.rewards.mean(dim=1, keepdim=True),
            ("next", "terminated"): ended & batch.terminated.any(dim=1, keepdim=True),
            ("next", "done"): ended,
        },
        [len(batch.rewards)],
    )
