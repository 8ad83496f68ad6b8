"""A real Kubernetes with a real Kubeflow Pipelines 2.0.5, on this machine, seen by nobody else.

Real are Kubernetes' control plane, scheduler and kubelet, containerd and runc, Argo, and the API server, driver,
launcher, persistence agent and schedule controller of Kubeflow Pipelines, as pods of its own manifests. So are MariaDB
and the C++ code of ML Metadata. One file of Argo is repaired, see `cluster_programs`. The object store is SeaweedFS in
place of MinIO. There is one node, whose GPUs are only a number. The image of the stages is a skeleton: its system,
packages and code are those of this machine.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import cluster_programs
import container_images
import namespaces
import pod
from cluster_node import Node, StartError
from container_images import Image

KUBEFLOW = "kubeflow"
_MANIFESTS = Path(__file__).parents[1] / "cluster" / "manifests"
_DEPLOYMENTS = ("ml-pipeline", "ml-pipeline-persistenceagent", "ml-pipeline-scheduledworkflow", "workflow-controller")
_VIRTUAL_ENVIRONMENT, _CODE = "/opt/venv", "/opt/code"
# Path in every container to the folder of this machine that is there.
_BINDS = {
    "/usr": Path("/usr"),
    _VIRTUAL_ENVIRONMENT: Path(sys.prefix),
    sys.base_prefix: Path(sys.base_prefix),
    _CODE: pod.CODE,
}


def why_not() -> str:
    """Why this machine can have no cluster now; empty if it can."""
    return namespaces.why_not() or cluster_programs.why_not()


class RealCluster:
    """A running cluster.

    Attributes:
      kfp_url: the address of Kubeflow Pipelines' API server.
      volume: the folder of the claim `regraft-data`.
    """

    def __init__(self, folder: Path, stage_image: str) -> None:
        """Starts a cluster.

        Args:
          folder: an empty one; it is deleted at the end.
          stage_image: the name that the packages have for the image of all stages.

        Raises:
          StartError: if it doesn't come up. Nothing is left then.
          MissingError: if its programs are not built.
        """
        with contextlib.ExitStack() as stack:
            programs = stack.enter_context(cluster_programs.in_use())
            self.node = Node(folder, programs, _BINDS)
            stack.callback(self.node.close)
            self.volume = folder / "volume"
            self.node.start()
            self._import_images(programs["pipelines"], programs["kubernetes"], stage_image)
            self._apply_manifests(programs["pipelines"])
            self.kfp_url = self.forward("ml-pipeline", 8888)
            self._stack = stack.pop_all()

    def close(self) -> None:
        """Ends everything, and deletes its files."""
        self._stack.close()

    def kubectl(self, *arguments: str, input: str | None = None) -> str:
        """Runs kubectl as an administrator, in the namespace `kubeflow` unless told otherwise.

        Raises:
          subprocess.CalledProcessError: if it fails; stderr says why.
        """
        command = self.node.kubectl(*arguments)
        try:
            return self.node.namespaces.run(command, input=input)
        except subprocess.CalledProcessError as error:
            error.add_note(error.stderr)
            raise

    def get(self, *arguments: str) -> dict[str, Any]:
        """An object, or a list of objects, of the API server."""
        return json.loads(self.kubectl("get", *arguments, "--output=json"))

    def apply(self, *objects: Mapping[str, Any]) -> None:
        """Creates or changes objects."""
        self.kubectl("apply", "--filename=-", input="---\n".join(json.dumps(one) + "\n" for one in objects))

    def log(self, pod: str, container: str = "main") -> str:
        """What a container has printed so far; empty if it has not started."""
        for one in self.get("pod", pod)["status"].get("containerStatuses", []):
            if one["name"] == container and "waiting" not in one["state"]:
                return self.kubectl("logs", pod, f"--container={container}")
        return ""

    def forward(self, service: str, port: int) -> str:
        """The address, on this machine, of a service's port."""
        inside = self.get("service", service)["spec"]["clusterIP"]
        listening = socket.create_server(("127.0.0.1", 0))
        program = [
            sys.executable,
            Path(__file__).with_name("port_forward.py"),
            str(listening.fileno()),
            inside,
            str(port),
        ]
        log = self.node.folder / "logs" / f"forward-{service}.log"
        self.node.namespaces.start(program, log, pass_fds=[listening.fileno()])
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        listening.close()
        return address

    def _import_images(self, pipelines: Path, kubernetes: Path, stage_image: str) -> None:
        archive = self.node.folder / "image.tar"
        for image in (*_images(pipelines, kubernetes), _stage_skeleton(stage_image)):
            container_images.write(image, archive)
            self.node.ctr("images", "import", archive)
        archive.unlink()

    def _apply_manifests(self, pipelines: Path) -> None:
        manifests = self.node.folder / "manifests"
        shutil.copytree(_MANIFESTS, manifests)
        shutil.copytree(pipelines / "manifests", manifests / "upstream")
        cluster = (manifests / "cluster.yaml").read_text(encoding="utf-8").replace("VOLUME", str(self.volume))
        self.kubectl("apply", "--server-side", "--kustomize", str(manifests / "upstream" / "cluster-scoped-resources"))
        self.kubectl("apply", "--filename=-", input=cluster)
        self.kubectl("apply", "--kustomize", str(manifests))
        available = [f"deployment/{name}" for name in _DEPLOYMENTS]
        try:
            self.kubectl("wait", "--for=condition=available", "--timeout=180s", *available)
        except subprocess.CalledProcessError as error:
            raise StartError(
                f"{error.stderr}\n{self.kubectl('get', 'pods')}\n{self.kubectl('get', 'events')}"
            ) from error


def _images(pipelines: Path, kubernetes: Path) -> Iterator[Image]:
    """The images of all pods but those of stages: each is one program, and whoever runs it."""
    yield _program("regraft.tests/pause:1", kubernetes / "pause", "/pause", "/pause")
    for name in ("driver", "launcher"):
        program = "launcher-v2" if name == "launcher" else name
        yield _program(f"gcr.io/ml-pipeline/kfp-{name}:2.0.5", pipelines / program, f"/bin/{program}")
    argo = "v3.3.10-license-compliance"
    yield _program(f"gcr.io/ml-pipeline/argoexec:{argo}", pipelines / "argoexec", "/bin/argoexec", "argoexec")
    controller = pipelines / "workflow-controller"
    yield _program(
        f"gcr.io/ml-pipeline/workflow-controller:{argo}",
        controller,
        "/bin/workflow-controller",
        "workflow-controller",
        user="8737",
    )
    agent = ("persistence", "--logtostderr=true", f"--namespace={KUBEFLOW}", "--numWorker=2")
    yield _program("gcr.io/ml-pipeline/persistenceagent:2.0.5", pipelines / "persistence", "/bin/persistence", *agent)
    schedules = ("scheduledworkflow", "--logtostderr=true", f"--namespace={KUBEFLOW}")
    program = pipelines / "scheduledworkflow"
    yield _program("gcr.io/ml-pipeline/scheduledworkflow:2.0.5", program, "/bin/scheduledworkflow", *schedules)
    yield Image(
        names=("gcr.io/ml-pipeline/api-server:2.0.5",),
        files={"/bin/apiserver": pipelines / "apiserver", "/config/config.json": pipelines / "config.json"},
        texts={**_TEXTS, "/config/sample_config.json": "[]"},
        folders=_FOLDERS,
        config={
            "Env": ["PATH=/bin"],
            "WorkingDir": "/bin",
            "Entrypoint": ["apiserver"],
            "Cmd": ["--config=/config", "--sampleconfig=/config/sample_config.json", "--logtostderr=true"],
        },
    )


_FOLDERS = {"/tmp": 0o1777}
_TEXTS = {"/etc/passwd": "root:x:0:0:root:/root:/sbin/nologin\n", "/etc/nsswitch.conf": "hosts: files dns\n"}


def _program(name: str, file: Path, place: str, *command: str, user: str = "0") -> Image:
    config = {"Env": ["PATH=/bin"], "User": user, **({"Entrypoint": list(command)} if command else {})}
    return Image(names=(name,), files={place: file}, texts=_TEXTS, folders=_FOLDERS, config=config)


def _stage_skeleton(name: str) -> Image:
    """The image of all stages, with what kubeflow/Dockerfile sets; its programs are this machine's, see _BINDS."""
    variables = {
        "PATH": f"{_VIRTUAL_ENVIRONMENT}/bin:/usr/local/bin:/usr/bin:/bin",
        "PYTHONPATH": _CODE,
        "USER": "regraft",
    }
    return Image(
        names=(name,),
        texts={"/etc/passwd": f"{_TEXTS['/etc/passwd']}regraft:x:1000:1000::/tmp:/usr/sbin/nologin\n",
               "/etc/group": "root:x:0:\nregraft:x:1000:\n", "/etc/nsswitch.conf": _TEXTS["/etc/nsswitch.conf"]},
        links={f"/{folder}": f"usr/{folder}" for folder in ("bin", "lib", "lib64", "sbin")},
        folders={**_FOLDERS, "/gcs": 0o1777, "/s3": 0o1777, "/minio": 0o1777},
        config={
            "User": "1000:1000",
            "WorkingDir": "/tmp",
            "Env": [f"{key}={value}" for key, value in variables.items()],
        },
    )  # fmt: skip
