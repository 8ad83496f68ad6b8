// Does with a package what Kubeflow Pipelines' own server and driver do, by their own code: `backend FILE` prints, as JSON,
// the Argo Workflow of a run, and for each executor the patch that the driver makes for its pod.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	_ "unsafe" // for go:linkname

	"github.com/kubeflow/pipelines/api/v2alpha1/go/pipelinespec"
	"github.com/kubeflow/pipelines/backend/src/apiserver/model"
	"github.com/kubeflow/pipelines/backend/src/apiserver/template"
	"github.com/kubeflow/pipelines/backend/src/common/util"
	_ "github.com/kubeflow/pipelines/backend/src/v2/driver"
	"github.com/kubeflow/pipelines/backend/src/v2/metadata"
	"github.com/kubeflow/pipelines/kubernetes_platform/go/kubernetesplatform"
	"google.golang.org/protobuf/encoding/protojson"
	core "k8s.io/api/core/v1"
)

//go:linkname initPodSpecPatch github.com/kubeflow/pipelines/backend/src/v2/driver.initPodSpecPatch
func initPodSpecPatch(
	container *pipelinespec.PipelineDeploymentConfig_PipelineContainerSpec, component *pipelinespec.ComponentSpec,
	input *pipelinespec.ExecutorInput, execution int64, pipeline string, run string,
) (*core.PodSpec, error)

//go:linkname extendPodSpecPatch github.com/kubeflow/pipelines/backend/src/v2/driver.extendPodSpecPatch
func extendPodSpecPatch(
	pod *core.PodSpec, config *kubernetesplatform.KubernetesExecutorConfig, dag *metadata.DAG,
	tasks map[string]*metadata.Execution,
) error

func main() {
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(path string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	uploaded, err := template.New(content)
	if err != nil {
		return fmt.Errorf("refused on upload: %w", err)
	}
	workflow, err := uploaded.RunWorkflow(
		&model.Run{DisplayName: "run", Namespace: "kubeflow"}, template.RunWorkflowOptions{RunId: "run-1", RunAt: 1},
	)
	if err != nil {
		return fmt.Errorf("refused on run: %w", err)
	}
	patches, err := pods(workflow)
	if err != nil {
		return fmt.Errorf("refused by the driver: %w", err)
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]any{"workflow": workflow, "pods": patches})
}

// What the driver patches each pod with, by component. It is given what the workflow's annotations hold.
func pods(workflow util.ExecutionSpec) (map[string]*core.PodSpec, error) {
	annotations := workflow.(*util.Workflow).Annotations
	pods := map[string]*core.PodSpec{}
	for key, content := range annotations {
		name, isContainer := strings.CutPrefix(key, "pipelines.kubeflow.org/implementations-")
		if !isContainer {
			continue
		}
		container := &pipelinespec.PipelineDeploymentConfig_PipelineContainerSpec{}
		if err := protojson.Unmarshal([]byte(content), container); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		config := &kubernetesplatform.KubernetesExecutorConfig{}
		if given, ok := annotations["pipelines.kubeflow.org/kubernetes-"+name]; ok {
			if err := protojson.Unmarshal([]byte(given), config); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
		}
		pod, err := initPodSpecPatch(
			container, &pipelinespec.ComponentSpec{}, &pipelinespec.ExecutorInput{}, 1, "pipeline", "run-1",
		)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if err := extendPodSpecPatch(pod, config, nil, nil); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		pods[name] = pod
	}
	return pods, nil
}
