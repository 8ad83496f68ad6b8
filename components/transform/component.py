"""Transform: TFX's, with the code of its module file in the cache key."""

from __future__ import annotations

from tfx import components as tfx_components
from tfx import types

from components import code_digest, user_code
from config.backbone import ImageInput


class Transform(tfx_components.Transform):
    """Writes the transform graph and no data: pixels are never written to disk."""

    def __init__(
        self,
        examples: types.BaseChannel,
        schema: types.BaseChannel,
        module_file: str,
        image_input: ImageInput,
        max_pixels: int,
    ):
        """Declares the stage.

        Args:
          examples: raw examples, as ImageExampleGen writes them.
          schema: of the examples.
          module_file: the file with `preprocessing_fn`, in a package of this project.
          image_input: how images become what the backbone takes.
          max_pixels: the graph refuses an image with more, in the served model, too.
        """
        module = user_code.import_path(module_file)
        super().__init__(
            examples=examples,
            schema=schema,
            preprocessing_fn=f"{module}.preprocessing_fn",
            custom_config={
                "image_input": image_input.serialized(),
                "max_pixels": max_pixels,
                code_digest.PARAMETER: code_digest.of(module),
            },
            materialize=False,
            disable_statistics=True,
        )
