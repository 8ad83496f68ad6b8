"""Tests that run apart from the others, since they take minutes and depend on few files.

They are those of `make test-image`, `test-pods` and `test-beam`. tests/passed.json says with which files each passed
last. `make test-changed`, which CI runs, repeats a tier only if its files are others. Whoever changes such a file runs
the tier, and commits the record with the change.

    python tests/helpers/tiers.py changed       prints the tiers whose files have changed since they passed
    python tests/helpers/tiers.py passed image  records that a tier passes with the files as they are
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from components import code_digest

ROOT = Path(__file__).parents[2]
PASSED = ROOT / "tests" / "passed.json"


@dataclass(frozen=True)
class Tier:
    """What a tier proves, and other tests do not: a change of these files asks for another run.

    Attributes:
      files: patterns, relative to the project's folder.
      modules: import paths; all that they import inside the project counts.
    """

    files: tuple[str, ...]
    modules: tuple[str, ...] = ()


TIERS = {
    "image": Tier(
        files=(
            ".dockerignore",
            "kubeflow/*.lock",
            "kubeflow/Dockerfile",
            "pyproject.toml",
            "setup.py",
            "tests/helpers/recipe.py",
            "tests/kubeflow/test_image.py",
        )
    ),
    "pods": Tier(
        files=(
            "components/**/*.py",
            "config/kubeflow.py",
            "config/pods.py",
            "data/traffic_lights.yaml",
            "kubeflow/*.py",
            "pipeline/*.py",
            "requirements.lock",
            "tests/helpers/emulated_cluster.py",
            "tests/helpers/fork_server.py",
            "tests/helpers/packages.py",
            "tests/helpers/pod*",
            "tests/helpers/warm_pod.py",
            "tests/kubeflow/backend/*",
            "tests/kubeflow/test_backend.py",
            "tests/kubeflow/test_runs.py",
        )
    ),
    "beam": Tier(
        files=(
            "requirements.lock",
            "tests/beam/*",
            "tests/end_to_end/test_beam_clusters.py",
            "tests/end_to_end/test_worker_errors.py",
            "tests/helpers/beam_services.py",
            "tests/helpers/emulated_cluster.py",
            "tests/helpers/failing.py",
            "tests/helpers/flink_cluster.py",
            "tests/helpers/ingesting.py",
            "tests/helpers/pod*",
            "tests/helpers/warm_pod.py",
            "tests/helpers/spark_server.py",
        ),
        modules=("components.image_example_gen.executor", "kubeflow.entrypoint"),
    ),
}


def digest(tier: Tier) -> str:
    """SHA-256 of the files that a tier depends on, hexadecimal."""
    found = hashlib.sha256()
    for path in _files(tier):
        found.update(f"{path.relative_to(ROOT)}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\0".encode())
    if tier.modules:
        found.update(code_digest.of(*tier.modules).encode())
    return found.hexdigest()


def _files(tier: Tier) -> Iterator[Path]:
    for pattern in tier.files:
        matching = sorted(path for path in ROOT.glob(pattern) if path.is_file())
        if not matching:
            raise FileNotFoundError(f"{pattern}: no file of the project matches")
        yield from matching


def changed() -> list[str]:
    """The tiers whose files are not those that they passed with."""
    passed = json.loads(PASSED.read_text(encoding="utf-8"))
    return [name for name, tier in TIERS.items() if passed.get(name) != digest(tier)]


def record(name: str) -> None:
    """Writes that a tier passes."""
    passed = {**json.loads(PASSED.read_text(encoding="utf-8")), name: digest(TIERS[name])}
    PASSED.write_text(json.dumps(dict(sorted(passed.items())), indent=2) + "\n", encoding="utf-8")


def main(arguments: Sequence[str]) -> None:
    """Runs one of the commands above."""
    match arguments:
        case ["changed"]:
            print("\n".join(changed()))
        case ["passed", name] if name in TIERS:
            record(name)
        case _:
            raise SystemExit(f"usage: tiers.py changed, or tiers.py passed {' | '.join(TIERS)}")


if __name__ == "__main__":
    main(sys.argv[1:])
