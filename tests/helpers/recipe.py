"""Reads a Dockerfile, and runs its instructions in a folder, without Docker."""

from __future__ import annotations

import io
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import dockerfile_parse

_BASE_PATH = "/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin"


@dataclass(frozen=True)
class Copy:
    """A COPY instruction.

    Attributes:
      stage: the stage that it copies from; None: the build context.
      sources: files and folders.
      target: where it copies them to.
    """

    stage: str | None
    sources: list[str]
    target: str


@dataclass
class Stage:
    """A stage.

    Attributes:
      base: the image, or the name of the earlier stage, that it starts from.
      name: empty if it has none.
      parent: the earlier stage that it starts from; None if it starts from an image.
      instructions: kind and value, in order.
    """

    base: str
    name: str
    parent: Stage | None
    instructions: list[tuple[str, str]] = field(default_factory=list)

    def all(self, instruction: str) -> list[str]:
        """The values of all instructions of a kind."""
        return [value for kind, value in self.instructions if kind == instruction]

    @property
    def copies(self) -> list[Copy]:
        return [_copy(value) for value in self.all("COPY")]

    def variables(self, arguments: Mapping[str, str]) -> dict[str, str]:
        """The values of ARG and ENV at its end.

        Args:
          arguments: of the build.
        """
        known = self.parent.variables(arguments) if self.parent else {"PATH": _BASE_PATH}
        for kind, value in self.instructions:
            for name, text in _assignments(value) if kind in ("ARG", "ENV") else ():
                known[name] = arguments.get(name, _filled(text, known)) if kind == "ARG" else _filled(text, known)
        return known

    def environment(self) -> dict[str, str]:
        """The environment variables that its own ENV instructions set in containers."""
        known = self.variables({})
        return {name: known[name] for value in self.all("ENV") for name, _ in _assignments(value)}


def read(dockerfile: Path) -> list[Stage]:
    """The stages, in order; a global ARG is filled in where FROM names it."""
    structure = dockerfile_parse.DockerfileParser(fileobj=io.BytesIO(dockerfile.read_bytes())).structure
    defaults: dict[str, str] = {}
    stages: list[Stage] = []
    for kind, value in ((part["instruction"], part["value"]) for part in structure):
        if kind == "FROM":
            base, _, name = re.sub(r"\s+AS\s+", " ", _filled(value, defaults), flags=re.IGNORECASE).partition(" ")
            stages.append(Stage(base, name, next((stage for stage in stages if stage.name == base), None)))
        elif kind != "COMMENT" and stages:
            stages[-1].instructions.append((kind, value))
        elif kind == "ARG":
            defaults.update(_assignments(value))
    return stages


class Kitchen:
    """Runs COPY and RUN.

    Attributes:
      places: folder of the image to the folder on this machine that replaces it.
    """

    def __init__(self, context: Path, folder: Path, images_folders: list[str]) -> None:
        """It writes only to `folder`, if the instructions name no other folders of the image.

        Args:
          context: of the build.
          folder: an empty one.
          images_folders: these are replaced wherever the instructions name them.
        """
        self._context = context
        self._bin = folder / "bin"
        self._bin.mkdir()
        (self._bin / "python").symlink_to(os.path.realpath(sys.executable))  # that of the base image
        self._working = {"": folder / "root"}
        self._working[""].mkdir()
        self.places = {name: folder / name.strip("/").replace("/", "-") for name in images_folders}

    def place(self, text: str) -> str:
        """A text with folders of the image replaced."""
        names = "|".join(map(re.escape, self.places))
        return re.sub(rf"({names})\b", lambda found: str(self.places[found[1]]), text)

    def cook(self, stage: Stage, arguments: Mapping[str, str]) -> None:
        """Runs a stage.

        Raises:
          AssertionError: if a command fails; with its output.
        """
        folder = self._working[stage.parent.name if stage.parent else ""]
        for kind, value in stage.instructions:
            if kind == "WORKDIR":
                folder = Path(self.place(value))
                folder.mkdir(parents=True, exist_ok=True)
            elif kind == "COPY":
                self.copy(_copy(value), folder)
            elif kind == "RUN":
                done = self.run(value, stage.variables(arguments), folder)
                assert done.returncode == 0, f"{value}\n{done.stdout}"
        self._working[stage.name] = folder

    def copy(self, copy: Copy, folder: Path) -> None:
        """Runs a COPY in a folder."""
        for name in copy.sources:
            source = Path(self.place(name)) if copy.stage else self._context / name
            target = folder / self.place(copy.target)
            if source.is_dir():
                if source != target:
                    shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
            else:
                shutil.copy2(source, target)

    def run(self, command: str, variables: Mapping[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
        """Runs a RUN, as on a machine without a compiler; pip may use its cache."""
        inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        own = {**variables, "PATH": f"{self._bin}:{inherited['PATH']}", "CC": "/bin/false", "CXX": "/bin/false"}
        return subprocess.run(
            ["sh", "-c", self.place(re.sub(r"^(--\w+=\S+\s+)*", "", command))],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=folder,
            env={**inherited, **own},
        )


def _assignments(text: str) -> list[tuple[str, str]]:
    return [(name, value) for name, _, value in (word.partition("=") for word in shlex.split(text))]


def _filled(text: str, known: Mapping[str, str]) -> str:
    return re.sub(r"\$\{(\w+)\}", lambda found: known.get(found[1], ""), text)


def _copy(text: str) -> Copy:
    words = shlex.split(text)
    options = dict(word.removeprefix("--").split("=", 1) for word in words if word.startswith("--"))
    *sources, target = (word for word in words if not word.startswith("--"))
    return Copy(options.get("from"), sources, target)
