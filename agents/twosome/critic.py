"""V(s) from the frozen language model's last hidden state, with the released parameter names."""

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from agentlab_runner.runners.errors import UserError

FILE = "critic.safetensors"


class Critic(nn.Module):
    """hidden -> w1 -> ReLU -> w2 -> ReLU -> 1, all without bias, in float32."""

    def __init__(self, hidden: int, widths: Sequence[int]) -> None:
        super().__init__()
        first, second = widths
        self.v_head_mlp1 = nn.Linear(hidden, first, bias=False)
        self.v_head_mlp2 = nn.Linear(first, second, bias=False)
        self.v_head_mlp3 = nn.Linear(second, 1, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """features [N, hidden] -> values [N]."""
        inner = torch.relu(self.v_head_mlp2(torch.relu(self.v_head_mlp1(features))))
        values: Tensor = self.v_head_mlp3(inner).squeeze(-1)
        return values

    def save(self, folder: Path) -> None:
        save_file(self.state_dict(), folder / FILE)

    def load(self, folder: Path) -> None:
        """Take over `critic.safetensors` of a folder.

        Raises:
            UserError: if its layers have other sizes.
        """
        saved, own = load_file(folder / FILE), self.state_dict()
        if {name: value.shape for name, value in saved.items()} != {name: value.shape for name, value in own.items()}:
            sizes = [list(value.shape) for value in saved.values()]
            raise UserError(
                f"the critic in {folder} has layers {sizes} and this agent's {[list(v.shape) for v in own.values()]}; "
                "set agent.critic_widths to its widths, and the model to the one it was trained on"
            )
        self.load_state_dict(saved)
