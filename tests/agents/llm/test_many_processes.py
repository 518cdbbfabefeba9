"""A language policy in two processes over gloo, held against one process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from agentlab_runner.agents.llm.imitation import fit
from agentlab_runner.agents.llm.policy import LanguagePolicy
from agentlab_runner.runners.processes.trainer import Trainer
from tests.agents.llm.conftest import action, screens

ROOT = Path(__file__).parents[3]
LORA = {"r": 2, "targets": ["q_proj", "v_proj"]}


def study(folder: str, trainer: Trainer) -> dict:
    """What a learner does with a policy, with different numbers of rows for the processes."""
    torch.manual_seed(0)
    policy = LanguagePolicy.from_pretrained(folder, max_new_tokens=6, lora=LORA)
    with torch.no_grad():
        for parameter in policy.trainable_parameters():
            parameter.normal_(std=0.1)
    trainer.prepare(policy)
    policy.freeze_features()
    seen = screens(7)
    samples = list(zip(seen, [action("DUAL_POINT", 0.1 * i, 0.5) for i in range(7)], strict=True))
    result = fit(policy, samples, trainer, steps=4, batch_size=7, micro_batch=3, validation=samples[:3])
    said = policy.generate(seen[:3], deterministic=True)
    with trainer.apart() as (rank, _):
        alone = policy.generate(seen[rank : rank + 1 + rank], deterministic=True)  # a different number in each
        assert alone[0].token_ids == policy.generate(seen[rank : rank + 1], deterministic=True)[0].token_ids
    with torch.no_grad():
        scores = policy(seen[:1], [said[0].token_ids])  # fewer rows than processes
    state = trainer.whole(policy.state_dict())
    fresh = LanguagePolicy.from_pretrained(folder, max_new_tokens=6, lora=LORA)
    fresh.load_state_dict(state)
    policy.load_state_dict(state)  # back into what is split
    return {
        "metrics": result,
        "ids": [list(one.token_ids) for one in said],
        "states": torch.stack([one.state for one in said]),
        "scores": scores.logits,
        "features": list(policy.features(seen[:2])),
        "saved": {name: value.clone() for name, value in state.items()},
        "fresh": fresh.score(seen[:1], [said[0].token_ids]).logits.detach(),
        "draw": torch.rand(2),
    }


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_two_processes_learn_what_one_does(tiny_folder, strategy, tmp_path):
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    env = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    subprocess.run([*launcher, __file__, strategy, str(tiny_folder), str(tmp_path)], env=env, check=True)
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in range(2))
    alone = study(str(tiny_folder), Trainer())
    assert_close(first, second, rtol=0, atol=0)
    del first["draw"], alone["draw"]  # common to both, but not what one process draws
    assert_close(first, alone, rtol=1e-5, atol=1e-5)


if __name__ == "__main__":
    trainer = Trainer(strategy=sys.argv[1])
    torch.save(study(sys.argv[2], trainer), f"{sys.argv[3]}/{trainer.rank}.pt")
    torch.distributed.destroy_process_group()
