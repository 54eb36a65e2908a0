// SPDX-License-Identifier: Apache-2.0

// A server that takes the client's certificate from a header, as MDM servers in Go behind a proxy do:
// PEM, escaped as in a query. It answers with what it found, as JSON.
package main

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
)

type answer struct {
	Path        string   `json:"path"`
	Values      []string `json:"values"`
	Fingerprint string   `json:"fingerprint"`
	Error       string   `json:"error"`
}

func fingerprint(value string, roots *x509.CertPool) (string, error) {
	text, err := url.QueryUnescape(value)
	if err != nil {
		return "", err
	}
	block, rest := pem.Decode([]byte(text))
	if block == nil || block.Type != "CERTIFICATE" || len(rest) != 0 {
		return "", errors.New("not one PEM certificate")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return "", err
	}
	_, err = cert.Verify(x509.VerifyOptions{Roots: roots,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	return fmt.Sprintf("%x", sha256.Sum256(cert.Raw)), err
}

// certheader ADDRESS HEADER CA-FILE
func main() {
	ca, err := os.ReadFile(os.Args[3])
	roots := x509.NewCertPool()
	if err != nil || !roots.AppendCertsFromPEM(ca) {
		fmt.Fprintln(os.Stderr, "no CA", err)
		os.Exit(1)
	}
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		found, err := fingerprint(r.Header.Get(os.Args[2]), roots)
		a := answer{r.URL.Path, r.Header.Values(os.Args[2]), found, ""}
		if err != nil {
			a.Error = err.Error()
		}
		json.NewEncoder(w).Encode(a)
	})
	fmt.Fprintln(os.Stderr, http.ListenAndServe(os.Args[1], nil))
	os.Exit(1)
}
