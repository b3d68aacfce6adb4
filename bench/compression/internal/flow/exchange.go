package flow

import "fmt"

// Exchange is a request and its reply.
type Exchange struct {
	Request []byte // as it is sent
	Header  string // how the reply begins: up to the first CR LF, with it
	Size    int    // bytes of the whole reply, header and all
}

// Get asks for a value that is known.
func Get(key string, value []byte) Exchange {
	header := fmt.Sprintf("$%d\r\n", len(value))
	return Exchange{Request: command("GET", key), Header: header, Size: len(header) + len(value) + 2}
}

// Set stores a value.
func Set(key string, value []byte) Exchange {
	const ok = "+OK\r\n"
	return Exchange{Request: command("SET", key, string(value)), Header: ok, Size: len(ok)}
}

// MGet asks for the values of some keys, all of size bytes.
func MGet(keys []string, size int) Exchange {
	header := fmt.Sprintf("*%d\r\n", len(keys))
	return Exchange{
		Request: command("MGET", keys...), Header: header,
		Size: len(header) + len(keys)*(len(fmt.Sprintf("$%d\r\n", size))+size+2),
	}
}

func command(name string, args ...string) []byte {
	b := fmt.Appendf(nil, "*%d\r\n$%d\r\n%s\r\n", 1+len(args), len(name), name)
	for _, arg := range args {
		b = fmt.Appendf(b, "$%d\r\n%s\r\n", len(arg), arg)
	}
	return b
}
