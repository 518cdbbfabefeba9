"""Whatever `conf/model` builds, as something to talk to."""

from pathlib import Path
from typing import Any, cast

from agentlab_runner.agents.llm.chat.kept import Kept
from agentlab_runner.agents.llm.chat.types import ChatModel
from agentlab_runner.runners.errors import UserError


def as_chat(model: Any) -> ChatModel:
    """A chat model as it is, a `LanguagePolicy` in an adapter; its calls kept where `model.record` says so.

    Raises:
        UserError: if it is neither, or a model that is not talked to.
    """
    if model is None:
        raise UserError("an agent that prompts needs a model; add model=smollm2_chat, which needs no server")
    if hasattr(model, "reply"):
        chat = cast(ChatModel, model)
    else:
        from agentlab_runner.agents.llm.chat.local import LocalChat

        chat = LocalChat(model)
    folder = getattr(chat, "record", None)
    return Kept(chat, Path(folder).expanduser(), ledger=False) if folder else chat
