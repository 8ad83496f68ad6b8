"""The one node of a real cluster: its services, in namespaces of their own, with all their files in one folder.

tests/cluster/node has their commands and configurations.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml
from namespaces import Namespaces
from waiting import becomes_true

ADDRESS = "10.77.0.1"  # as in tests/cluster/manifests
BUCKET, STORE_USER, STORE_PASSWORD = "mlpipeline", "minio", "minio123"  # as in tests/cluster/manifests
NAME = "node"
_HELPERS = Path(__file__).parent
_CONFIGURATIONS = _HELPERS.with_name("cluster") / "node"
# Name and group of each client of the API server, which knows them by their tokens.
_CLIENTS = {
    "admin": ("admin", "system:masters"),
    "kube-controller-manager": ("system:kube-controller-manager", ""),
    "kube-scheduler": ("system:kube-scheduler", ""),
    "kube-proxy": ("system:kube-proxy", ""),
    "kubelet": (f"system:node:{NAME}", "system:nodes"),
}


class StartError(Exception):
    """A service ended, or doesn't answer. The message has the end of its output."""


class Node:
    """A node with the control plane, containerd, a database, an object store and ML Metadata.

    Attributes:
      folder: of all files; `logs` has the services' output.
      programs: see `cluster_programs.in_use`.
      namespaces: where the services run.
    """

    def __init__(self, folder: Path, programs: Mapping[str, Path], binds: Mapping[str, Path]) -> None:
        """Makes its namespaces; `start` starts the services.

        Args:
          folder: an empty one; it is deleted at the end.
          programs: see `cluster_programs.in_use`.
          binds: path to the folder of this machine that every container has there, read-only.
        """
        self.folder = folder
        self.programs = programs
        self.namespaces = Namespaces(folder)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._marks: dict[str, object] = {
            "FOLDER": folder,
            **{name.upper(): path for name, path in programs.items()},
            "DEBIAN": programs["debian"] / "usr",
            "PYTHON": sys.executable,
            "HELPERS": _HELPERS,
            "ADDRESS": ADDRESS,
            "NODE": NAME,
            "PODS": "10.88.0.0/16",
            "SERVICES": "10.96.0.0/16",
            "NAME_SERVER": "10.96.0.10",  # as in tests/cluster/manifests
            "CGROUP": self.namespaces.cgroup,
            "BUCKET": BUCKET,
            "STORE_USER": STORE_USER,
            "STORE_PASSWORD": STORE_PASSWORD,
        }
        self._binds = binds

    def kubectl(self, *arguments: str) -> list[str | Path]:
        """A command of an administrator."""
        kubernetes = self.programs["kubernetes"] / "kubernetes"
        return [kubernetes, "kubectl", "--kubeconfig", self.folder / "pki" / "admin.conf", *arguments]

    def ctr(self, *arguments: str | Path) -> str:
        """Runs containerd's client, in the namespace of Kubernetes' containers."""
        client = self.programs["debian"] / "usr" / "bin" / "ctr"
        socket = self.folder / "containerd.sock"
        return self.namespaces.run([client, "--address", socket, "--namespace", "k8s.io", *arguments])

    def start(self) -> None:
        """Starts the services; returns when all answer.

        Raises:
          StartError: if one doesn't.
        """
        for name in ("logs", "pki", "mariadb", "store"):
            (self.folder / name).mkdir()
        self._write_configurations()
        self._write_credentials()
        self._write_container_spec()
        for command in (
            "ip link add regraft0 type bridge",
            f"ip address add {ADDRESS}/24 dev regraft0",
            "ip link set regraft0 up",
            "ip route add default via 10.77.0.254 dev regraft0",  # nobody is there; some programs want a default route
            "sysctl -qw net.ipv4.ip_forward=1",
        ):
            self.namespaces.run(command.split())
        services = yaml.safe_load((self.folder / "files" / "services.yaml").read_text(encoding="utf-8"))
        questions = {service["name"]: service["ready"] for service in services if "ready" in service}
        for service in services:
            if (before := service.get("after")) in questions:
                self._wait(before, questions.pop(before))
            log = self.folder / "logs" / f"{service['name']}.log"
            process = self.namespaces.start(service["command"], log, self._environment)
            self._processes[service["name"]] = process
        for name, question in questions.items():
            self._wait(name, question)

    def close(self) -> None:
        """Ends everything; the folder is gone then."""
        self.namespaces.close()

    def _wait(self, service: str, question: Sequence[str]) -> None:
        """Waits until a command succeeds that asks a service."""
        said: list[str] = []

        def answers() -> bool:
            if (code := self._processes[service].poll()) is not None:
                raise StartError(f"{service} ended with {code}:\n{self._last_output(service)}")
            command = self.namespaces.command(question)
            done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **self._environment})
            said.append(done.stderr)
            return done.returncode == 0

        if not becomes_true(answers):
            raise StartError(f"{service} doesn't answer: {said[-1]}\n{self._last_output(service)}")

    def ended(self) -> str:
        """The services that have ended, with the ends of their output; empty if all run."""
        codes = {name: process.poll() for name, process in self._processes.items()}
        return "\n".join(
            f"{name} ended with {code}:\n{self._last_output(name)}" for name, code in codes.items() if code is not None
        )

    def _last_output(self, service: str) -> str:
        return (self.folder / "logs" / f"{service}.log").read_text(encoding="utf-8", errors="replace")[-3000:]

    @property
    def _environment(self) -> dict[str, str]:
        """Debian's programs, which are not installed, find each other and their libraries by it."""
        debian = self.programs["debian"] / "usr"
        libraries = debian / "lib" / "x86_64-linux-gnu"
        return {
            "PATH": f"{debian / 'sbin'}:{debian / 'bin'}:{os.environ['PATH']}",
            "LD_LIBRARY_PATH": str(libraries),
            "XTABLES_LIBDIR": str(libraries / "xtables"),
        }

    # Their files.

    def _filled(self, text: str, **more: str) -> str:
        return re.sub(r"@([A-Z_]+)@", lambda mark: str({**self._marks, **more}[mark[1]]), text)

    def _write_configurations(self) -> None:
        files = self.folder / "files"
        shutil.copytree(_CONFIGURATIONS, files, ignore=shutil.ignore_patterns("kubeconfig.yaml"))
        for file in (path for path in files.rglob("*") if path.is_file()):
            file.write_text(self._filled(file.read_text(encoding="utf-8")), encoding="utf-8")

    def _write_credentials(self) -> None:
        pki = self.folder / "pki"
        subprocess.run(["openssl", "genrsa", "-out", pki / "accounts.key", "2048"], check=True, capture_output=True)
        template = (_CONFIGURATIONS / "kubeconfig.yaml").read_text(encoding="utf-8")
        rows = []
        for client, (name, group) in _CLIENTS.items():
            token = secrets.token_hex(16)
            rows.append(f'{token},{name},{client},"{group}"' if group else f"{token},{name},{client}")
            (pki / f"{client}.conf").write_text(self._filled(template, TOKEN=token), encoding="utf-8")
        (pki / "tokens.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")

    def _write_container_spec(self) -> None:
        """Writes what runc starts a container with, before Kubernetes fills in the rest."""
        spec = json.loads(self.ctr("oci", "spec"))
        for path, folder in self._binds.items():
            options = ["rbind", "rprivate", "ro"]
            spec["mounts"].append({"destination": path, "type": "bind", "source": str(folder), "options": options})
        spec["process"]["rlimits"] = []  # a root without CAP_SYS_RESOURCE may not raise them
        (self.folder / "container.json").write_text(json.dumps(spec), encoding="utf-8")
