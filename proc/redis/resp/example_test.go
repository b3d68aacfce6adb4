package resp_test

import (
	"fmt"

	"samaritan/proc/redis/resp"
)

// A connection calls Parse until it returns 0, reads more, and calls it again.
func ExampleParser() {
	var p resp.Parser
	b := []byte("*2\r\n$3\r\nGET\r\n$3\r\nkey\r\nPING 'a b'\r\n*2\r\n$3\r\nGET\r\n$10\r\nhal")
	for {
		n, err := p.Parse(b)
		if err != nil {
			fmt.Println("-ERR", err)
			return
		}
		if n == 0 {
			fmt.Println("needs", p.Need())
			return
		}
		frame := p.Frame(b)
		for _, a := range p.Args {
			fmt.Printf("%q ", frame[a.Off:a.Off+a.Len])
		}
		fmt.Printf("sent on as %q\n", frame)
		b = b[n:]
	}
	// Output:
	// "GET" "key" sent on as "*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n"
	// "PING" "a b" sent on as "*2\r\n$4\r\nPING\r\n$3\r\na b\r\n"
	// needs 9
}

// Two replies to parts of an MGET become one without decoding an element.
func ExampleNext() {
	parts := []string{"*2\r\n$1\r\na\r\n$-1\r\n", "*1\r\n$1\r\nc\r\n"}
	merged := resp.AppendArrayHeader(nil, 3)
	for _, part := range parts {
		_, n, rest, err := resp.Header([]byte(part))
		for range n {
			var elem []byte
			if elem, rest, err = resp.Next(rest); err != nil {
				break
			}
			merged = append(merged, elem...)
		}
		if err != nil {
			fmt.Println(err)
			return
		}
	}
	fmt.Printf("%q\n", merged)
	// Output: "*3\r\n$1\r\na\r\n$-1\r\n$1\r\nc\r\n"
}

func ExampleScanner() {
	var s resp.Scanner
	b := []byte("+OK\r\n*1\r\n$5\r\nhe")
	n, err := s.Scan(b)
	fmt.Println(n, err)
	b = b[n:]
	n, err = s.Scan(b)
	fmt.Println(n, err, s.Need())
	n, err = s.Scan(append(b, "llo\r\n"...))
	fmt.Println(n, err)
	// Output:
	// 5 <nil>
	// 0 <nil> 5
	// 15 <nil>
}
