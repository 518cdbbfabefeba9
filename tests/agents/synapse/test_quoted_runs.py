"""Runs as a user makes them: a memory, a table, a kill, adapters that are trained and loaded."""

import json
import re
from pathlib import Path

import pytest
from transformers import LlamaConfig, LlamaForCausalLM

from agentlab_runner.agents.llm.tiny import train_tokenizer
from tests.agents.llm.chat.fault_server import FaultServer, completion, serving


def copies_the_last_exemplar(body):
    """The action of the exemplar that stands last, on the first element of the present page."""
    said = [message["content"] for message in body["messages"] if message["role"] == "assistant"]
    page = body["messages"][-1]["content"]
    action = re.search(r"`(\w+) ", said[-1] if said else "`CLICK ")[1]
    key = re.search(r"id=(\d+)", page)[1]
    return completion(f"Action: `{action} [{key}]`")


def made(result, folder: Path) -> Path:
    assert result.exit_code == 0, result.stderr
    line = next(line for line in result.stdout.splitlines() if line.startswith("run: "))
    return folder / line.removeprefix("run: ")


def lines(run: Path):
    kept = [json.loads(line) for line in (run / "journal.jsonl").read_text().splitlines()]
    free = ("seconds", "cost", "cached")
    return [{key: value for key, value in line.items() if key not in free} for line in kept]


def test_an_evaluation_remembers_scores_and_is_gone_on_with(cli, tmp_path):
    server = FaultServer(say=copies_the_last_exemplar)
    with serving(server):
        model = ["model=chat", f"model.base_url={server.url}", "model.name=small", "model.pause=0"]
        result = cli("eval", "+exp=synapse_mind2web", "logger=none", *model)
        run = made(result, tmp_path)
        asked = len(server.seen)
        assert asked == 38  # of 41 steps two are not ranked, and one has no positive
        assert all(body["stop"] == ["Task:", "obs:"] for body in server.seen)
        table = result.stdout.split("eval/by step\n")[1].split("\n\n")[0]
        row = next(line.split() for line in table.splitlines() if line.startswith("no_positive"))
        assert row[-2:] == ["1", "41"]
        records = (run / "memory" / "records.jsonl").read_text().splitlines()
        assert len(records) == 16
        assert {json.loads(one)["kind"] for one in records} == {"trajectory"}

        again = cli("eval", f"run={run}")
        assert again.exit_code == 0, again.stderr
        assert len(server.seen) == asked  # nothing is asked twice
        before = lines(run)
        journal = run / "journal.jsonl"
        journal.write_text("".join(journal.read_text().splitlines(keepends=True)[:3]))
        assert cli("resume", f"run={run}").exit_code == 0
        assert sorted(lines(run), key=lambda one: one["number"]) == sorted(before, key=lambda one: one["number"])
        assert len(server.seen) == asked


@pytest.mark.parametrize("overrides", [["agent.exemplars=random"], ["agent.style=plain", "agent.exemplars=none"]])
def test_other_exemplars_and_styles(cli, tmp_path, overrides):
    server = FaultServer(say=copies_the_last_exemplar)
    with serving(server):
        model = ["model=chat", f"model.base_url={server.url}", "model.name=small", "model.pause=0"]
        made(cli("eval", "+exp=synapse_mind2web", "logger=none", "eval.episodes=2", *model, *overrides), tmp_path)
    first = server.seen[0]["messages"]
    assert ("Previous actions" in first[-1]["content"]) == ("agent.style=plain" in overrides)
    assert (len(first) == 2) == ("agent.exemplars=none" in overrides)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A random model that reads long prompts."""
    path = tmp_path_factory.mktemp("model")
    words = train_tokenizer(["Task: Observation: `<html> id= button` Action: CLICK TYPE SELECT [0123456789]"] * 3, 400)
    config = LlamaConfig(
        vocab_size=len(words), eos_token_id=words.eos_token_id, pad_token_id=words.pad_token_id, bos_token_id=None,
        hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2,
        max_position_embeddings=16384,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(path)
    words.save_pretrained(path)
    return path


@pytest.mark.parametrize("style", ["trajectory", "plain"])
def test_adapters_are_trained_saved_and_evaluated(cli, tmp_path, folder, style):
    own = [f"model.name={folder}", f"agent.style={style}", "agent.imitation.steps=2", "agent.max_tokens=4"]
    own += ["agent.max_prompt_tokens=null", "warm_start.episodes=2", "eval.episodes=2", "logger=none"]
    result = cli("train", "+exp=synapse_mind2web_lora", *own)
    run = made(result, tmp_path)
    assert "no_positive" in (run / "metrics.jsonl").read_text()
    assert json.loads((run / "adapter" / "adapter_config.json").read_text())["target_modules"]
    again = cli("eval", f"run={run}", "checkpoint=last")
    assert again.exit_code == 0, again.stderr
    if style == "trajectory":  # where adapters start has nothing to do with the style
        start = cli("eval", "+exp=synapse_mind2web_lora", f"+model.lora.start={run / 'adapter'}", *own)
        assert start.exit_code == 0, start.stderr


def test_a_model_that_is_talked_to_is_not_trained(cli, tmp_path):
    with serving(FaultServer()) as server:
        model = ["model=chat", f"model.base_url={server.url}", "model.name=small"]
        result = cli("train", "+exp=synapse_mind2web_lora", "logger=none", "warm_start.episodes=1", *model)
    assert result.exit_code == 2, result.stderr
    assert "small cannot be trained to answer" in result.stderr
