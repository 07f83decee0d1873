package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// stdio is what a command sees of the shell around it. A shell's folder is its own, not the process's.
type stdio struct {
	in       io.Reader
	out, err io.Writer
	dir      string
	env      []string
}

func (s stdio) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(s.dir, name)
}

type command func(ctx context.Context, std stdio, args []string) error

// commands are all there are, each with the options that are named in its function and no others.
var commands = map[string]command{
	"arch":  func(ctx context.Context, std stdio, _ []string) error { return uname(ctx, std, []string{"-m"}) },
	"cat":   cat,
	"chmod": chmod,
	"cp":    cp,
	"env":   env,
	"ls":    ls,
	"mkdir": mkdir,
	"mv":    mv,
	"rm":    rm,
	"sleep": sleep,
	"touch": touch,
	"uname": uname,
}

// split divides options of one letter from operands, and refuses a letter that is not in known.
func split(args []string, known string) (options string, operands []string, err error) {
	for i, arg := range args {
		if arg == "--" {
			return options, append(operands, args[i+1:]...), nil
		}
		if len(arg) < 2 || arg[0] != '-' {
			operands = append(operands, arg)
			continue
		}
		for _, letter := range arg[1:] {
			if !strings.ContainsRune(known, letter) {
				return "", nil, fmt.Errorf("there is no option -%c", letter)
			}
			options += string(letter)
		}
	}
	return options, operands, nil
}

// uname -m: what the kernel says. Under QEMU that is the emulated machine, as `aarch64` for linux/arm64.
func uname(_ context.Context, std stdio, args []string) error {
	options, _, err := split(args, "amnrsv")
	if err != nil {
		return err
	}
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return err
	}
	fields := []struct {
		letter string
		value  []byte
	}{
		{"s", name.Sysname[:]}, {"n", name.Nodename[:]}, {"r", name.Release[:]},
		{"v", name.Version[:]}, {"m", name.Machine[:]},
	}
	if options == "" {
		options = "s"
	}
	var said []string
	for _, field := range fields {
		if strings.Contains(options, "a") || strings.Contains(options, field.letter) {
			said = append(said, unix.ByteSliceToString(field.value))
		}
	}
	_, err = fmt.Fprintln(std.out, strings.Join(said, " "))
	return err
}

// env prints the variables that a program would get.
func env(_ context.Context, std stdio, _ []string) error {
	variables := std.env
	if variables == nil {
		variables = os.Environ()
	}
	slices.Sort(variables)
	for _, variable := range variables {
		if _, err := fmt.Fprintln(std.out, variable); err != nil {
			return err
		}
	}
	return nil
}

// sleep takes seconds, with a fraction if need be.
func sleep(ctx context.Context, _ stdio, args []string) error {
	if len(args) != 1 {
		return errors.New("wants a number of seconds")
	}
	seconds, err := strconv.ParseFloat(args[0], 64)
	if err != nil {
		return fmt.Errorf("%q is not a number of seconds", args[0])
	}
	return pause(ctx, time.Duration(seconds*float64(time.Second)))
}
