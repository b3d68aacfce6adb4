package main

import (
	"samaritan/api/bootstrap"
	"samaritan/internal/logging"
)

// newLogger makes the logger that the config asks for.
func newLogger(c *bootstrap.Log) (*logging.Logger, error) { return logging.New(logOptions(c)) }

func logOptions(c *bootstrap.Log) logging.Options {
	o := logging.Options{Level: c.GetLevel().String(), App: "samaritan"}
	if c.GetOutput().GetType() == bootstrap.Log_Output_SYSLOG {
		o.Output, o.Target = logging.Syslog, c.GetOutput().GetTarget()
	}
	return o
}
