"""What a step of a Beam pipeline says of a whole bundle, once the bundle is done.

It takes the place of steps of their own that count or collect what other steps let pass.
"""

from __future__ import annotations

from typing import Any

import apache_beam as beam
from apache_beam.transforms.window import GlobalWindows


def output(tag: str, value: Any) -> beam.pvalue.TaggedOutput:
    """An output of `finish_bundle`, where Beam asks for the window, too."""
    return beam.pvalue.TaggedOutput(tag, GlobalWindows.windowed_value(value))
