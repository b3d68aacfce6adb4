package dynamic

import (
	"errors"
	"strconv"
	"strings"

	"samaritan/config"
)

// shorten cuts a text from outside to n bytes of valid UTF-8.
func shorten(s string, n int) string {
	if len(s) > n {
		s = s[:n] + "..."
	}
	return strings.ToValidUTF8(s, "?")
}

// shortName is a name as it is logged and listed.
func shortName(name string) string { return shorten(name, maxName) }

// few are the first names as they are logged, and how many more there are.
func few(names []string) []string {
	shown := make([]string, 0, min(len(names), maxLogged+1))
	for _, name := range names[:min(len(names), maxLogged)] {
		shown = append(shown, shortName(name))
	}
	if more := len(names) - maxLogged; more > 0 {
		shown = append(shown, "and "+strconv.Itoa(more)+" more")
	}
	return shown
}

// problemText is what is wrong with an update, in one line: the problems without
// the name of the service, which stands beside them.
func problemText(err error) string {
	var problems config.Problems
	if !errors.As(err, &problems) {
		return shorten(err.Error(), maxText)
	}
	var b strings.Builder
	for i, p := range problems {
		if i > 0 {
			b.WriteString("; ")
		}
		if b.Len() > maxText {
			b.WriteString(strconv.Itoa(len(problems)-i) + " more problems")
			break
		}
		p.File = ""
		b.WriteString(p.String())
	}
	return shorten(b.String(), 2*maxText)
}

// hide takes a secret out of a text.
func hide(text, secret string) string {
	if secret == "" {
		return text
	}
	return strings.ReplaceAll(text, secret, "***")
}
