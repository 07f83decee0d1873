// Ctlog is a certificate transparency log on plain files, for the lab's Sigstore: Fulcio submits every
// certificate to it and puts the log's signed timestamp into the certificate.
//
// It stands in for tesseract's own posix command, which needs a pre-release of tessera. The packages below the
// command work with the published one.
//
//	ctlog --key ct.key --origin ct.local --dir ct --roots fulcio.pem --addr 127.0.0.1:6962
package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/transparency-dev/tessera"
	tposix "github.com/transparency-dev/tessera/storage/posix"
	antispam "github.com/transparency-dev/tessera/storage/posix/antispam"
	"github.com/transparency-dev/tesseract"
	"github.com/transparency-dev/tesseract/storage"
	"github.com/transparency-dev/tesseract/storage/posix"
	"golang.org/x/mod/sumdb/note"
)

const (
	// A build of the lab waits for its certificate: these are short, where a public log's are long.
	checkpointInterval = 200 * time.Millisecond
	batchMaxAge        = 50 * time.Millisecond
	batchMaxSize       = 64

	// How many submissions are remembered in memory to recognise a duplicate.
	antispamEntries = 1024

	requestDeadline   = 10 * time.Second
	shutdownDeadline  = 5 * time.Second
	maxCertChainBytes = 1 << 20
)

type settings struct {
	key, origin, roots, dir, addr string
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("ctlog: ")
	settings, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(0)
	}
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := serve(ctx, settings); err != nil {
		log.Fatal(err)
	}
}

// parse reads the flags; all but the address must be given.
func parse(args []string) (settings, error) {
	var s settings
	flags := flag.NewFlagSet("ctlog", flag.ContinueOnError)
	flags.StringVar(&s.key, "key", "", "file with the log's P-256 private key, SEC1 PEM")
	flags.StringVar(&s.origin, "origin", "", "origin of the log in its checkpoints, for example ct.local")
	flags.StringVar(&s.roots, "roots", "", "PEM file of the root certificates whose leaves are accepted")
	flags.StringVar(&s.dir, "dir", "", "folder for the log's files; made when missing")
	flags.StringVar(&s.addr, "addr", "127.0.0.1:0", "address to listen on; port 0 takes a free one")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	for name, value := range map[string]string{"key": s.key, "origin": s.origin, "roots": s.roots, "dir": s.dir} {
		if value == "" {
			return s, fmt.Errorf("--%s is missing", name)
		}
	}
	return s, nil
}

// serve answers until the context ends, and then lets requests under way finish.
func serve(ctx context.Context, s settings) error {
	signer, err := readKey(s.key)
	if err != nil {
		return err
	}
	// Fulcio's certificates are for code signing only; by default the log accepts those for TLS servers.
	chains := tesseract.ChainValidationConfig{RootsPEMFile: s.roots, ExtKeyUsages: "CodeSigning"}
	// A negative rate means no limit: the lab may submit one certificate as often as it likes.
	options := tesseract.LogHandlerOpts{MaxCertChainBytes: maxCertChainBytes, DedupRL: -1}
	handler, err := tesseract.NewLogHandler(
		ctx, s.origin, signer, chains, opener(s.dir), requestDeadline, false, "", options)
	if err != nil {
		return fmt.Errorf("cannot open the log in %s: %w", s.dir, err)
	}
	listener, err := net.Listen("tcp", s.addr)
	if err != nil {
		return err
	}
	log.Printf("listening on http://%s", listener.Addr())

	server := &http.Server{Handler: handler, ReadHeaderTimeout: requestDeadline}
	stopped := make(chan error, 1)
	go func() { stopped <- server.Serve(listener) }()
	select {
	case err := <-stopped:
		return err
	case <-ctx.Done():
		last, cancel := context.WithTimeout(context.Background(), shutdownDeadline)
		defer cancel()
		return server.Shutdown(last)
	}
}

// readKey reads the log's key. Its public half is what Fulcio and the trusted root hold.
func readKey(path string) (*ecdsa.PrivateKey, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s holds no PEM block", path)
	}
	key, err := x509.ParseECPrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s holds no private key in SEC1 form (BEGIN EC PRIVATE KEY): %w", path, err)
	}
	return key, nil
}

// opener returns what opens the log's files once the handler has made the signer of its checkpoints.
func opener(dir string) func(context.Context, note.Signer) (*storage.CTStorage, error) {
	return func(ctx context.Context, signer note.Signer) (*storage.CTStorage, error) {
		driver, err := tposix.New(ctx, tposix.Config{Path: dir})
		if err != nil {
			return nil, err
		}
		duplicates, err := antispam.NewAntispam(ctx, filepath.Join(dir, ".state", "antispam"), antispam.AntispamOpts{})
		if err != nil {
			return nil, err
		}
		options := tessera.NewAppendOptions().
			WithCheckpointSigner(signer).
			WithCTLayout().
			WithAntispam(antispamEntries, duplicates).
			WithCheckpointInterval(checkpointInterval).
			WithBatching(batchMaxSize, batchMaxAge)
		appender, _, reader, err := tessera.NewAppender(ctx, driver, options)
		if err != nil {
			return nil, err
		}
		issuers, err := posix.NewIssuerStorage(ctx, dir)
		if err != nil {
			return nil, err
		}
		return storage.NewCTStorage(ctx, &storage.CTStorageOptions{
			Appender: appender, Reader: reader, IssuerStorage: issuers,
		})
	}
}
