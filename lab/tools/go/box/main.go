// Box is the shell of the lab's test images, and the handful of commands that their Dockerfiles and scripts
// call. It takes the place of busybox: one static file, made for every platform that the lab builds images for.
//
//	/bin/sh -c 'uname -m > /arch'
//	/bin/sh script.sh argument
//	/bin/uname -m              (a link to box that has a command's name runs that command)
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"mvdan.cc/sh/v3/interp"
	"mvdan.cc/sh/v3/syntax"
)

func main() {
	os.Exit(status(start(context.Background(), os.Args)))
}

// start runs what the program's name says: one of the commands, or else the shell.
func start(ctx context.Context, args []string) error {
	name := filepath.Base(args[0])
	if command, ok := commands[name]; ok {
		dir, err := os.Getwd()
		if err != nil {
			return err
		}
		std := stdio{in: os.Stdin, out: os.Stdout, err: os.Stderr, dir: dir}
		return run(ctx, command, std, name, args[1:])
	}
	return shell(ctx, args[1:])
}

// status turns an error into a code to exit with, and prints it unless it is just such a code.
func status(err error) int {
	var code interp.ExitStatus
	switch {
	case err == nil:
		return 0
	case errors.As(err, &code):
		return int(code)
	default:
		fmt.Fprintln(os.Stderr, "sh:", err)
		return 2
	}
}

// shell runs a script, which it takes as POSIX has it for sh: from -c, from a file, or from the standard input.
func shell(ctx context.Context, args []string) error {
	options, fromArgument, operands, err := parse(args)
	if err != nil {
		return err
	}
	script, name, parameters, err := source(fromArgument, operands)
	if err != nil {
		return err
	}
	// Not LangPOSIX: that leaves export and readonly to be commands, and the interpreter knows them as syntax only.
	program, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(script, name)
	if err != nil {
		return err
	}
	runner, err := interp.New(
		interp.StdIO(os.Stdin, os.Stdout, os.Stderr),
		interp.ExecHandlers(builtIn),
		interp.Params(append(append(options, "--"), parameters...)...),
	)
	if err != nil {
		return err
	}
	return runner.Run(ctx, program)
}

// parse splits `-ec SCRIPT NAME ARGUMENT...`: the options that set a mode of the shell, whether the script is an
// argument, and the operands. A login shell and one that reads its standard input are no different here.
func parse(args []string) (options []string, fromArgument bool, operands []string, err error) {
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if arg == "--" || arg == "-" {
			return options, fromArgument, args[i+1:], nil
		}
		if len(arg) < 2 || (arg[0] != '-' && arg[0] != '+') {
			return options, fromArgument, args[i:], nil
		}
		for _, letter := range arg[1:] {
			switch {
			case letter == 'c':
				fromArgument = true
			case letter == 'l' || letter == 's':
			case letter == 'o' && i+1 < len(args):
				i++
				options = append(options, arg[:1]+"o", args[i])
			case strings.ContainsRune("aefnux", letter):
				options = append(options, arg[:1]+string(letter))
			default:
				return nil, false, nil, fmt.Errorf("there is no option -%c", letter)
			}
		}
	}
	return options, fromArgument, nil, nil
}

// source opens the script. Of the operands after it, the first of -c is its name, and the others its parameters.
func source(fromArgument bool, operands []string) (io.Reader, string, []string, error) {
	if len(operands) == 0 {
		if fromArgument {
			return nil, "", nil, errors.New("-c wants a script")
		}
		return os.Stdin, "", nil, nil
	}
	if !fromArgument {
		script, err := os.ReadFile(operands[0])
		return strings.NewReader(string(script)), operands[0], operands[1:], err
	}
	if len(operands) == 1 {
		return strings.NewReader(operands[0]), "", nil, nil
	}
	return strings.NewReader(operands[0]), operands[1], operands[2:], nil
}

// builtIn puts box's own commands before those on PATH.
func builtIn(next interp.ExecHandlerFunc) interp.ExecHandlerFunc {
	return func(ctx context.Context, args []string) error {
		command, ok := commands[args[0]]
		if !ok {
			return next(ctx, args)
		}
		handler := interp.HandlerCtx(ctx)
		std := stdio{in: handler.Stdin, out: handler.Stdout, err: handler.Stderr, dir: handler.Dir}
		for name, variable := range handler.Env.Each {
			if variable.Exported {
				std.env = append(std.env, name+"="+variable.String())
			}
		}
		return run(ctx, command, std, args[0], args[1:])
	}
}

// run prints a command's error under its name, and makes it exit code 1.
func run(ctx context.Context, command command, std stdio, name string, args []string) error {
	err := command(ctx, std, args)
	var code interp.ExitStatus
	if err == nil || errors.As(err, &code) {
		return err
	}
	fmt.Fprintf(std.err, "%s: %v\n", name, err)
	return interp.ExitStatus(1)
}

// pause sleeps, unless the shell is stopped first.
func pause(ctx context.Context, duration time.Duration) error {
	select {
	case <-time.After(duration):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
