"""Which device and precision a run computes with on this machine."""

from agentlab_runner.runners.errors import UserError


def decided(device: str, precision: str) -> tuple[str, str]:
    """Both with `auto` decided: a GPU where there is one, and bf16 on a GPU. torch is imported only where it is asked.

    Raises:
        UserError: if this machine does not have what is asked for.
    """
    if device != "cpu":
        from torch.cuda import is_available

        if device == "cuda" and not is_available():
            raise UserError(
                "trainer.device=cuda needs a CUDA GPU and a torch built for it, and torch sees none; use trainer=cpu"
            )
        device = ("cuda" if is_available() else "cpu") if device == "auto" else device
    precision = ("bf16" if device == "cuda" else "no") if precision == "auto" else precision
    if precision == "fp16" and device == "cpu":
        raise UserError("trainer.precision=fp16 needs a GPU; on the CPU use trainer.precision=no or bf16")
    return device, precision
