package examples

import (
	"bytes"
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ghodss/yaml"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/config"
)

// The part of the API that the manifest uses. Any other field is a mistake.
type (
	meta struct {
		Name   string            `json:"name"`
		Labels map[string]string `json:"labels"`
	}
	selector struct {
		MatchLabels map[string]string `json:"matchLabels"`
	}
	object struct {
		APIVersion string            `json:"apiVersion"`
		Kind       string            `json:"kind"`
		Metadata   meta              `json:"metadata"`
		Data       map[string]string `json:"data"`
		Spec       struct {
			Replicas    int       `json:"replicas"`
			Selector    selector  `json:"selector"`
			Template    podObject `json:"template"`
			PodSelector selector  `json:"podSelector"`
			PolicyTypes []string  `json:"policyTypes"`
			Ingress     *[]any    `json:"ingress"`
		} `json:"spec"`
	}
	podObject struct {
		Metadata meta `json:"metadata"`
		Spec     struct {
			TerminationGracePeriodSeconds int         `json:"terminationGracePeriodSeconds"`
			SecurityContext               podSecurity `json:"securityContext"`
			InitContainers                []container `json:"initContainers"`
			Containers                    []container `json:"containers"`
			Volumes                       []volume    `json:"volumes"`
		} `json:"spec"`
	}
	podSecurity struct {
		FSGroup int `json:"fsGroup"`
	}
	container struct {
		Name, Image     string
		RestartPolicy   string   `json:"restartPolicy"`
		Command, Args   []string // as JSON does not mind the case
		Env             []struct{ Name, Value string }
		Ports           []containerPort
		StartupProbe    *probe `json:"startupProbe"`
		ReadinessProbe  *probe `json:"readinessProbe"`
		LivenessProbe   *probe `json:"livenessProbe"`
		Resources       struct{ Requests, Limits map[string]string }
		SecurityContext security `json:"securityContext"`
		VolumeMounts    []mount  `json:"volumeMounts"`
	}
	containerPort struct {
		Name          string
		ContainerPort int `json:"containerPort"`
	}
	probe struct {
		HTTPGet          struct{ Path, Port string } `json:"httpGet"`
		PeriodSeconds    int                         `json:"periodSeconds"`
		FailureThreshold int                         `json:"failureThreshold"`
	}
	security struct {
		RunAsNonRoot             bool `json:"runAsNonRoot"`
		RunAsUser                int  `json:"runAsUser"`
		RunAsGroup               int  `json:"runAsGroup"`
		AllowPrivilegeEscalation bool `json:"allowPrivilegeEscalation"`
		ReadOnlyRootFilesystem   bool `json:"readOnlyRootFilesystem"`
		Capabilities             struct{ Drop []string }
		SeccompProfile           struct{ Type string } `json:"seccompProfile"`
	}
	mount struct {
		Name      string
		MountPath string `json:"mountPath"`
		ReadOnly  bool   `json:"readOnly"`
	}
	volume struct {
		Name      string
		ConfigMap *struct{ Name string }              `json:"configMap"`
		EmptyDir  *struct{ Medium, SizeLimit string } `json:"emptyDir"`
	}
)

// manifest returns the objects by their kinds.
func manifest(t *testing.T) map[string]*object {
	t.Helper()
	text, err := os.ReadFile("kubernetes/sidecar.yaml")
	require.NoError(t, err)
	objects := map[string]*object{}
	for _, part := range bytes.Split(text, []byte("\n---\n")) {
		asJSON, err := yaml.YAMLToJSON(part)
		require.NoError(t, err)
		dec := json.NewDecoder(bytes.NewReader(asJSON))
		dec.DisallowUnknownFields()
		o := &object{}
		require.NoError(t, dec.Decode(o))
		objects[o.Kind] = o
	}
	require.Len(t, objects, 3)
	return objects
}

// sidecar returns the container, and its flags on top of those of the image.
func sidecar(t *testing.T) (c container, flags map[string]string) {
	t.Helper()
	list := manifest(t)["Deployment"].Spec.Template.Spec.InitContainers
	require.Len(t, list, 1)
	c = list[0]
	require.Equal(t, "Always", c.RestartPolicy, "not a sidecar")
	require.Empty(t, c.Command, "the image's own")
	return c, values(t, append(entryPoint(t)[1:], c.Args...))
}

func configMap(t *testing.T) []byte {
	t.Helper()
	text := manifest(t)["ConfigMap"].Data["samaritan.yaml"]
	require.NotEmpty(t, text)
	return []byte(text)
}

func TestTheConfigInTheConfigMapIsGood(t *testing.T) { check(t, configMap(t)) }

func TestTheSidecarReadsAndWritesWhatIsMounted(t *testing.T) {
	c, flags := sidecar(t)
	volumes := map[string]volume{}
	for _, v := range manifest(t)["Deployment"].Spec.Template.Spec.Volumes {
		volumes[v.Name] = v
	}
	at := map[string]volume{}
	for _, m := range c.VolumeMounts {
		require.Contains(t, volumes, m.Name)
		at[m.MountPath] = volumes[m.Name]
	}
	dir, file, _ := strings.Cut(flags["config"], "/samaritan.yaml")
	assert.Empty(t, file)
	require.NotNil(t, at[dir].ConfigMap, flags["config"])
	assert.Equal(t, manifest(t)["ConfigMap"].Metadata.Name, at[dir].ConfigMap.Name)
	require.NotNil(t, at[flags["data"]].EmptyDir, flags["data"])
	assert.Contains(t, flags, "watch")
}

func TestTheProbesAskTheAdminServer(t *testing.T) {
	c, _ := sidecar(t)
	boot, err := config.Parse("samaritan.yaml", configMap(t))
	require.NoError(t, err)
	bind := boot.Proto.GetAdmin().GetBind()
	assert.Equal(t, "0.0.0.0", bind.GetIp(), "the kubelet comes by the address of the pod")
	assert.Equal(t, []containerPort{{"admin", int(bind.GetPort())}}, c.Ports)

	admin := running(t, configMap(t))
	for p, want := range map[*probe]int{c.StartupProbe: 503, c.ReadinessProbe: 503, c.LivenessProbe: 200} {
		require.NotNil(t, p)
		assert.Equal(t, "admin", p.HTTPGet.Port)
		assert.Equal(t, want, status(t, "http://"+admin+p.HTTPGet.Path), p.HTTPGet.Path)
	}
}

func TestThePodGivesTheSidecarWhatItNeeds(t *testing.T) {
	objects := manifest(t)
	deployment := objects["Deployment"].Spec
	pod := deployment.Template
	c, flags := sidecar(t)
	assert.Greater(t, time.Duration(pod.Spec.TerminationGracePeriodSeconds)*time.Second, drainOf(t, flags))
	assert.Equal(t, deployment.Selector.MatchLabels, pod.Metadata.Labels)
	assert.Equal(t, imageUser, c.SecurityContext.RunAsUser)
	assert.Equal(t, imageUser, pod.Spec.SecurityContext.FSGroup)
	assert.False(t, c.SecurityContext.AllowPrivilegeEscalation)

	// Two processes at a hot restart, and the supervisor.
	require.Equal(t, "GOMEMLIMIT", c.Env[0].Name)
	each := mebibytes(t, c.Env[0].Value)
	assert.LessOrEqual(t, 2*each+12, mebibytes(t, c.Resources.Limits["memory"]))

	// The admin server has no password.
	policy := objects["NetworkPolicy"].Spec
	assert.Equal(t, pod.Metadata.Labels, policy.PodSelector.MatchLabels)
	assert.Equal(t, []string{"Ingress"}, policy.PolicyTypes)
	require.NotNil(t, policy.Ingress)
	assert.Empty(t, *policy.Ingress)
}

func mebibytes(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSuffix(text, "B"), "Mi"))
	require.NoError(t, err)
	return n
}
