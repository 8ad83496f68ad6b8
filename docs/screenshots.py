"""Takes the README's screenshots of the demo's report; `make screenshots` runs it. It needs Chromium."""

from __future__ import annotations

import io
import sys
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "helpers"))
import browser  # noqa: E402  a helper of the tests

REPORT = ROOT / "workspace" / "traffic-lights" / "report.html"
WIDTH = 1000  # pixels
PLACES = {"verdict": ("top", 1000), "mistakes": ("mistakes", 1000)}  # file: id of what is at its top, height in pixels
MOST_BYTES = 150_000


def main(report: Path) -> None:
    """Writes docs/images/report-*.webp."""
    if not report.is_file():
        sys.exit(f"{report}: no such report; run `make run` first")
    if browser.program() is None:
        sys.exit("Chromium is missing; on Debian and Ubuntu: apt install chromium")
    folder = ROOT / "docs" / "images"
    folder.mkdir(exist_ok=True)
    with browser.opened() as page:
        for name, (place, height) in PLACES.items():
            page.open(report, WIDTH, height)
            page.evaluate(f"document.getElementById({place!r}).scrollIntoView({{behavior: 'instant'}})")
            file = folder / f"report-{name}.webp"
            file.write_bytes(compressed(page.screenshot(whole=False)))
            print(f"{file.relative_to(ROOT)}: {file.stat().st_size / 1000:.0f} kB")


def compressed(png: bytes) -> bytes:
    """The same picture as WebP, which is small enough for the repository."""
    content = io.BytesIO()
    with Image.open(io.BytesIO(png)) as picture:
        picture.convert("RGB").save(content, "WEBP", quality=85, method=6)
    if content.tell() > MOST_BYTES:
        raise ValueError(f"a screenshot has {content.tell()} bytes, more than {MOST_BYTES}")
    return content.getvalue()


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else REPORT)
