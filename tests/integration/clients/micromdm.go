// SPDX-License-Identifier: Apache-2.0

// A SCEP client on micromdm's library. It envelopes to every certificate of GetCACert, or, with
// "encipherment", to those whose keyUsage has that, and prints the certificate that it got, PEM.
package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io/ioutil"
	"math/big"
	"os"
	"time"

	"github.com/go-kit/kit/log"
	scepclient "github.com/micromdm/scep/client"
	"github.com/micromdm/scep/cryptoutil/x509util"
	"github.com/micromdm/scep/scep"
	"go.mozilla.org/pkcs7"
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func read(file string) []byte {
	text, err := ioutil.ReadFile(file)
	check(err)
	block, _ := pem.Decode(text)
	return block.Bytes
}

func readKey(file string) *rsa.PrivateKey {
	key, err := x509.ParsePKCS1PrivateKey(read(file))
	check(err)
	return key
}

func selfSigned(key *rsa.PrivateKey) *x509.Certificate {
	template := x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "go"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	check(err)
	cert, err := x509.ParseCertificate(der)
	check(err)
	return cert
}

// micromdm URL all|encipherment KEY CHALLENGE [OLD-CERTIFICATE OLD-KEY]
func main() {
	ctx, url, key, challenge := context.Background(), os.Args[1], readKey(os.Args[3]), os.Args[4]
	pkcs7.ContentEncryptionAlgorithm = pkcs7.EncryptionAlgorithmAES128CBC // the default is DES
	template := &scep.PKIMessage{MessageType: scep.PKCSReq, SignerKey: key}
	if len(os.Args) > 6 {
		old, err := x509.ParseCertificate(read(os.Args[5]))
		check(err)
		template.MessageType = scep.RenewalReq
		template.SignerCert, template.SignerKey = old, readKey(os.Args[6])
	} else {
		template.SignerCert = selfSigned(key)
	}

	client, err := scepclient.New(url, log.NewNopLogger())
	check(err)
	data, count, err := client.GetCACert(ctx, "")
	check(err)
	if count > 1 {
		template.Recipients, err = scep.CACerts(data)
	} else {
		template.Recipients, err = x509.ParseCertificates(data)
	}
	check(err)

	request := x509util.CertificateRequest{ChallengePassword: challenge}
	request.Subject = pkix.Name{CommonName: "anything"}
	der, err := x509util.CreateCertificateRequest(rand.Reader, &request, key)
	check(err)
	csr, err := x509.ParseCertificateRequest(der)
	check(err)
	selector := scep.NopCertsSelector()
	if os.Args[2] == "encipherment" {
		selector = scep.EnciphermentCertsSelector()
	}
	message, err := scep.NewCSRRequest(csr, template, scep.WithCertsSelector(selector))
	check(err)
	body, err := client.PKIOperation(ctx, message.Raw)
	check(err)

	reply, err := scep.ParsePKIMessage(body, scep.WithCACerts(template.Recipients))
	check(err)
	if reply.PKIStatus != scep.SUCCESS {
		check(fmt.Errorf("pkiStatus %s, failInfo %s", reply.PKIStatus, reply.FailInfo))
	}
	if reply.TransactionID != message.TransactionID {
		check(fmt.Errorf("another transactionID"))
	}
	check(reply.DecryptPKIEnvelope(template.SignerCert, template.SignerKey))
	check(pem.Encode(os.Stdout, &pem.Block{Type: "CERTIFICATE", Bytes: reply.Certificate.Raw}))
}
