package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

func cat(_ context.Context, std stdio, args []string) error {
	if len(args) == 0 {
		args = []string{"-"}
	}
	for _, name := range args {
		if err := catOne(std, name); err != nil {
			return err
		}
	}
	return nil
}

func catOne(std stdio, name string) error {
	if name == "-" {
		// A script without an input of its own has none to give.
		if std.in == nil {
			return nil
		}
		_, err := io.Copy(std.out, std.in)
		return err
	}
	file, err := os.Open(std.path(name))
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = io.Copy(std.out, file)
	return err
}

// chmod takes octal modes, +x and a+x.
func chmod(_ context.Context, std stdio, args []string) error {
	if len(args) < 2 {
		return errors.New("wants a mode and files")
	}
	for _, name := range args[1:] {
		info, err := os.Stat(std.path(name))
		if err != nil {
			return err
		}
		mode := info.Mode().Perm() | 0o111
		if args[0] != "+x" && args[0] != "a+x" {
			bits, err := strconv.ParseUint(args[0], 8, 12)
			if err != nil {
				return fmt.Errorf("%q is neither an octal mode nor +x", args[0])
			}
			mode = fs.FileMode(bits).Perm()
		}
		if err := os.Chmod(std.path(name), mode); err != nil {
			return err
		}
	}
	return nil
}

// pairs gives each source with where it goes: into the last operand when that is a folder, else to its name.
func pairs(std stdio, operands []string) ([][2]string, error) {
	if len(operands) < 2 {
		return nil, errors.New("wants a source and a destination")
	}
	sources, to := operands[:len(operands)-1], std.path(operands[len(operands)-1])
	info, err := os.Stat(to)
	isFolder := err == nil && info.IsDir()
	if len(sources) > 1 && !isFolder {
		return nil, fmt.Errorf("%s is not a folder", to)
	}
	var found [][2]string
	for _, source := range sources {
		target := to
		if isFolder {
			target = filepath.Join(to, filepath.Base(source))
		}
		found = append(found, [2]string{std.path(source), target})
	}
	return found, nil
}

// cp -r copies folders too; modes are kept, links followed.
func cp(_ context.Context, std stdio, args []string) error {
	options, operands, err := split(args, "aprR")
	if err != nil {
		return err
	}
	copies, err := pairs(std, operands)
	if err != nil {
		return err
	}
	for _, pair := range copies {
		if err := copyTree(pair[0], pair[1], strings.ContainsAny(options, "arR")); err != nil {
			return err
		}
	}
	return nil
}

func copyTree(from, to string, recursive bool) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return copyFile(from, to, info.Mode().Perm())
	}
	if !recursive {
		return fmt.Errorf("%s is a folder (-r copies it)", from)
	}
	if err := os.MkdirAll(to, info.Mode().Perm()|0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(from)
	for _, entry := range entries {
		if err := copyTree(filepath.Join(from, entry.Name()), filepath.Join(to, entry.Name()), true); err != nil {
			return err
		}
	}
	return err
}

func copyFile(from, to string, mode fs.FileMode) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// ls prints names, one a line; -a also those with a dot, -l mode and size before each.
func ls(_ context.Context, std stdio, args []string) error {
	options, operands, err := split(args, "1al")
	if err != nil {
		return err
	}
	if len(operands) == 0 {
		operands = []string{"."}
	}
	for _, name := range operands {
		info, err := os.Lstat(std.path(name))
		if err != nil {
			return err
		}
		if !info.IsDir() {
			printEntry(std.out, options, name, info)
			continue
		}
		entries, err := os.ReadDir(std.path(name))
		if err != nil {
			return err
		}
		for _, entry := range entries {
			if strings.HasPrefix(entry.Name(), ".") && !strings.Contains(options, "a") {
				continue
			}
			if info, err := entry.Info(); err == nil {
				printEntry(std.out, options, entry.Name(), info)
			}
		}
	}
	return nil
}

func printEntry(out io.Writer, options, name string, info fs.FileInfo) {
	if strings.Contains(options, "l") {
		fmt.Fprintf(out, "%s %10d ", info.Mode(), info.Size())
	}
	fmt.Fprintln(out, name)
}

// mkdir -p makes the folders above too, and is content with one that is there.
func mkdir(_ context.Context, std stdio, args []string) error {
	options, operands, err := split(args, "p")
	if err != nil {
		return err
	}
	for _, name := range operands {
		make := os.Mkdir
		if strings.Contains(options, "p") {
			make = os.MkdirAll
		}
		if err := make(std.path(name), 0o755); err != nil {
			return err
		}
	}
	return nil
}

func mv(_ context.Context, std stdio, args []string) error {
	_, operands, err := split(args, "f")
	if err != nil {
		return err
	}
	moves, err := pairs(std, operands)
	if err != nil {
		return err
	}
	for _, pair := range moves {
		if err := os.Rename(pair[0], pair[1]); err != nil {
			return err
		}
	}
	return nil
}

// rm -r removes folders too; -f is content with what is not there.
func rm(_ context.Context, std stdio, args []string) error {
	options, operands, err := split(args, "frR")
	if err != nil {
		return err
	}
	for _, name := range operands {
		remove := os.Remove
		if strings.ContainsAny(options, "rR") {
			remove = os.RemoveAll
		}
		err := remove(std.path(name))
		if err != nil && !(errors.Is(err, fs.ErrNotExist) && strings.Contains(options, "f")) {
			return err
		}
	}
	return nil
}

func touch(_ context.Context, std stdio, args []string) error {
	for _, name := range args {
		file, err := os.OpenFile(std.path(name), os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			return err
		}
		now := time.Now()
		if err := errors.Join(file.Close(), os.Chtimes(std.path(name), now, now)); err != nil {
			return err
		}
	}
	return nil
}
