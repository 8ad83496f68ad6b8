"""The section `gate.stress`: what a candidate must show on corrupted test images."""

from __future__ import annotations

from pydantic import Field

from config.section import Section, Share


class StressConfig(Section):
    """The stress test: the candidate, and the model in production, answer some test images again under eight
    corruptions, such as blur, noise and little light. `gate.stress: {}` measures, and compares with production;
    default: no stress test.
    """

    images: int = Field(160, ge=20, le=100_000)
    """How many test images are corrupted, spread over the classes as the test split is; all of them if it has fewer; 20
    to 100,000; default 160. docs/gate.md says which regression how many images detect."""
    severity: int = Field(3, ge=1, le=5)
    """How strong the corruptions are; 1 to 5, as in ImageNet-C; default 3. Weaker ones change few answers; see
    docs/benchmarks.md."""
    max_fall: Share | None = None
    """How far the accuracy under any one corruption may be below that on the same images without it; 0 to 1; default:
    no bound."""
    max_mean_fall: Share | None = None
    """The same for the average over the corruptions; 0 to 1; default: no bound."""
    max_regression: Share | None = 0.05
    """How far the accuracy under any one corruption, and on average over them, may be below that of the model in
    production on the same corrupted images, if there is one; 0 to 1; default 0.05; null: no bound."""
