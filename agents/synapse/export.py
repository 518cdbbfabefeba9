"""Episodes in the layout of the released results, for whoever has programs that read those."""

import json
from collections.abc import Sequence
from pathlib import Path

from agentlab_runner.agents.synapse.settings import SynapseSettings
from agentlab_runner.runners.files.atomic import write_atomic
from agentlab_runner.runners.types import Call, Trajectory


class Exported:
    """FOLDER/TASK/[no_filt_][no_mem_]seed_N[_TASK OF THE EXEMPLARS, if another]_success.json (or fail).

    A file is a list of `{"input", "output", "token_stats"}`, one for each answer.
    """

    def __init__(self, folder: Path, settings: SynapseSettings) -> None:
        self._folder = folder
        self._begins = ("no_filt_" if settings.abstraction == "none" else "") + (
            "no_mem_" if settings.exemplars == "task" else ""
        )

    def write(self, trajectory: Trajectory, calls: Sequence[Call], exemplars_of: str | None) -> None:
        """One episode; the seed is the page's, where the environment says which."""
        seed = trajectory.restart.get("page_seed", trajectory.seed)
        other = f"_{_bare(exemplars_of)}" if exemplars_of and exemplars_of != trajectory.task else ""
        end = "success" if trajectory.success else "fail"
        file = self._folder / _bare(trajectory.task) / f"{self._begins}seed_{seed}{other}_{end}.json"
        said = [
            {
                "input": [
                    {"role": one["role"], "content": "".join(map(str, one["parts"]))} for one in call["messages"]
                ],
                "output": call["reply"],
                "token_stats": {
                    "prompt_tokens": call["tokens_in"],
                    "completion_tokens": call["tokens_out"],
                    "total_tokens": call["tokens_in"] + call["tokens_out"],
                },
            }
            for call in calls
        ]
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(file, json.dumps(said, indent=1, ensure_ascii=False))


def _bare(name: str) -> str:
    """A name that stays within its folder, whatever a store calls its tasks."""
    return "".join(one if one.isalnum() or one in "-_." else "_" for one in name).lstrip(".")[:100] or "task"
