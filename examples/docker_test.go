package examples

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// imageUser is the user that the image runs as.
const imageUser = 65532

// dockerfile returns the instructions of the Dockerfile: each its name and the rest.
func dockerfile() (list [][2]string, err error) {
	text, err := os.ReadFile("docker/Dockerfile")
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			name, rest, _ := strings.Cut(line, " ")
			list = append(list, [2]string{name, rest})
		}
	}
	return list, err
}

// having returns the rests of all instructions of a name.
func having(t *testing.T, name string) (rests []string) {
	t.Helper()
	list, err := dockerfile()
	require.NoError(t, err)
	for _, i := range list {
		if i[0] == name {
			rests = append(rests, i[1])
		}
	}
	return rests
}

// buildLine is the one that builds the program.
func buildLine() (string, error) {
	list, err := dockerfile()
	for _, i := range list {
		if i[0] == "RUN" && strings.Contains(i[1], " go build ") {
			return i[1], nil
		}
	}
	return "", errors.Join(errors.New("the Dockerfile does not build"), err)
}

// entryPoint is the command line of the image.
func entryPoint(t *testing.T) (words []string) {
	t.Helper()
	lines := having(t, "ENTRYPOINT")
	require.Len(t, lines, 1)
	require.NoError(t, json.Unmarshal([]byte(lines[0]), &words), "not the form that needs no shell")
	return words
}

func TestTheImageStartsTheProgramAsItIs(t *testing.T) {
	words := entryPoint(t)
	flags := values(t, words[1:])
	var places []string // of what is in the image
	for _, line := range having(t, "COPY") {
		if strings.HasPrefix(line, "--from=build ") {
			fields := strings.Fields(line)
			places = append(places, fields[len(fields)-1])
		}
	}
	assert.Contains(t, places, words[0])
	assert.Contains(t, places, flags["data"])
	assert.Equal(t, []string{strconv.Itoa(imageUser) + ":" + strconv.Itoa(imageUser)}, having(t, "USER"))
}

func TestTheImageIsBuiltWithTheGoThatTheModuleAsksFor(t *testing.T) {
	mod, err := os.ReadFile("../go.mod")
	require.NoError(t, err)
	version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindSubmatch(mod)
	require.NotNil(t, version)
	assert.Contains(t, having(t, "FROM")[0], " golang:"+string(version[1])+" ")
}

// What is left out of the context is not needed to build.
func TestTheProgramBuildsFromTheContextOfTheImage(t *testing.T) {
	ignored, err := os.ReadFile("docker/Dockerfile.dockerignore")
	require.NoError(t, err)
	out, err := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{range .GoFiles}}{{$.Dir}}/{{.}}\n{{end}}{{range .EmbedFiles}}{{$.Dir}}/{{.}}\n{{end}}{{end}}", "../cmd/samaritan").Output()
	require.NoError(t, err)
	root, err := filepath.Abs("..")
	require.NoError(t, err)
	ours := 0
	for file := range strings.Lines(string(out)) {
		rel, inside := strings.CutPrefix(strings.TrimSpace(file), root+"/")
		if !inside {
			continue
		}
		ours++
		for pattern := range strings.Lines(string(ignored)) {
			if pattern = strings.TrimSpace(pattern); pattern != "" && pattern[0] != '#' {
				assert.False(t, leavesOut(pattern, rel), "%s leaves out %s", pattern, rel)
			}
		}
	}
	assert.Greater(t, ours, 100)
}

// leavesOut tells whether a pattern without exceptions matches a file, or a directory above
// it.
func leavesOut(pattern, file string) bool {
	base, anywhere := strings.CutPrefix(pattern, "**/")
	for at := file; at != "."; at = path.Dir(at) {
		subject := at
		if anywhere {
			subject = path.Base(at)
		}
		if ok, _ := path.Match(base, subject); ok {
			return true
		}
	}
	return false
}

func TestTheConfigForTheImageIsGood(t *testing.T) {
	config, err := os.ReadFile("docker/samaritan.yaml")
	require.NoError(t, err)
	check(t, config)
}
