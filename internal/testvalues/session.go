package testvalues

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"math/rand/v2"
	"strconv"
)

// Session makes a serialized session: some small fields, then signed tokens, each with a name and a date,
// which are most of a large one. It is cut at the end.
func Session(r *rand.Rand, size int) []byte {
	dst := make([]byte, 0, size+1024)
	dst = append(dst, "sid="...)
	dst = appendBase64(dst, r, base64.RawURLEncoding, 43)
	dst = append(dst, ";user.id="...)
	dst = strconv.AppendInt(dst, r.Int64N(10_000_000), 10)
	dst = append(dst, ";user.name="+pick(r, firstNames)+" "+pick(r, lastNames)+";user.locale=en-"+pick(r, countries)...)
	dst = append(dst, ";csrf="...)
	dst = appendToken(dst, r, hexDigits, 32)
	dst = append(dst, ";ip=10."...)
	dst = strconv.AppendInt(dst, r.Int64N(256), 10)
	dst = append(dst, ".0.1;remember="+strconv.FormatBool(chance(r, 0.5))...)
	for len(dst) < size {
		dst = appendGrant(dst, r)
	}
	return dst[:size]
}

// appendGrant appends the fields of one token.
func appendGrant(dst []byte, r *rand.Rand) []byte {
	issued := moment(r)
	dst = append(dst, ";grant.scope="+pick(r, tags)+":"+pick(r, statuses)+";grant.issued="...)
	dst = appendTime(dst, issued)
	dst = append(dst, ";grant.expires="...)
	dst = appendTime(dst, issued.AddDate(0, 0, 30))
	dst = append(dst, ";grant.token=eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."...) // {"alg":"HS256","typ":"JWT"}
	dst = appendBase64(dst, r, base64.RawURLEncoding, 80+r.IntN(80))
	dst = append(dst, '.')
	return appendBase64(dst, r, base64.RawURLEncoding, 43)
}

// Gzip makes what gzip makes of JSON, at its default level: the first size bytes of a longer stream.
func Gzip(r *rand.Rand, size int) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	for b.Len() < size {
		// Neither fails: they write to memory.
		_, _ = w.Write(JSON(r, 3*size+1024))
		_ = w.Flush()
	}
	return b.Bytes()[:size:size]
}
