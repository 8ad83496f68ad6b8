"""The figures of the serving check, as the terminal has them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping


def rows(measured: Mapping[str, float]) -> Iterator[tuple[str, str]]:
    """What was measured and its value with a unit; figures that an older release did not measure are left out.

    Args:
      measured: figures by name, see components/serving_check/findings.py.
    """
    if "load_seconds" in measured:
        yield "time to load the model, with its warm-up", f"{measured['load_seconds']:.1f} s"
    if "warm_up_seconds" in measured:  # without a warm-up, the first answer is no figure of its own
        yield "of which warm-up", f"{measured['warm_up_seconds']:.1f} s"
        first = 1000 * (measured["first_answer_seconds"] - measured["load_seconds"])
        yield "first answer, after loading", f"{first:,.0f} ms"
    if "p50_ms" in measured:
        yield "one image, median (p50)", f"{measured['p50_ms']:.3g} ms"
    if "p99_ms" in measured:
        yield "one image, 99th percentile (p99)", f"{measured['p99_ms']:.3g} ms"
    if "images_per_second" in measured:
        yield "images in batches of 32", f"{measured['images_per_second']:,.0f} images/s"
    if "peak_gib" in measured:
        yield "most memory of the process", f"{measured['peak_gib']:.1f} GiB"
    if "model_mib" in measured:
        yield "files of the model", f"{measured['model_mib']:,.1f} MiB"
