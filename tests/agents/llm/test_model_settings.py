from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from agentlab_runner.agents.llm.chat.settings import EndpointSettings, LocalSettings, RecordedSettings
from agentlab_runner.agents.llm.settings import AutoUISettings, ModelSettings, TinySettings

CONFIGS = sorted((Path(__file__).parents[3] / "conf" / "model").glob("*.yaml"))

KINDS = {
    kind.__name__: kind
    for kind in (ModelSettings, AutoUISettings, EndpointSettings, LocalSettings, RecordedSettings)
}


def given(node: dict) -> dict:
    """What a user must say is said."""
    return {key: "given" if value == "???" else value for key, value in node.items()}


def options(node: dict) -> dict:
    return {key: value for key, value in node.items() if not key.startswith("_") and key != "defaults"}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_config_is_valid_and_says_what_it_is(path):
    text = path.read_text()
    assert text.startswith("# ")
    node = yaml.safe_load(text)
    settings = KINDS[node["_schema_"].rpartition(".")[2]](**given(options(node)))
    if getattr(settings, "make", None):
        TinySettings(**options(settings.make))


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"name": "a/b", "dtype": "float8"},
        {"name": "a/b", "prompt_format": "json"},
        {"name": "a/b", "temperature": 0},
        {"name": "a/b", "lora": {"rank": 8}},
        {"name": "a/b", "max_new_tokens": 0},
        {"name": "a/b", "quantize": "4bit"},
        {"name": "a/b", "quantize": "2bit", "lora": {"r": 8}},
        {"name": "a/b", "lora": {"r": 8}, "prompt_format": "chat", "server": {"url": "here:8000"}},
        {"name": "a/b", "lora": {"r": 8}, "prompt_format": "raw", "server": {"url": "http://here:8000/v1"}},
        {"name": "a/b", "prompt_format": "chat", "server": {"url": "http://here:8000/v1"}},
    ],
)
def test_wrong_model_options_are_refused(wrong):
    with pytest.raises(ValidationError):
        ModelSettings(**wrong)


@pytest.mark.parametrize("wrong", [{"image_size": 100}, {"width": 97}, {"vocab_size": 10}, {"depth": 3}])
def test_wrong_tiny_options_are_refused(wrong):
    with pytest.raises(ValidationError):
        TinySettings(**wrong)


def test_settings_are_light():
    import subprocess
    import sys

    light = "sys.exit(bool({'torch', 'transformers'} & sys.modules.keys()))"
    code = f"import sys, agentlab_runner.agents.llm.settings, agentlab_runner.agents.llm.chat.settings; {light}"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
