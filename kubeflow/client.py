"""Requests to the API server of Kubeflow Pipelines, through kfp.Client."""

from __future__ import annotations

import contextlib
import hashlib
import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kfp
import kfp_server_api

from config.errors import BadInputError
from kubeflow import connection, task_list
from kubeflow.connection import ServerError

FINISHED = ("SUCCEEDED", "FAILED", "SKIPPED", "CANCELED")  # states of a run; kfp.Client does not know the last one
DRIVER = "-driver"  # what a task's driver has after the task's name
_VERSION_DIGITS = 12
_PAGE = 100


class _Client(kfp.Client):
    def get_kfp_healthz(self, sleep_duration: int = 5) -> kfp_server_api.V2beta1GetHealthzResponse:
        """Answers kfp.Client's constructor, which would ask five times, print stack traces and guess a namespace."""
        return kfp_server_api.V2beta1GetHealthzResponse(multi_user=False)


@dataclass(frozen=True)
class Version:
    """An uploaded package.

    Attributes:
      pipeline_id, id: on the server.
      name: made from the package's content.
      new: whether the server did not have it before.
    """

    pipeline_id: str
    id: str
    name: str
    new: bool


class Server:
    """An API server. Its answers are models of kfp_server_api.

    Every method raises ServerError if the request fails.
    """

    def __init__(self, host: str, namespace: str | None, token: str | None, ca_certificate: str | None) -> None:
        """Checks that it is one.

        Args:
          host: its address, with http:// or https://.
          namespace: the user's, with the experiments and runs; None on a server for a single user.
          token: sent with every request; None: none is sent.
          ca_certificate: file with the certificate of the authority that signed the server's; None: a public authority.

        Raises:
          BadInputError: if the server has several users, and no namespace is given.
          ServerError: if it is another kind of server, is too old, does not answer, or refuses the token.
        """
        self.host = host.rstrip("/")
        self._has_token = bool(token)
        with warnings.catch_warnings(action="ignore"):
            self._client = _Client(
                host=self.host, namespace=namespace or "kubeflow", existing_token=token, ssl_ca_cert=ca_certificate
            )
        self._api = self._client._run_api.api_client
        connection.limit(self._api.rest_client)
        self._namespace = namespace or self._client.get_user_namespace() or None
        self._may_list_tasks = True
        self._check()

    def run_url(self, run_id: str) -> str:
        """The page of a run, for a person."""
        return f"{self.host}/#/runs/details/{run_id}"

    def upload(self, name: str, package: Path) -> Version:
        """Uploads a package as a version of a pipeline, unless the pipeline already has this version.

        Args:
          name: of the pipeline.
          package: the file.
        """
        version = hashlib.sha256(package.read_bytes()).hexdigest()[:_VERSION_DIGITS]
        with self._request(f"uploading {name}"):
            pipeline_id = self._pipeline_id(name)
            found = self._client.list_pipeline_versions(pipeline_id, filter=_named(version)).pipeline_versions
            if found:
                return Version(pipeline_id, found[0].pipeline_version_id, version, new=False)
            answer = self._client.upload_pipeline_version(str(package), version, pipeline_id=pipeline_id)
        return Version(pipeline_id, answer.pipeline_version_id, version, new=True)

    def _pipeline_id(self, name: str) -> str:
        """The pipeline's id; the pipeline is created if there is none.

        kfp.Client.upload_pipeline would create it together with a first version. That version would get the pipeline's
        name, and could not be found again by its content.
        """
        found = self._client.list_pipelines(namespace=self._namespace, filter=_named(name)).pipelines
        if found:
            return found[0].pipeline_id
        wanted = kfp_server_api.V2beta1Pipeline(display_name=name, namespace=self._namespace)
        return kfp_server_api.PipelineServiceApi(self._api).pipeline_service_create_pipeline(wanted).pipeline_id

    def experiment(self, name: str) -> str:
        """The experiment's id; the experiment is created if there is none."""
        with self._request(f"experiment {name}"):
            return self._client.create_experiment(name, namespace=self._namespace).experiment_id

    def find_experiment(self, name: str) -> str | None:
        """The experiment's id; None if there is none."""
        with self._request(f"experiment {name}"):
            found = self._client.list_experiments(namespace=self._namespace, filter=_named(name)).experiments
        return found[0].experiment_id if found else None

    def start(
        self,
        experiment_id: str,
        name: str,
        version: Version,
        parameters: Mapping[str, Any],
        pipeline_root: str | None,
        service_account: str | None,
    ) -> str:
        """Starts a run, and returns its id."""
        with self._request(f"starting {name}"):
            answer = self._client.run_pipeline(
                experiment_id,
                name,
                params=dict(parameters),
                pipeline_id=version.pipeline_id,
                version_id=version.id,
                pipeline_root=pipeline_root,
                service_account=service_account,
            )
        return answer.run_id

    def run(self, run_id: str) -> Any:
        """A run."""
        with self._request(f"run {run_id}"):
            return self._client.get_run(run_id)

    def task_states(self, run: Any) -> dict[str, str]:
        """The states of a run's tasks by name.

        Up to version 2.17, a run has task details, which are Argo's nodes: tasks, their drivers (see DRIVER), their
        pods (`executor`) and the whole; those that the cache adds have neither name nor state. Later servers, those
        without ML Metadata, list the tasks.

        Args:
          run: from `run`.
        """
        details = (run.run_details and run.run_details.task_details) or []
        if details or not self._may_list_tasks:
            return {one.display_name: one.state for one in details if one.display_name and one.state}
        listed = task_list.listed(self.host, run.run_id, self._answer)
        self._may_list_tasks = listed is not None
        return {_failed_part(one): one["state"] for one in listed or [] if one.get("state")}

    def _answer(self, path: str, what: str) -> Mapping[str, Any]:
        with self._request(what):
            return self._api.call_api(
                path, "GET", response_type="object", auth_settings=["Bearer"], _return_http_data_only=True
            )

    def runs(self, experiment_id: str, count: int) -> list[Any]:
        """The experiment's last runs, newest first.

        Args:
          experiment_id: of the experiment.
          count: how many; the server returns at most 200.
        """
        with self._request("listing the runs"):
            answer = self._client.list_runs(page_size=count, sort_by="created_at desc", experiment_id=experiment_id)
        return answer.runs or []

    def recurring_runs(self, experiment_id: str) -> list[Any]:
        """All recurring runs of an experiment."""
        found: list[Any] = []
        token = ""
        while True:
            with self._request("listing the recurring runs"):
                answer = self._client.list_recurring_runs(token, _PAGE, experiment_id=experiment_id)
            found += answer.recurring_runs or []
            if not (token := answer.next_page_token or ""):
                return found

    def create_recurring_run(self, experiment_id: str, name: str, version: Version, **settings: Any) -> str:
        """Creates a recurring run, disabled, and returns its id.

        Args:
          experiment_id: of the experiment.
          name: of the recurring run.
          version: the package that runs.
          **settings: arguments of kfp.Client.create_recurring_run.
        """
        with self._request(f"scheduling {name}"):
            answer = self._client.create_recurring_run(
                experiment_id, name, pipeline_id=version.pipeline_id, version_id=version.id, enabled=False, **settings
            )
        return answer.recurring_run_id

    def enable(self, recurring_run_id: str) -> None:
        """Enables a recurring run: it starts runs from now on."""
        with self._request(f"enabling recurring run {recurring_run_id}"):
            self._client.enable_recurring_run(recurring_run_id)

    def disable(self, recurring_run_id: str) -> None:
        """Disables a recurring run: it starts no more runs."""
        with self._request(f"disabling recurring run {recurring_run_id}"):
            self._client.disable_recurring_run(recurring_run_id)

    def delete(self, recurring_run_id: str) -> None:
        """Deletes a recurring run; Kubernetes ends those of its runs that have not finished."""
        with self._request(f"deleting recurring run {recurring_run_id}"):
            self._client.delete_recurring_run(recurring_run_id)

    def _check(self) -> None:
        try:
            with self._request("checking its health"):
                health = kfp_server_api.HealthzServiceApi(self._api).healthz_service_get_healthz()
        except ServerError as error:
            if error.status != 404:
                raise
            if self._is_old():
                raise ServerError(
                    f"{self.host}: too old; the API v2beta1 came with Kubeflow Pipelines 2.0", 404
                ) from None
            raise ServerError(f"{self.host}: not Kubeflow Pipelines; there is no /apis/v2beta1 (404)", 404) from None
        if health.multi_user and self._namespace is None:
            raise BadInputError(
                f"{self.host}: several users share this server; name your namespace with --namespace, or with the "
                "environment variable KFP_NAMESPACE"
            )

    def _is_old(self) -> bool:
        try:
            with self._request("reading its version"):
                self._api.call_api("/apis/v1beta1/healthz", "GET", response_type="object", auth_settings=["Bearer"])
        except ServerError:
            return False
        return True

    def _request(self, what: str) -> contextlib.AbstractContextManager[None]:
        return connection.request(self.host, what, self._has_token)


def _failed_part(task: Mapping[str, Any]) -> str:
    """The name of a listed task, or of its driver if that failed: there is no pod then that could have run the task."""
    kinds = {pod.get("type") for pod in task.get("pods") or []}
    return f"{task['name']}{DRIVER}" if task["state"] == "FAILED" and "EXECUTOR" not in kinds else task["name"]


def _named(name: str) -> str:
    return json.dumps({"predicates": [{"operation": "EQUALS", "key": "display_name", "stringValue": name}]})
