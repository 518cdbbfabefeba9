"""The agent of docs/prompting.md, followed to the letter."""

from tests.agents.llm.chat.fault_server import FaultServer, completion, serving
from tests.recipes import blocks


def counted(body):
    """Goes towards the target, if the advice says how."""
    seen = body["messages"][-1]["content"]
    return completion(f'{{"action": "{seen.partition("Advice: ")[2][-1]}"}}')


def test_the_page_s_own_agent_plays_and_is_gone_on_with(tmp_path, cli, cli_env):
    for _, name, content in blocks("prompting.md"):
        if name:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(content)
    cli_env["OPENAI_API_KEY"] = "none"
    with serving(FaultServer(say=counted)) as server:
        model = ("model=chat", "model.name=small", f"model.base_url={server.url}", "logger=none")
        result = cli("eval", "+exp=advised_numberline", *model)
        assert result.exit_code == 0, result.stderr
        (run,) = (tmp_path / "runs").iterdir()
        assert (run / "memory" / "records.jsonl").read_text().count("\n") == 2
        asked = len(server.seen)
        assert asked >= 16
        assert "gave_up" not in result.stdout
        advice = {body["messages"][-1]["content"].rpartition("Advice: ")[2] for body in server.seen}
        assert all(one.startswith("When the current number is") for one in advice)
        replay = cli("eval", "+exp=advised_numberline", "model=recorded", f"model.folder={run}", "logger=none")
        assert replay.exit_code == 0, replay.stderr
        assert len(server.seen) == asked
