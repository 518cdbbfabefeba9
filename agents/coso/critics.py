"""DigiRL's two critics (arXiv 2406.11896, section 4) on frozen features: of a step, and of an instruction."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class StepCritic(nn.Module):
    """V1 and V2 of a state: two MLP heads on its text feature ⊕ image features of the current one."""

    def __init__(self, text_size: int, image_size: int, width: int = 768) -> None:
        super().__init__()
        self.heads = nn.ModuleList(_mlp(text_size + 2 * image_size, width, hidden=2) for _ in range(2))

    def forward(self, features: Tensor) -> Tensor:
        """features [N, text + 2 x image] float -> logits [2, N, 2] of failure and success under each head."""
        return torch.stack([head(features) for head in self.heads])

    @torch.no_grad()
    def value(self, features: Tensor) -> Tensor:
        """min(V1, V2), a probability of success: [N, text + 2 x image] -> [N]."""
        return self.forward(features).softmax(dim=-1)[..., 1].amin(dim=0)

    def loss(self, features: Tensor, next_features: Tensor, mc_return: Tensor) -> tuple[Tensor, Tensor]:
        """Cross-entropy of both heads to 1[mc_return > 0], at s and with the same target at s': the sum of the four.

        Returns:
            The loss, and the share of states s that both heads together classify right (scalars).
        """
        target = (mc_return > 0).long()
        here, there = self(features), self(next_features)
        losses = [F.cross_entropy(logits, target) for logits in (*here, *there)]
        right = (here.softmax(dim=-1)[..., 1].amin(dim=0) > 0.5) == (target == 1)
        return torch.stack(losses).sum(), right.float().mean()


class InstructionCritic(nn.Module):
    """V of an instruction: its text feature -> will an episode with it succeed?"""

    def __init__(self, text_size: int, width: int = 768) -> None:
        super().__init__()
        self.head = _mlp(text_size, width, hidden=1)

    def forward(self, text: Tensor) -> Tensor:
        """[N, text] float -> logits [N, 2] of failure and success."""
        logits: Tensor = self.head(text)
        return logits

    @torch.no_grad()
    def value(self, text: Tensor) -> Tensor:
        """Probability of success: [N, text] -> [N]."""
        return self.forward(text).softmax(dim=-1)[:, 1]

    def loss(self, text: Tensor, final_return: Tensor) -> tuple[Tensor, Tensor]:
        """Cross-entropy to 1[return of the last step > 0], and the share classified right (scalars)."""
        target, logits = (final_return > 0).long(), self(text)
        return F.cross_entropy(logits, target), (logits.argmax(dim=-1) == target).float().mean()


def stacked(text: Tensor, image: Tensor) -> tuple[Tensor, Tensor]:
    """Features of an episode's states and of the states that followed them.

    Args:
        text: [T + 1, Dt], image: [T + 1, Di] float, of the T observations decided on and the final one.

    Returns:
        s [T, Dt + 2 Di] with the previous and the current screen (the first step repeats its own), and s' of the same
        shape with the current and the next.
    """
    previous = torch.cat([image[:1], image[:-1]])
    states = torch.cat([text, previous, image], dim=1)
    return states[:-1], states[1:]


def _mlp(size: int, width: int, hidden: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(hidden):
        layers += [nn.Linear(size, width), nn.ReLU()]
        size = width
    return nn.Sequential(*layers, nn.Linear(size, 2))
