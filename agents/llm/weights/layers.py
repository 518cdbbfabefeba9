"""Where the layers of a language model stand, whatever family it is of."""

from typing import Any

from torch import nn

from agentlab_runner.runners.errors import UserError


def layer_stack(model: Any) -> tuple[nn.Module, str]:
    """The module that runs the layers of a language model one after the other, and the attribute it keeps them in.

    Raises:
        UserError: if no list of modules is as long as the config says.
    """
    depth = model.config.get_text_config().num_hidden_layers
    for module in model.get_decoder().modules():
        for name, child in module.named_children():
            if isinstance(child, nn.ModuleList) and len(child) == depth:
                return module, name
    raise UserError(f"{type(model).__name__} keeps its {depth} layers in no list; set lora.last_k_layers=null")


def last_layers(model: nn.Module, count: int) -> list[str]:
    """Full names of the last `count` layers of a language model.

    Raises:
        UserError: if it has fewer.
    """
    owner, name = layer_stack(model)
    layers = getattr(owner, name)
    if count > len(layers):
        raise UserError(f"lora.last_k_layers is {count}, but the model has {len(layers)} layers; give at most that")
    wanted = {id(layer) for layer in layers[-count:]}
    return [path for path, module in model.named_modules() if id(module) in wanted]
