"""The sections `serving_check` and `push`: what a candidate must show as a served model, and where it goes."""

from __future__ import annotations

import os
from pathlib import Path

import pydantic
from pydantic import Field

from config.errors import BadInputError
from config.section import LocalPath, Section, is_uri, may_look, refuse_pattern


class ServingCheckConfig(Section):
    """What a candidate must show when a new process without this project's code serves it, as TF Serving would.

    The process loads the model into a session, sends the model's warm-up requests, and asks about up to 32 images of
    eval through every signature but `explain`.
    """

    tolerance: float = Field(1e-3, gt=0, le=0.1)
    """How far a served probability may differ from what the model in Trainer's memory answered; above 0 to 0.1;
    default 0.001, for rounding."""
    max_load_seconds: float | None = Field(None, gt=0, allow_inf_nan=False)
    """Longest time to load the model and to answer its warm-up requests: until then, TF Serving does not say that the
    version is available; seconds, above 0; default: no bound."""
    max_first_answer_seconds: float | None = Field(None, gt=0, allow_inf_nan=False)
    """Longest time from the start of loading until the first image after the warm-up is answered; seconds, above 0;
    default: no bound."""
    max_p50_ms: float | None = Field(None, gt=0, allow_inf_nan=False)
    """Longest median time to answer one image on this machine; milliseconds, above 0; default: no bound."""
    max_p99_ms: float | None = Field(None, gt=0, allow_inf_nan=False)
    """The same for 99 of 100 requests; milliseconds, above 0; default: no bound."""
    min_images_per_second: float | None = Field(None, gt=0, allow_inf_nan=False)
    """Fewest images per second in batches of 32; above 0; default: no bound."""
    max_peak_gib: float | None = Field(8.0, gt=0, allow_inf_nan=False)
    """Maximum memory of the serving process; GiB, above 0; default 8; null: no bound."""
    max_model_mib: float | None = Field(None, gt=0, allow_inf_nan=False)
    """Maximum size of all files of the SavedModel together; MiB, above 0; default: no bound."""
    tf_serving: str | None = Field(None, min_length=1)
    """Tag of the Docker image `tensorflow/serving`, such as 2.19.0: TFX's InfraValidator also serves the candidate in
    it, and asks it about 8 images of eval. Needs Docker. Default: none."""

    def bounds(self) -> dict[str, float]:
        """The bounds that are set: `max_` or `min_` and a figure's name to the bound."""
        fields = (name for name in type(self).model_fields if name.startswith(("max_", "min_")))
        return {name: value for name in fields if (value := getattr(self, name)) is not None}


def check_is_local(directory: str) -> None:
    """Checks that a push directory is on a file system of this machine, where a rename is atomic.

    Raises:
      BadInputError: if it is a URI.
    """
    if is_uri(directory):
        raise BadInputError(
            f"{directory}: pushed versions are kept in folders of this machine; mount the bucket, or push to a local "
            "folder and copy its versions"
        )


class PushConfig(Section):
    """Where a blessed model goes."""

    directory: LocalPath | None = None
    """Folder that gets one numbered subfolder per version, as TF Serving reads it; relative to the configuration file.
    Default: `serving` in the run's own folder."""
    keep: int | None = Field(None, ge=2)
    """How many versions stay there, the newest ones; 2 or more, so that a rollback is possible; default: all."""

    warm_up: bool = True
    """Whether a pushed version has `assets.extra/tf_serving_warmup_requests`, with which TF Serving makes the first
    requests of clients as quick as the later ones. They hold an image of eval, reduced to `backbone.image_size`. The
    value applies to versions that are pushed from then on. Default true."""

    @pydantic.field_validator("directory")
    @classmethod
    def _is_writable(cls, directory: str | None, info: pydantic.ValidationInfo) -> str | None:
        if directory is not None:
            check_is_local(directory)
        if directory is not None and may_look(info):
            refuse_pattern(directory)
            existing = next(path for path in (Path(directory), *Path(directory).parents) if path.exists())
            if not (existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)):
                raise ValueError(f"not writable: {existing}; a folder that can be written to is expected")
        return directory
