"""Runs that are killed, at any moment, and started again."""

import pytest

pytestmark = pytest.mark.slow

# The stage before; once its line is on the terminal, the stage to kill is under way.
KILLED_IN = {
    "ImageExampleGen": "loading TFX",
    "Transform": "ExampleValidator",
    "Trainer": "head epoch 2",
    "Evaluator": "BaselineModel",
    "Pusher": "Evaluator",
}


def test_killed_in_stage_after_stage_the_next_run_goes_on_and_completes(workspace, colours):
    """One run after another is killed a stage later; each finds what the one before had finished."""
    config = workspace.configure(colours, name="killed")
    shown = []
    for stage, sign in KILLED_IN.items():
        run = workspace.run_and_kill(config, lambda shown, sign=sign: sign in shown)
        assert run.exit_code == -9, f"{stage}: {run.output}"
        shown.append(run.output)
        assert run.summary is None
        for version in run.versions:
            assert (run.folder / "serving" / version / "saved_model.pb").stat().st_size > 0
    done = workspace.run(config)
    assert done.exit_code == 0, done.output
    assert done.versions == ["1"]
    assert done.cached["Transform"] and done.cached["Trainer"]
    after_trainer = shown[list(KILLED_IN).index("Trainer") + 1]
    assert "going on after head epoch 2 of an unfinished run" in after_trainer, "no finished epoch is run again"
    assert "head epoch 1/" not in after_trainer and "head epoch 3/" in after_trainer


def test_two_runs_of_one_pipeline_do_not_get_into_each_others_way(workspace, colours):
    config = workspace.configure(colours, name="busy")
    process, terminal = workspace.start(config)
    while "loading TFX" not in (terminal.read_text() if terminal.exists() else ""):
        assert process.is_alive()
    second = workspace.run(config)
    process.kill()
    process.join()
    assert second.exit_code == 2
    assert "another run is using" in second.output
