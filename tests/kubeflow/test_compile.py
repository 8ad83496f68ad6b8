"""Compiling: every field of the section `kubeflow` has its effect, and errors name their field."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import command_line
import packages
import pytest
import yaml
from google.protobuf import json_format
from kfp.kubernetes import kubernetes_executor_config_pb2
from kfp.pipeline_spec import pipeline_spec_pb2

from config.errors import BadInputError
from config.kubeflow import KubeflowConfig, Schedule
from config.pods import PodConfig, Secret, Toleration, Volume
from config.stages import STAGES
from kubeflow import compile as compiler
from kubeflow import executor_io, report
from kubeflow.package import Package

Json = dict[str, Any]
FLINK = {"runner": "flink", "job_endpoint": "flink:8099", "worker_pool": "localhost:50000", "workers": 4}


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    return packages.compiled(tmp_path_factory.mktemp("package"))


def kubernetes(package: Package, task: str) -> Json:
    executors = package.platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    return executors[package.component(task)["executorLabel"]]


def test_the_server_can_read_it(package):
    """The API server and Argo would refuse anything else; tests/helpers/emulated_cluster.py names their sources."""
    spec = json_format.ParseDict(package.spec, pipeline_spec_pb2.PipelineSpec())
    assert spec.schema_version == "2.1.0"
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", spec.pipeline_info.name)
    assert all(re.fullmatch("[a-zA-Z0-9][-a-zA-Z0-9]*", name) for name in package.tasks)
    for executor in package.spec["deploymentSpec"]["executors"].values():
        assert set(executor) == {"container"}
        assert "lifecycle" not in executor["container"]
    for name in package.tasks:
        json_format.ParseDict(kubernetes(package, name), kubernetes_executor_config_pb2.KubernetesExecutorConfig())


def test_the_official_sdk_can_read_it(package, tmp_path):
    from kfp import components

    package.write(tmp_path / "package.yaml")
    loaded = components.load_component_from_file(str(tmp_path / "package.yaml"))
    assert loaded.name == "colours"
    assert set(loaded.component_spec.inputs) == set(package.parameters)


def test_tfx_can_import_the_type_of_every_artifact(package):
    outputs = [
        output["artifactType"]
        for task in package.tasks
        for output in package.component(task).get("outputDefinitions", {}).get("artifacts", {}).values()
    ]
    schemas = [kind["instanceSchema"] for kind in map(executor_io._importable, outputs) if "instanceSchema" in kind]
    titles = {yaml.safe_load(schema)["title"] for schema in schemas}
    own = {title for title in titles if not title.startswith("tfx.")}
    assert own == {f"components.artifacts.{name}" for name in ("IngestReport", "ImageFeatures", "LabelFindings")}
    for title in own:
        module, name = title.rsplit(".", 1)
        assert getattr(importlib.import_module(module), name).__name__ == name


def test_the_stages_are_those_of_every_run(package):
    assert set(package.tasks) == {
        *("OutsideState", "ImageExampleGen", "StatisticsGen", "SchemaGen", "ExampleValidator", "Transform"),
        *("TrunkFeatures", "LabelCheck", "Trainer", "BaselineModel", "Evaluator", "ServingCheck", "Pusher", "Report"),
        "Verdict",
    }
    trainer = package.tasks["Trainer"]["inputs"]["artifacts"]
    assert trainer["features"]["taskOutputArtifact"]["producerTask"] == "TrunkFeatures"
    label_check = package.tasks["LabelCheck"]["inputs"]["artifacts"]
    assert label_check["features"]["taskOutputArtifact"]["producerTask"] == "TrunkFeatures"
    read = {
        task: {name for name, value in _artifacts(package, task).items() if value == "LabelCheck"}
        for task in package.tasks
    }
    read.pop("Report")
    used = {task: names for task, names in read.items() if names}
    assert used == {"Evaluator": {"image_features"}}, "no stage learns from what LabelCheck finds"
    assert package.tasks["Transform"]["dependentTasks"] == ["ExampleValidator", "ImageExampleGen"]


def test_the_report_reads_every_stage_and_is_made_of_types_that_kubeflow_draws(package):
    read = {(task, name) for name, task in _artifacts(package, "Report").items()}
    wanted = {(stage, name) for stage, names in report.READ.items() for name in names}
    assert wanted - read == {("Tuner", "tuner_results")}, "this pipeline searches nothing"
    outputs = package.component("Report")["outputDefinitions"]["artifacts"]
    assert {name: output["artifactType"]["schemaTitle"] for name, output in outputs.items()} == {
        "page": "system.HTML",
        "classification": "system.ClassificationMetrics",
        "figures": "system.Metrics",
    }
    values = package.tasks["Report"]["inputs"]["parameters"]
    assert values["head_epochs"] == {"componentInputParameter": "head_epochs"}, "the page has the run's parameters"
    assert "Pusher" in package.tasks["Report"]["dependentTasks"]
    assert "Report" not in package.tasks["Verdict"]["dependentTasks"], "a refusal does not wait for the report"


def _artifacts(package: Package, task: str) -> dict[str, str]:
    """The name of each input artifact of a task, and the task that makes it."""
    inputs = package.tasks[task].get("inputs", {}).get("artifacts", {})
    return {name: value["taskOutputArtifact"]["producerTask"] for name, value in inputs.items()}


def test_the_code_of_a_stage_is_part_of_its_tasks_cache_key(package):
    """Kubeflow's cache key holds the values of a task's parameters; the digests are those of a local run."""
    from components import code_digest

    def constant(task: str, parameter: str) -> str:
        return package.tasks[task]["inputs"]["parameters"][parameter]["runtimeValue"]["constant"]

    trainer = code_digest.of("components.trainer.executor", "modules.trainer")
    assert constant("Trainer", code_digest.PARAMETER) == trainer
    assert json.loads(constant("Transform", "custom_config"))[code_digest.PARAMETER] == code_digest.of(
        "modules.preprocessing"
    )
    own = {
        "ImageExampleGen",
        "ExampleValidator",
        "TrunkFeatures",
        "LabelCheck",
        "Trainer",
        "BaselineModel",
        "Evaluator",
    }
    digests = {task: constant(task, code_digest.PARAMETER) for task in (*own, "ServingCheck", "Pusher")}
    assert len(set(digests.values())) == len(digests), "each stage reaches other files"


def test_it_contains_no_paths_of_this_machine(package, tmp_path):
    package.write(tmp_path / "package.yaml")
    text = (tmp_path / "package.yaml").read_text(encoding="utf-8")
    assert str(Path.home()) not in text
    assert str(Path(compiler.__file__).parents[1]) not in text
    assert ".whl" not in text


def test_the_defaults_of_parameters_are_the_configurations_values(package):
    defaults = {name: parameter["defaultValue"] for name, parameter in package.parameters.items()}
    assert defaults == {
        "data_path": "/data/photos",
        "push_directory": "/data/models",
        "bless_anyway": "",
        "head_epochs": 3,
        "head_learning_rate": 1e-3,
        "fine_tune_epochs": 1,
        "fine_tune_learning_rate": 4e-4,
        "min_accuracy": 0.5,
        "max_regression": 0.01,
    }
    assert all(parameter["description"] for parameter in package.parameters.values())


def test_a_phase_that_is_left_out_has_no_parameters(tmp_path):
    package = packages.compiled(tmp_path, training={"head": {"epochs": 2}, "fine_tune": None})
    assert not {"fine_tune_epochs", "fine_tune_learning_rate"} & set(package.parameters)


def test_only_stages_that_train_get_a_gpu(package):
    with_gpu = {name for name in package.tasks if "accelerator" in package.container(name).get("resources", {})}
    assert with_gpu == {"TrunkFeatures", "Trainer"}
    assert package.container("Trainer")["resources"]["accelerator"] == {
        "resourceType": "nvidia.com/gpu",
        "resourceCount": "1",
        "type": "nvidia.com/gpu",
        "count": "1",
    }
    hidden = {"name": "CUDA_VISIBLE_DEVICES", "value": "-1"}
    assert {name for name in package.tasks if hidden in package.container(name)["env"]} == set(package.tasks) - with_gpu


def test_stages_that_depend_on_more_than_their_inputs_are_never_cached(package):
    cached = {name for name, task in package.tasks.items() if task.get("cachingOptions", {}).get("enableCache")}
    assert set(package.tasks) - cached == {
        "OutsideState",
        "ExampleValidator",
        "BaselineModel",
        "Pusher",
        "Report",
        "Verdict",
    }


def test_the_state_of_the_data_is_part_of_the_cache_key(package):
    state = package.tasks["ImageExampleGen"]["inputs"]["parameters"]["outside_state"]
    assert state == {"taskOutputParameter": {"producerTask": "OutsideState", "outputParameterKey": "data"}}
    assert "outside_state" not in package.tasks["Trainer"]["inputs"]["parameters"]


def test_the_state_of_weights_and_schema_is_part_of_the_cache_key(tmp_path):
    package = packages.compiled(
        tmp_path,
        backbone={"name": "EfficientNetLite0", "image_size": 96, "weights": "/data/weights.pth"},
        data={"path": "photos", "schema": "/data/facts.pbtxt"},
    )
    state = {"taskOutputParameter": {"producerTask": "OutsideState", "outputParameterKey": "files"}}
    for reader in ("TrunkFeatures", "LabelCheck", "Trainer", "SchemaGen"):
        assert package.tasks[reader]["inputs"]["parameters"]["outside_state"] == state
    files = [a for a in package.container("OutsideState")["args"] if a.startswith("/data/")]
    assert files == ["/data/weights.pth", "/data/facts.pbtxt"]


# By field: a value, what to read of the package, and what it must be.
Effect = Callable[[Package], Any]
OF_A_STAGE: dict[str, tuple[Json, Effect, Any]] = {
    "cpu": ({"cpu": "4"}, lambda p: p.container("Trainer")["resources"]["resourceCpuLimit"], "4"),
    "cpu_request": (
        {"cpu": "4", "cpu_request": "500m"},
        lambda p: p.container("Trainer")["resources"]["resourceCpuRequest"],
        "500m",
    ),
    "memory": ({"memory": "16Gi"}, lambda p: p.container("Trainer")["resources"]["resourceMemoryLimit"], "16Gi"),
    "memory_request": (
        {"memory": "16Gi", "memory_request": "8G"},
        lambda p: p.container("Trainer")["resources"]["resourceMemoryRequest"],
        "8G",
    ),
    "gpu": ({"gpu": 2}, lambda p: p.container("Trainer")["resources"]["accelerator"]["resourceCount"], "2"),
    "gpu_type": (
        {"gpu_type": "amd.com/gpu"},
        lambda p: p.container("Trainer")["resources"]["accelerator"]["resourceType"],
        "amd.com/gpu",
    ),
    "node_selector": (
        {"node_selector": {"cloud.google.com/gke-accelerator": "nvidia-l4"}},
        lambda p: kubernetes(p, "Trainer")["nodeSelector"]["labels"],
        {"cloud.google.com/gke-accelerator": "nvidia-l4"},
    ),
    "tolerations": (
        {"tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoExecute", "seconds": 60}]},
        lambda p: kubernetes(p, "Trainer")["tolerations"],
        [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": "60"}],
    ),
    "shared_memory": (
        {"shared_memory": "2Gi"},
        lambda p: [m for m in kubernetes(p, "Trainer")["emptyDirMounts"] if m["mountPath"] == "/dev/shm"],
        [{"volumeName": "shared-memory", "mountPath": "/dev/shm", "medium": "Memory", "sizeLimit": "2Gi"}],
    ),
    "retries": ({"retries": 4}, lambda p: p.tasks["Trainer"]["retryPolicy"]["maxRetryCount"], 4),
    "retry_after_seconds": (
        {"retry_after_seconds": 90},
        lambda p: p.tasks["Trainer"]["retryPolicy"]["backoffDuration"],
        "90s",
    ),
    "timeout_minutes": (
        {"timeout_minutes": 30},
        lambda p: kubernetes(p, "Trainer")["activeDeadlineSeconds"],
        "1800",
    ),
    "cache": ({"cache": False}, lambda p: p.tasks["Trainer"].get("cachingOptions"), None),
}
OF_THE_SECTION: dict[str, tuple[Json, Effect, Any]] = {
    "image": ({"image": "other:2"}, lambda p: {p.container(n)["image"] for n in p.tasks}, {"other:2"}),
    "image_pull_policy": (
        {"image_pull_policy": "Always"},
        lambda p: {kubernetes(p, n)["imagePullPolicy"] for n in p.tasks},
        {"Always"},
    ),
    "image_pull_secrets": (
        {"image_pull_secrets": ["registry"]},
        lambda p: {kubernetes(p, n)["imagePullSecret"][0]["secretName"] for n in p.tasks},
        {"registry"},
    ),
    "pipeline_root": ({"pipeline_root": "gs://bucket/x/"}, lambda p: p.spec["defaultPipelineRoot"], "gs://bucket/x"),
    "data_path": ({"data_path": "/data/{SPAN}"}, lambda p: p.parameters["data_path"]["defaultValue"], "/data/{SPAN}"),
    "push_directory": (
        {"push_directory": "/data/x"},
        lambda p: p.parameters["push_directory"]["defaultValue"],
        "/data/x",
    ),
    "state_directory": (
        {"state_directory": "/data/x"},
        lambda p: '"state_directory": "/data/x"' in _constant(p, "Trainer", "custom_config"),
        True,
    ),
    "labels": ({"labels": {"team": "a"}}, lambda p: _metadata(p)["labels"], {"team": "a"}),
    "annotations": (
        {"annotations": {"sidecar.istio.io/inject": "false"}},
        lambda p: _metadata(p)["annotations"],
        {"sidecar.istio.io/inject": "false"},
    ),
    "env": (
        {"env": {"TZ": "UTC"}},
        lambda p: all({"name": "TZ", "value": "UTC"} in p.container(n)["env"] for n in p.tasks),
        True,
    ),
    "secrets": (
        {"secrets": [{"name": "s3", "key": "access", "env": "AWS_ACCESS_KEY_ID", "stages": ["Pusher"]}]},
        lambda p: {n: kubernetes(p, n)["secretAsEnv"] for n in p.tasks if "secretAsEnv" in kubernetes(p, n)},
        {
            "Pusher": [
                {
                    "secretName": "s3",
                    "keyToEnv": [{"secretKey": "access", "envVar": "AWS_ACCESS_KEY_ID"}],
                }
            ]
        },
    ),
    "volumes": (
        {
            "volumes": [
                {"claim": "photos", "mount": "/data"},
                {"claim": "x", "mount": "/x", "stages": ["Trainer"]},
            ]
        },
        lambda p: {n: [(m["constant"], m["mountPath"]) for m in kubernetes(p, n)["pvcMount"]] for n in p.tasks},
        None,  # see the test
    ),
    "every_stage": (
        {"every_stage": {"cpu": "1"}, "stages": {"Trainer": {"memory": "4Gi"}}},
        lambda p: {p.container(n)["resources"]["resourceCpuLimit"] for n in p.tasks},
        {"1"},
    ),
    "stages": (
        {"every_stage": {"cpu": "1"}, "stages": {"Trainer": {"cpu": "4"}}},
        lambda p: p.container("Trainer")["resources"]["resourceCpuLimit"],
        "4",
    ),
}


def _metadata(package: Package) -> Json:
    first, *others = [kubernetes(package, name)["podMetadata"] for name in package.tasks]
    assert all(other == first for other in others)
    return first


def _constant(package: Package, task: str, parameter: str) -> str:
    return package.tasks[task]["inputs"]["parameters"][parameter]["runtimeValue"]["constant"]


@pytest.mark.parametrize("field", OF_A_STAGE)
def test_a_field_of_a_stage_has_its_effect(field, package, tmp_path):
    fields, effect, expected = OF_A_STAGE[field]
    compiled = packages.compiled(tmp_path, {"stages": {"Trainer": fields}})
    assert effect(compiled) == expected
    others = [name for name in compiled.tasks if name not in ("Trainer", "Verdict")]
    assert {name: compiled.tasks[name] for name in others} == {name: package.tasks[name] for name in others}


@pytest.mark.parametrize("field", [name for name in OF_THE_SECTION if name != "volumes"])
def test_a_field_of_the_section_has_its_effect(field, tmp_path):
    fields, effect, expected = OF_THE_SECTION[field]
    assert effect(packages.compiled(tmp_path, fields)) == expected


def test_volumes_are_mounted_into_their_stages(tmp_path):
    fields, effect, _ = OF_THE_SECTION["volumes"]
    mounted = effect(packages.compiled(tmp_path, fields))
    assert mounted.pop("Trainer") == [("photos", "/data"), ("x", "/x")]
    assert set(map(tuple, mounted.values())) == {(("photos", "/data"),)}


def test_every_field_is_tested():
    assert set(OF_A_STAGE) == set(PodConfig.model_fields)
    elsewhere = {"schedule", "service_account"}  # tests/kubeflow/test_submit.py
    assert set(OF_THE_SECTION) == set(KubeflowConfig.model_fields) - elsewhere - {"shared_folder"}
    assert set(Volume.model_fields) == {"claim", "mount", "sub_path", "stages"}
    assert set(Secret.model_fields) == {"name", "key", "env", "stages"}
    assert set(Toleration.model_fields) == {"key", "operator", "value", "effect", "seconds"}
    assert set(Schedule.model_fields) == {"cron", "interval_minutes", "max_concurrency", "start", "end"}


def test_beam_stages_on_a_cluster_get_its_runner_and_the_shared_folder(tmp_path):
    kubeflow = {"shared_folder": "/data/shared", "stages": {"TrunkFeatures": {"gpu": 0}}}
    compiled = packages.compiled(tmp_path, kubeflow, beam=FLINK)
    for stage in (row.name for row in STAGES.values() if row.runs_on_beam):
        assert {"--runner=PortableRunner", "--shared_folder=/data/shared"} <= set(compiled.container(stage)["args"])


def test_a_stage_that_the_pipeline_lacks_needs_no_gpu_of_0(tmp_path):
    compiled = packages.compiled(
        tmp_path, {"shared_folder": "/data/shared"}, beam=FLINK, trunk_features={"mode": "pixels"}
    )
    assert "TrunkFeatures" not in compiled.tasks


def test_a_pod_uses_one_process_unless_configured_otherwise(package, tmp_path):
    """The stage would count the cores and the memory of the whole node, not those of its pod."""
    assert "--direct_num_workers=1" in package.container("ImageExampleGen")["args"]
    assert not [part for part in package.container("ImageExampleGen")["args"] if part.startswith("--shared_folder")]
    configured = packages.compiled(tmp_path, beam={"workers": 3})
    assert "--direct_num_workers=3" in configured.container("ImageExampleGen")["args"]


def test_a_verdict_is_not_retried(tmp_path):
    compiled = packages.compiled(tmp_path, {"every_stage": {"retries": 3}})
    assert {name for name, task in compiled.tasks.items() if "retryPolicy" not in task} == {"Verdict"}


def trainer(**fields: Any) -> Json:
    return {"stages": {"Trainer": fields}}


REFUSED: dict[str, tuple[Json, str]] = {
    "no image": ({"image": None}, "kubeflow.image: is required"),
    "an image with a space": ({"image": "a b"}, "kubeflow.image"),
    "a root that nothing can open": ({"pipeline_root": "hdfs://x/y"}, "kubeflow.pipeline_root"),
    "a relative data path": ({"data_path": "photos"}, "kubeflow.data_path"),
    "data on no volume": ({"data_path": "/elsewhere"}, "data_path: '/elsewhere' is in no volume"),
    "data on a volume that its reader does not mount": (
        {"volumes": [{"claim": "photos", "mount": "/data", "stages": ["BaselineModel", "Pusher", "Trainer"]}]},
        "OutsideState",
    ),
    "models on no volume": ({"push_directory": "/models"}, "push_directory"),
    "training state on no volume": ({"state_directory": "/state"}, "state_directory"),
    "a volume of no stage": ({"volumes": [{"claim": "photos", "mount": "/data", "stages": []}]}, "volumes.0.stages"),
    "a volume of an unknown stage": (
        {"volumes": [{"claim": "photos", "mount": "/data", "stages": ["Trial"]}]},
        "volumes.0.stages.0",
    ),
    "a volume over /tmp": (
        {"volumes": [{"claim": "photos", "mount": "/data"}, {"claim": "x", "mount": "/tmp"}]},
        "volumes.1.mount",
    ),
    "two volumes at one place": (
        {"volumes": [{"claim": "photos", "mount": "/data"}, {"claim": "x", "mount": "/data/"}]},
        "volumes.1.mount",
    ),
    "a claim twice in a pod": (
        {"volumes": [{"claim": "photos", "mount": "/data"}, {"claim": "photos", "mount": "/x", "stages": ["Pusher"]}]},
        "kubeflow.volumes: a stage mounts each claim once. Received: 'photos' twice in Pusher",
    ),
    "a claim that no volume can be named after": (
        {"volumes": [{"claim": "regraft.data", "mount": "/data"}]},
        "volumes.0.claim",
    ),
    "a claim named as the pod's own volume": (
        {"volumes": [{"claim": "temporary", "mount": "/data"}]},
        "volumes.0.claim",
    ),
    "a sub-path that leaves the claim": (
        {"volumes": [{"claim": "photos", "mount": "/data", "sub_path": "a/../.."}]},
        "volumes.0.sub_path",
    ),
    "GPUs shown by hand": ({"env": {"CUDA_VISIBLE_DEVICES": "0"}}, "CUDA_VISIBLE_DEVICES"),
    "a claim with a capital letter": ({"volumes": [{"claim": "Photos", "mount": "/data"}]}, "volumes.0.claim"),
    "an unknown stage": ({"stages": {"Trial": {"cpu": "1"}}}, "stages.Trial"),
    "CPU in words": (trainer(cpu="four"), "stages.Trainer.cpu"),
    "no CPU": (trainer(cpu="0"), "stages.Trainer.cpu"),
    "memory in the wrong unit": (trainer(memory="16GB"), "stages.Trainer.memory"),
    "CPU in bytes": (trainer(cpu="8Gi"), "stages.Trainer.cpu"),
    "memory without a unit": (trainer(memory=32), "stages.Trainer.memory"),
    "memory in thousandths": (trainer(memory="512m"), "stages.Trainer.memory"),
    "more shared memory than memory": (
        trainer(memory="1Gi", shared_memory="2Gi"),
        "kubeflow.stages.Trainer.shared_memory: at most memory is allowed. Received: 2Gi of 1Gi",
    ),
    "a request of all above the limit of one": (
        {"every_stage": {"cpu_request": 2}, "stages": {"Verdict": {"cpu": 1}}},
        "kubeflow.stages.Verdict: together with every_stage: cpu_request: at most cpu is allowed. Received: 2 of 1",
    ),
    "models in the data folder": (
        {"push_directory": "/data/photos/models"},
        "kubeflow.push_directory: must not overlap with data_path",
    ),
    "training state where the models are": ({"state_directory": "/data/models"}, "kubeflow.state_directory"),
    "data and models in one folder": ({"data_path": "/data", "push_directory": "/data/models"}, "push_directory"),
    "a volume over Python": (
        {"volumes": [{"claim": "photos", "mount": "/data"}, {"claim": "x", "mount": "/opt/venv/lib"}]},
        "volumes.1.mount",
    ),
    "a volume over //tmp": (
        {"volumes": [{"claim": "photos", "mount": "/data"}, {"claim": "x", "mount": "//tmp"}]},
        "volumes.1.mount",
    ),
    "a URI with a placeholder of Kubeflow": ({"data_path": "gs://b/{{$.inputs}}"}, "kubeflow.data_path"),
    "a path with a placeholder of Kubeflow": ({"data_path": "/data/{{$.inputs}}"}, "kubeflow.data_path"),
    "an image that moves": ({"image": "registry.example.com:5000/regraft:latest"}, "kubeflow.image"),
    "an image without a tag": ({"image": "registry.example.com:5000/regraft"}, "kubeflow.image"),
    "a label with a space": ({"labels": {"a b": "c"}}, "kubeflow.labels"),
    "a CPU request above the limit": (trainer(cpu="500m", cpu_request="1"), "cpu_request: at most cpu is allowed"),
    "a memory request above the limit": (trainer(memory="1G", memory_request="1Gi"), "memory_request"),
    "a GPU node without GPU": (
        trainer(gpu=0, node_selector={"cloud.google.com/gke-accelerator": "nvidia-l4"}),
        "stages.Trainer.node_selector",
    ),
    "a GPU node for every stage": (
        {"every_stage": {"node_selector": {"nvidia.com/gpu.present": "true"}}},
        "every_stage.node_selector",
    ),
    "a node label with a space": (trainer(node_selector={"a b": "c"}), "stages.Trainer.node_selector"),
    "a toleration without a value": (trainer(tolerations=[{"operator": "Equal", "key": "x"}]), "tolerations.0"),
    "a value that has no effect": (
        trainer(tolerations=[{"operator": "Exists", "key": "x", "value": "y"}]),
        "tolerations.0",
    ),
    "seconds without eviction": (trainer(tolerations=[{"operator": "Exists", "seconds": 5}]), "NoExecute"),
    "too many retries": (trainer(retries=1000), "stages.Trainer.retries"),
    "a variable set twice": (
        {"env": {"TZ": "UTC"}, "secrets": [{"name": "s", "key": "k", "env": "TZ"}]},
        "secrets.0.env",
    ),
    "a variable with a dash": ({"env": {"MY-ENV": "x"}}, "kubeflow.env"),
    "an unknown field": ({"images": "x"}, "kubeflow.images: no such field"),
    "a cron of six fields": ({"schedule": {"cron": "0 0 3 * * MON"}}, "schedule.cron"),
    "an hour that does not exist": ({"schedule": {"cron": "0 25 * * *"}}, "schedule.cron"),
    "a cron that the server reads differently": ({"schedule": {"cron": "0 3 L * *"}}, "schedule.cron"),
    "a range that ends before it begins": ({"schedule": {"cron": "0 3 * * FRI-MON"}}, "write FRI-MON as two ranges"),
    "hours that end before they begin": ({"schedule": {"cron": "0 22-6 * * *"}}, "write 22-6 as two ranges"),
    "a step beyond the hour": (
        {"schedule": {"cron": "*/90 * * * *"}},
        "a step must be at most 60, the number of the field's values",
    ),
    "a date that does not exist": ({"schedule": {"cron": "0 3 31 2 *"}}, "a date that exists is expected"),
    "a start in seconds": ({"schedule": {"interval_minutes": 5, "start": 5}}, "schedule.start"),
    "cron and interval": (
        {"schedule": {"cron": "0 3 * * *", "interval_minutes": 5}},
        "one of cron and interval_minutes",
    ),
    "neither cron nor interval": ({"schedule": {"max_concurrency": 1}}, "one of cron and interval_minutes"),
    "a start without time zone": (
        {"schedule": {"interval_minutes": 5, "start": "2026-12-01T03:00:00"}},
        "schedule.start",
    ),
    "an end before the start": (
        {
            "schedule": {
                "interval_minutes": 5,
                "start": "2026-12-02T00:00:00Z",
                "end": "2026-12-01T00:00:00Z",
            }
        },
        "start must be before end",
    ),
}


def test_an_error_shows_no_other_field(tmp_path):
    """Environment variables may be secret."""
    with pytest.raises(BadInputError) as refused:
        compiler.load(str(packages.write(tmp_path, {"env": {"KEY": "hunter2"}, "data_path": "/elsewhere"})))
    assert str(refused.value).splitlines()[1].startswith("  kubeflow.data_path: '/elsewhere' is in no volume")
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    "cron", ["0 3 * * MON", "*/15 8-17 * * 1-5", "0 0 1,15 JAN-MAR *", "0 3 * * 5-7", "59 23 29 2 *"]
)
def test_a_crontab_line_is_accepted(tmp_path, cron):
    assert compiler.load(str(packages.write(tmp_path, {"schedule": {"cron": cron}}))).kubeflow.schedule.cron == cron


def test_numbers_are_quantities_and_repeated_slashes_are_one(tmp_path):
    fields = {"data_path": "//data//photos/", "every_stage": {"cpu": 2}}
    section = compiler.load(str(packages.write(tmp_path, fields))).kubeflow
    assert (section.data_path, section.stage("Pusher").cpu) == ("/data/photos", "2")


def test_part_of_a_claim_may_be_mounted(tmp_path):
    volumes = [{"claim": "photos", "mount": "/data", "sub_path": "team/fruit"}]
    mounts = kubernetes(packages.compiled(tmp_path, {"volumes": volumes}), "Trainer")["pvcMount"]
    assert [mount["subPath"] for mount in mounts] == ["team/fruit"]


@pytest.mark.parametrize("fault", REFUSED)
def test_an_error_in_the_section_names_its_field(fault, tmp_path):
    fields, message = REFUSED[fault]
    with pytest.raises(BadInputError) as refused:
        compiler.load(str(packages.write(tmp_path, fields)))
    assert message in str(refused.value)
    assert str(tmp_path / "config.yaml") in str(refused.value)


OTHER_SECTIONS: dict[str, tuple[Json, Json, str]] = {
    "TF Serving in Docker": ({}, {"serving_check": {"tf_serving": "2.19.0"}}, "serving_check.tf_serving"),
    "Beam workers without a shared folder": (
        {},
        {"beam": FLINK},
        "kubeflow.shared_folder: is required with beam.runner flink",
    ),
    "a shared folder without a cluster": (
        {"shared_folder": "/data/shared"},
        {},
        "kubeflow.shared_folder: only beam.runner flink and spark use it",
    ),
    "a shared folder on no volume": (
        {"shared_folder": "/shared"},
        {"beam": FLINK},
        "kubeflow.shared_folder: '/shared' is in no volume",
    ),
    "a shared folder that a Beam stage does not mount": (
        {
            "shared_folder": "/shared",
            "volumes": [
                {"claim": "photos", "mount": "/data"},
                {"claim": "shared", "mount": "/shared", "stages": ["ImageExampleGen", "StatisticsGen"]},
            ],
        },
        {"beam": FLINK},
        "kubeflow.shared_folder: '/shared' is in no volume that Transform mounts",
    ),
    "a GPU that would not be used": (
        {"shared_folder": "/data/shared"},
        {"beam": FLINK},
        "kubeflow.stages.TrunkFeatures.gpu: the pod only waits for beam.runner flink",
    ),
    "a stage that the pipeline lacks": (
        {"stages": {"TrunkFeatures": {"cpu": "1"}}},
        {"trunk_features": {"mode": "pixels"}},
        "TrunkFeatures",
    ),
    "a label check that is switched off": (
        {"stages": {"LabelCheck": {"cpu": "1"}}},
        {"label_check": None},
        "kubeflow: names LabelCheck, which this pipeline does not have: label_check is null",
    ),
    "an export that is not made": (
        {"stages": {"Export": {"cpu": "1"}}},
        {},
        "kubeflow: names Export, which this pipeline does not have: there is no section export",
    ),
    "weights on a volume that their readers do not mount": (
        {"volumes": [{"claim": "photos", "mount": "/data"}, {"claim": "w", "mount": "/w", "stages": ["OutsideState"]}]},
        {"backbone": {"weights": "/w/weights.pth"}},
        "kubeflow.volumes: TrunkFeatures does not mount /w, which has '/w/weights.pth'",
    ),
    "weights of this machine": ({}, {"backbone": {"weights": "weights.pth"}}, "backbone.weights"),
    "a schema of this machine": ({}, {"data": {"path": "x", "schema": "facts.pbtxt"}}, "data.schema"),
}


@pytest.mark.parametrize("fault", OTHER_SECTIONS)
def test_an_error_in_other_sections_names_its_field(fault, tmp_path):
    kubeflow, sections, message = OTHER_SECTIONS[fault]
    with pytest.raises(BadInputError, match=re.escape(message)):
        compiler.load(str(packages.write(tmp_path, kubeflow, **sections)))


def test_without_the_section_nothing_is_compiled(tmp_path):
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"name": "x", "data": {"path": "photos"}}))
    done, imported = command_line.imports("kubeflow", "compile", str(tmp_path / "config.yaml"))
    assert done.returncode == 2
    assert done.stderr.strip().endswith("kubeflow: is required; docs/configuration.md has its fields")
    assert not imported & {"tfx", "tensorflow"}


def test_the_command_writes_the_package_and_prints_its_contents(tmp_path, capfd):
    config, output = packages.write(tmp_path), tmp_path / "made" / "package.yaml"
    assert command_line.run("kubeflow", "compile", str(config), "--output", str(output)) == 0
    spec, platform = yaml.safe_load_all(output.read_text(encoding="utf-8"))
    assert spec["pipelineInfo"]["name"] == "colours" and "kubernetes" in platform["platforms"]
    tasks, parameters, log = capfd.readouterr().out.splitlines()
    assert tasks == f"{output}: 15 tasks; with a GPU: TrunkFeatures, Trainer"
    assert parameters.startswith("parameters: bless_anyway, data_path, ") and "head_epochs" in parameters
    assert log == f"details: {output.with_suffix('.log')}" and output.with_suffix(".log").is_file()


@pytest.mark.parametrize(("output", "message"), [("", "Is a directory"), ("file/x.yaml", "the folder cannot be made")])
def test_the_command_refuses_an_output_that_cannot_be_written(tmp_path, capsys, output, message):
    (tmp_path / "file").touch()
    config = str(packages.write(tmp_path))
    assert command_line.run("kubeflow", "compile", config, "--output", str(tmp_path / output)) == 2
    error = capsys.readouterr().err
    assert error.startswith("--output: ") and message in error


def test_data_in_a_bucket_needs_no_volume(tmp_path):
    package = compiler.build(compiler.load(str(packages.write(tmp_path, {"data_path": "s3://photos/day-{SPAN}"}))))
    assert package.parameters["data_path"]["defaultValue"] == "s3://photos/day-{SPAN}"


def test_the_state_is_read_with_the_settings_of_the_ingestion(package):
    arguments = package.container("OutsideState")["args"]
    ingestion = arguments[arguments.index("--ingestion") + 1]
    assert ingestion == _constant(package, "ImageExampleGen", "ingestion")


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Package:
    search = {"training.head.epochs": [2, 4], "head.kind": ["dense", "conv"], "training.fine_tune.layers": [0, 12]}
    return packages.compiled(tmp_path_factory.mktemp("tuned"), tuner={"trials": 7, "search": search})


def test_a_search_is_a_stage_whose_values_go_to_trainer(tuned):
    assert {"Tuner", "Trainer", "TrunkFeatures"} <= set(tuned.tasks)
    assert (
        tuned.tasks["Tuner"]["inputs"]["artifacts"]["features"]["taskOutputArtifact"]["producerTask"] == "TrunkFeatures"
    )
    values = tuned.tasks["Trainer"]["inputs"]["artifacts"]["hyperparameters"]["taskOutputArtifact"]
    assert values == {"outputArtifactKey": "best_hyperparameters", "producerTask": "Tuner"}
    assert tuned.container("Tuner")["resources"]["accelerator"]["resourceCount"] == "1"
    custom_config = json.loads(_constant(tuned, "Tuner", "custom_config"))
    assert json.loads(custom_config["tuner"])["trials"] == 7
    assert custom_config["space"]["head.kind"] == ["dense", "conv"]
    assert custom_config["layers"] == json.loads(_constant(tuned, "Trainer", "custom_config"))["layers"] == 12
    recipe = json.loads(_constant(tuned, "TrunkFeatures", "recipe"))
    assert (recipe["layers"], recipe["pooling"]) == (12, None)


def test_what_is_searched_is_no_parameter_of_a_run(tuned, package):
    assert set(package.parameters) - set(tuned.parameters) == {"head_epochs"}


def test_a_pod_for_a_search_that_there_is_not_is_refused(tmp_path):
    with pytest.raises(BadInputError, match="kubeflow: names Tuner, which this pipeline does not have"):
        packages.compiled(tmp_path, {"stages": {"Tuner": {"cpu": "4"}}})


def test_the_state_of_a_search_needs_its_volume(tmp_path):
    volumes = [{"claim": "photos", "mount": "/data"}, {"claim": "s", "mount": "/s", "stages": ["Trainer"]}]
    kubeflow = {"volumes": volumes, "state_directory": "/s/state"}
    packages.compiled(tmp_path, kubeflow)
    with pytest.raises(BadInputError, match=r"kubeflow.state_directory: '/s/state' is in no volume that Tuner mounts"):
        packages.compiled(tmp_path, kubeflow, tuner={})
