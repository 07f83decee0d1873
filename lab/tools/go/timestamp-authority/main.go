// A timestamp authority for the lab: the server of sigstore/timestamp-authority, without its metrics.
//
// Its own command listens on port 2112 for them, whatever it is told, and ends when the port is taken: a second
// lab on one machine, or anything else there, would keep it from starting.
//
//	timestamp-server serve --host 127.0.0.1 --port 3004 --timestamp-signer file \
//	  --file-signer-key-path tsa.key --file-signer-passwd secret --certificate-chain-path chain.pem
package main

import (
	"flag"
	"log"
	"os"
	"time"

	"github.com/spf13/viper"

	// For its flags alone: it gives viper the defaults of every setting that the server reads.
	_ "github.com/sigstore/timestamp-authority/v2/cmd/timestamp-server/app"
	"github.com/sigstore/timestamp-authority/v2/pkg/server"
)

const (
	requestTimeout = 30 * time.Second
	// How long open connections may live on when the server ends; its own command waits ten minutes.
	cleanupTimeout = time.Second
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("timestamp-server: ")
	if err := serve(os.Args[1:]); err != nil {
		log.Fatal(err)
	}
}

func serve(args []string) error {
	flags := flag.NewFlagSet("serve", flag.ExitOnError)
	host := flags.String("host", "127.0.0.1", "address to listen on")
	// There is no monitoring here; the server's own command needs the flag to leave it off.
	flags.Bool("disable-ntp-monitoring", true, "accepted, and without effect")
	port := flags.Int("port", 0, "port to listen on")
	// Settings that the server's packages read from viper.
	settings := map[string]string{
		"timestamp-signer":       "memory, or file",
		"file-signer-key-path":   "file with the private key, PEM",
		"file-signer-passwd":     "its password",
		"certificate-chain-path": "file with the certificates, leaf first, PEM",
	}
	values := make(map[string]*string, len(settings))
	for name, usage := range settings {
		values[name] = flags.String(name, viper.GetString(name), usage)
	}
	if len(args) > 0 && args[0] == "serve" {
		args = args[1:]
	}
	if err := flags.Parse(args); err != nil {
		return err
	}
	for name, value := range values {
		viper.Set(name, *value)
	}
	api := server.NewRestAPIServer(*host, *port, []string{"http"}, false, requestTimeout, requestTimeout)
	api.CleanupTimeout = cleanupTimeout
	return api.Serve()
}
