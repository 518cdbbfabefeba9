"""Networks of teams: a student that talks by attention, for any number of agents, and multilayer perceptrons.

B counts teams, N agents, D numbers that one sees, A those that its policy gives. What an absent agent is given is 0,
and it changes nothing of what the others are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

NEVER = -1e9
"""Score of one who is not heeded; finite, so that rows without anybody stay so."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a network says of a moment."""

    policy: Tensor
    """[B, N, A]: scores of the actions, or the means of continuous ones."""
    values: Tensor | None
    """[B, N]; None where a critic of its own says them, or nobody asked."""
    attention: Tensor | None = None
    """[B, N, N], how much row heeds column; the mean over heads, rows sum to 1. None where values are wanted."""


class Imitator(nn.Module):
    """Ground of policies: a GRU beside each that predicts what it does, and whose hidden state represents it.

    x_t = relu(fc1(o_t)), h_t = GRU(x_t, h_(t-1)), and fc2(h_t) says what is done (arXiv 2302.03429 as released).

    Args:
        context: numbers of h; 0: there is no such GRU.
    """

    def __init__(self, observation: int, actions: int, context: int) -> None:
        super().__init__()
        self.context = context
        if context:
            self.fc1 = nn.Linear(observation, context)
            self.context_decoder = nn.GRUCell(context, context)
            self.fc2 = nn.Linear(context, actions)

    def forward(self, observations: Tensor, present: Tensor, critic: bool = True) -> Said:
        """
        Args:
            observations: [B, N, D].
            present: [B, N] bool.
            critic: whether values are wanted.
        """
        raise NotImplementedError

    def hidden(self, observations: Tensor) -> Tensor:
        """h of whole episodes, [E, T, N, D] -> [E, T, N, context]; each agent of each episode begins at 0."""
        episodes, steps, team, _ = observations.shape
        cell = self.context_decoder
        x = torch.relu(self.fc1(observations)).transpose(1, 2).reshape(episodes * team, steps, -1)
        weights = [cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh]
        start = x.new_zeros(1, len(x), self.context)
        states, _ = torch.gru(x, start, weights, True, 1, 0.0, self.training, False, True)
        return states.view(episodes, team, steps, -1).transpose(1, 2)


class Student(Imitator):
    """Agents that tell each other what they see by attention, each its own actor and critic on all of it.

    m_j = f(o_j); score_ij = q_i . k_j / sqrt(head_dim) over the other agents j; i hears sum_j softmax_j(score_ij) v_j;
    actor and critic see both. One who is alone hears itself. Equivariant to the order of agents. Its weights are named
    as in the released code (arXiv 2302.03429; there 256 hidden, 8 heads x 64).

    Args:
        own_critic: False: a critic apart says the values.
    """

    def __init__(
        self, observation: int, actions: int, hidden: int, heads: int, head_dim: int, own_critic: bool, context: int
    ) -> None:
        super().__init__(observation, actions, context)
        self.heads, self.head_dim = heads, head_dim
        heard = heads * head_dim
        self.obs_encoder = nn.Sequential(
            nn.Linear(observation, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU()
        )
        self.qkv_layer = nn.Linear(hidden, 3 * heard)
        self.action_decoder = _decoder(hidden + heard, hidden, actions)
        self.value_decoder = _decoder(hidden + heard, hidden, 1) if own_critic else None

    def forward(self, observations: Tensor, present: Tensor, critic: bool = True) -> Said:
        seen = self.obs_encoder(observations)  # [B, N, hidden]
        parts = self.qkv_layer(seen).unflatten(-1, (3, self.heads, self.head_dim))
        query, key, value = parts.permute(2, 0, 3, 1, 4)  # [B, heads, N, head_dim] each
        may, weights = heeded(present)[:, None], None
        if critic:  # in learning, where nobody asks who heeds whom
            heard = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=may)
        else:
            scores = query @ key.transpose(2, 3) * self.head_dim**-0.5
            weights = scores.masked_fill(~may, NEVER).softmax(dim=-1)
            heard = weights @ value
        known, here = torch.cat([seen, heard.transpose(1, 2).flatten(2)], dim=-1), present[..., None]
        policy = self.action_decoder(known) * here
        values = self.value_decoder(known)[..., 0] * present if critic and self.value_decoder is not None else None
        return Said(policy, values, None if weights is None else weights.mean(dim=1).detach() * here)


class SharedMlp(Imitator):
    """Agents that act on what each sees alone, all by the same weights (IPPO, arXiv 2011.09533)."""

    def __init__(self, observation: int, actions: int, hidden: int, own_critic: bool, context: int) -> None:
        super().__init__(observation, actions, context)
        self.actor = _mlp([observation, hidden, hidden, actions], gain=0.01)
        self.critic = _mlp([observation, hidden, hidden, 1], gain=1.0) if own_critic else None

    def forward(self, observations: Tensor, present: Tensor, critic: bool = True) -> Said:
        values = self.critic(observations)[..., 0] * present if critic and self.critic is not None else None
        return Said(self.actor(observations) * present[..., None], values)


class CentralCritic(nn.Module):
    """A critic that knows the environment's whole state beside what the agent sees (MAPPO, arXiv 2103.01955)."""

    def __init__(self, observation: int, state: int, hidden: int) -> None:
        super().__init__()
        self.layers = _mlp([state + observation, hidden, hidden, 1], gain=1.0)

    def forward(self, observations: Tensor, present: Tensor, state: Tensor) -> Tensor:
        """observations [B, N, D], present [B, N], state [B, Z] -> values [B, N]."""
        whole = state[:, None].expand(-1, observations.shape[1], -1)
        values: Tensor = self.layers(torch.cat([whole, observations], dim=-1))[..., 0] * present
        return values


def heeded(present: Tensor) -> Tensor:
    """[B, N] -> [B, N, N] bool: whom each listens to, the others that are present; where there are none, itself."""
    itself = torch.eye(present.shape[1], dtype=torch.bool, device=present.device)
    others = present[:, None] & ~itself
    return others | (itself & ~others.any(dim=2, keepdim=True))


def _decoder(size: int, hidden: int, out: int) -> nn.Sequential:
    last = nn.Linear(hidden, out)
    nn.init.kaiming_uniform_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(size, hidden), nn.ReLU(), last)


def _mlp(sizes: Sequence[int], gain: float) -> nn.Sequential:
    """Tanh between the layers, which begin orthogonal, the last one scaled by `gain` (arXiv 2005.12729)."""
    layers: list[nn.Module] = []
    for number, (before, after) in enumerate(pairwise(sizes)):
        layer = nn.Linear(before, after)
        nn.init.orthogonal_(layer.weight, gain if number == len(sizes) - 2 else 2**0.5)
        nn.init.zeros_(layer.bias)
        layers += [layer, nn.Tanh()]
    return nn.Sequential(*layers[:-1])
