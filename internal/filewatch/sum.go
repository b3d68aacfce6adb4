package filewatch

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

// maxRead is how much of a file counts. What is larger is no config.
const maxRead = 64 << 20

// errNotRegular is the error for a pipe, a directory and the like.
var errNotRegular = errors.New("is not a regular file")

// Sum stands for the content of a file. The zero value is that of no file.
type Sum [sha256.Size]byte

// SumOf reads the file at path. Its first 64 MiB count.
func SumOf(path string) (Sum, error) {
	// Opening a pipe would wait for somebody to write.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return Sum{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return Sum{}, err
	}
	if !info.Mode().IsRegular() {
		return Sum{}, fmt.Errorf("read %s: %w", path, errNotRegular)
	}
	h := sha256.New()
	if _, err := io.Copy(h, io.LimitReader(f, maxRead)); err != nil {
		return Sum{}, err
	}
	return Sum(h.Sum(nil)), nil
}
