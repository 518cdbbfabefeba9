"""What a config is built from is there, or the nearest name is offered."""

import pytest

from agentlab_runner.runners.config.targets import check_targets
from agentlab_runner.runners.errors import UserError

HOME = "agentlab_runner.runners.callbacks"


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        (f"{HOME}.Callbak", f"{HOME} has no 'Callbak'; did you mean {HOME}.Callback?"),
        (f"{HOME}.Callback.on_strat", f"{HOME}.Callback has no 'on_strat'; did you mean {HOME}.Callback.on_start?"),
        ("agentlab_runer.runners.x", "there is no module 'agentlab_runer'; did you mean agentlab_runner.runners.x?"),
        (HOME.replace("runners", "runner"), f"agentlab_runner has no 'runner'; did you mean {HOME}?"),
        ("mien.Stopper", "there is no module 'mien'; did you mean mine.Stopper?"),
        ("qqqqq.Thing", "there is no module 'qqqqq'; mend the name, or install or write what it names"),
        ("broken.Thing", "broken cannot be imported: ModuleNotFoundError: No module named 'no_such_library'"),
        ("torn.Thing", "torn cannot be imported: SyntaxError: '(' was never closed"),
        ("mine.LIMIT", "which is of type int; name a class or function"),
        (HOME, "which is a module; name a class or function"),
        ("Stopper", "which is no class or function; write _target_ as MODULE.NAME"),
        ("mine..Stopper", "write _target_ as MODULE.NAME"),
        (5, "write _target_ as MODULE.NAME"),
    ],
)
def test_a_target_that_is_not_there_is_one_sentence_with_the_near_name(tmp_path, monkeypatch, target, sentence):
    (tmp_path / "mine.py").write_text("class Stopper: ...\nLIMIT = 5\n")
    (tmp_path / "broken.py").write_text("import no_such_library\n")
    (tmp_path / "torn.py").write_text("x = (\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError) as told:
        check_targets({"agent": {"_target_": "collections.Counter", "parts": [1, {"_target_": target}]}})
    assert str(told.value).startswith(f"agent.parts[1] is built from {target!r}, ")
    assert sentence in str(told.value)


def test_what_is_there_is_not_told_of():
    check_targets({"a": {"_target_": "os.path.join"}, "b": [{"_target_": f"{HOME}.Callback"}], "c": None})
