"""Tuner's module file: searches the values of a configuration with which Trainer trains best."""

from __future__ import annotations

import functools
import logging
import shutil
import time
from pathlib import Path
from typing import Any

import keras_tuner
import numpy as np
from keras_tuner.engine import base_tuner

from config import search_space
from config.classifier import ClassifierConfig
from config.errors import BadInputError
from config.tuner import TunerConfig
from modules import training_setup
from modules.training import training_state
from modules.tuning import choice, oracle, results, rungs, values
from modules.tuning.choice import Choice
from modules.tuning.folds import Folds
from modules.tuning.oracle import SuccessiveHalving
from modules.tuning.rungs import Rung
from modules.tuning.trials import TrialRunner

_log = logging.getLogger("regraft.tuner")


class TuningError(BadInputError):
    """A search is impossible with this data or configuration."""


def tuner_fn(fn_args: Any) -> Any:
    """Called by TFX Tuner, https://www.tensorflow.org/tfx/guide/tuner.

    Args:
      fn_args: as for trainer.run_fn, but `transform_graph_path` and `working_dir`; `custom_config` also has `tuner`, a
        serialized TunerConfig, `space`, the values to try by path, and `layers`, by which the trunk was cut.

    Returns:
      a TunerFnResult.

    Raises:
      BadInputError: if a split is empty or incomplete, or there are fewer than two classes.
    """
    from tfx.components.tuner.component import TunerFnResult  # takes seconds

    return TunerFnResult(tuner=Tuner(fn_args), fit_kwargs={})


class Tuner(base_tuner.BaseTuner):
    """One search. An unfinished one with the same configuration and data is continued."""

    def __init__(self, fn_args: Any):
        """Reads the activations, and draws the values of all trials.

        Args:
          fn_args: see `tuner_fn`.
        """
        custom = fn_args.custom_config
        self._config = ClassifierConfig.parse(custom["classifier"])
        tuner, space, seed = TunerConfig.parse(custom["tuner"]), custom["space"], self._config.training.seed
        setup = training_setup.begin(fn_args, self._config)
        self._classes, memory, data = setup.classes, setup.memory, setup.data
        directory, project = (
            custom["state_directory"] or fn_args.working_dir,
            f"tuner-{training_state.digest(training_state.identity(fn_args))}",
        )
        self._candidates = oracle.draw(self._config, space, tuner.trials, seed)
        self._plan: list[Rung] = []
        if data.features is None:
            _log.warning(
                "  warning: nothing is searched, because each trial would run the whole backbone: %s; the "
                "configuration is kept",
                data.manifest.reason if data.manifest else "there is no stage TrunkFeatures",
            )
            self._candidates = self._candidates[: oracle.CONFIGURED + 1]
            super().__init__(SuccessiveHalving(self._candidates, [], None), directory=directory, project_name=project)
            return
        train, evaluation = data.features
        cross_validated = evaluation.images < tuner.cross_validate_below
        folds = Folds(train, evaluation, cross_validated, seed)
        epochs = _epochs(self._config, train.images, len(self._classes))
        self._plan = rungs.plan(len(self._candidates), folds.images, epochs, cross_validated)
        remaining = max(memory - train.held - evaluation.held, memory // 4)
        assert data.manifest is not None
        self._runner = TrialRunner(self._config, self._classes, data.manifest, custom["layers"], folds, remaining)
        self._runner.check(search_space.applied(self._config, own) for own in self._candidates)
        scored = f"cross-validation over {train.images + evaluation.images} images" if cross_validated else "eval"
        _log.info(
            "  %d trials, scored by the log loss on %s; searched: %s",
            *(len(self._candidates), scored, ", ".join(path for path, allowed in space.items() if len(allowed) > 1)),
        )
        super().__init__(
            SuccessiveHalving(self._candidates, self._plan, None if tuner.minutes is None else 60 * tuner.minutes),
            directory=directory,
            project_name=project,
        )
        if self.oracle.trials:
            _log.info("  continuing after %d trainings of an unfinished search", len(self.oracle.end_order))

    def run_trial(self, trial: Any, *fit_args: Any, **fit_kwargs: Any) -> dict[str, float]:
        """Called by keras-tuner for one candidate on one rung."""
        start = time.monotonic()
        held = trial.hyperparameters.values
        config = search_space.applied(self._config, self._candidates[held[oracle.CANDIDATE]])
        losses = self._runner.losses(config, self._plan[held[oracle.RUNG]])
        np.save(self._losses_file(held[oracle.CANDIDATE], held[oracle.RUNG]), losses)
        score = float(np.mean(losses))
        seconds = time.monotonic() - start
        self._report(held[oracle.RUNG], score, seconds)
        return {oracle.OBJECTIVE: score, oracle.SECONDS: seconds}

    def _try_run_and_update_trial(self, trial: Any, *fit_args: Any, **fit_kwargs: Any) -> None:
        """As keras-tuner's, but an error ends the search, which can be continued; keras-tuner would swallow it."""
        self._run_and_update_trial(trial, *fit_args, **fit_kwargs)
        trial.status = "COMPLETED"

    def get_best_hyperparameters(self, num_trials: int = 1) -> list[keras_tuner.HyperParameters]:
        """The values of the best trial alone, without the space: Trainer trains again if they change, and only then."""
        best = keras_tuner.HyperParameters()
        best.values = values.encoded(self._candidates[self.choice.candidate])
        return [best]

    @functools.cached_property
    def choice(self) -> Choice:
        """The best trial.

        Raises:
          TuningError: if no trial has a finite loss.
        """
        if not self._plan:
            return Choice(oracle.CONFIGURED)
        try:
            return choice.choose(self.oracle, lambda *names: np.load(self._losses_file(*names)))
        except LookupError:
            raise TuningError(
                "tuner: the loss of every trial became infinite; search smaller values of the learning rates"
            ) from None

    def results(self) -> dict[str, Any]:
        """What `trials.json` holds."""
        return results.collect(self.oracle, self._candidates, self._plan, self.choice)

    def discard(self) -> None:
        """Deletes the state: the search has ended."""
        shutil.rmtree(self.project_dir, ignore_errors=True)

    def _losses_file(self, candidate: int, rung: int) -> Path:
        return Path(self.project_dir, f"losses-{candidate}-{rung}.npy")

    def _report(self, rung: int, score: float, seconds: float) -> None:
        """A line for a trial that has ended, with the time left if the others take as long, by their length."""
        ended = [*self.oracle.scores(rung).values(), score]
        visits = [step.share * step.folds for step in self._plan]
        left = sum(visits[number] * step.trials for number, step in enumerate(self._plan) if number > rung)
        left += visits[rung] * (self._plan[rung].trials - len(ended))
        _log.info(
            "  rung %d of %d, trial %d of %d: log loss %.4f in %.1f s; best %.4f; %s left",
            *(rung + 1, len(self._plan), len(ended), self._plan[rung].trials, score, seconds, min(ended)),
            f"about {seconds * left / visits[rung]:.0f} s",
        )


def _epochs(config: ClassifierConfig, images: int, classes: int) -> int:
    phases = (config.training.head, config.training.fine_tune)
    return sum(phase.epochs_for(images, classes) for phase in phases if phase)
