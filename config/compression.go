package config

import "samaritan/api/redis"

// What holds of compression when the config says nothing, and what may be set.
const (
	defaultLevel        = 1
	defaultCompressSize = maxCompressSize
	defaultRatio        = 1000

	maxLevel        = 22        // of the zstd command, with --ultra
	maxCompressSize = 512 << 20 // the default of proto-max-bulk-len, Redis' limit on one value
	minRatio        = 10
	maxRatio        = 100_000
)

// fillCompression has no default for the threshold: which values are worth the
// work is for the user to say.
func fillCompression(c *redis.Compression) {
	orNumber(&c.Level, defaultLevel)
	orNumber(&c.MaxSize, defaultCompressSize)
	orNumber(&c.MaxRatio, defaultRatio)
}

func orNumber(n *uint32, value uint32) {
	if *n == 0 {
		*n = value
	}
}

// compression looks at the limits also while compression is off, as stored values
// are decompressed then too.
func (v *validator) compression(path string, c *redis.Compression) {
	v.known(path+".algorithm", c.Algorithm)
	v.atMost(path+".level", c.Level, maxLevel)
	v.atMost(path+".max_size", c.MaxSize, maxCompressSize)
	if c.MaxRatio < minRatio || c.MaxRatio > maxRatio {
		v.fail(path+".max_ratio", "must be %d..%d, is %d", minRatio, maxRatio, c.MaxRatio)
	}
	if c.Enable {
		v.threshold(path, c)
	}
}

// threshold checks the threshold against the size, or against none when the size
// itself is wrong. One that nothing can reach would be compression that is off; with the
// default size, which is that of the largest value there is, it was always accepted.
func (v *validator) threshold(path string, c *redis.Compression) {
	if c.Threshold == 0 {
		v.fail(path+".threshold", "must be more than 0 when compression is enabled")
	} else if c.Threshold > c.MaxSize && c.MaxSize != defaultCompressSize && !v.isBroken(path+".max_size") {
		v.fail(path+".threshold", "must be at most max_size, %d, is %d", c.MaxSize, c.Threshold)
	}
}
