# SPDX-License-Identifier: Apache-2.0
"""The scep endpoint as clients see it that this project did not write, in every mode that it has:
strongSwan's pki, certmonger, micromdm's library in Go, Bouncy Castle in Java, Debian's scepclient;
and what old clients of Apple's sent."""

import base64
import dataclasses
import re
import urllib.parse

import pytest
from asn1crypto import cms as asn1_cms
from asn1crypto import core
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from harness import cms, paths, pki, scep, scep_clients
from harness.database import unchanged
from harness.http import curl
from harness.ports import free_port
from harness.process import run
from harness.site import SCEP, Site, Walk, certificate, endpoints, vhost

ALWAYS = "MDMEnrollRenewal 3650d\n"
WEAK = "MDMEnrollSCEPAllow SHA-1 DES3\n"


@dataclasses.dataclass
class Mode:
    """One way to configure the endpoint: a TLS host for the walk, and a port for SCEP without."""
    host: str
    ca: pki.Identity
    ra: pki.Identity = None
    directives: str = ""
    port: int = dataclasses.field(default_factory=free_port)

    @property
    def answers(self):
        """Who opens and answers messages."""
        return self.ra or self.ca

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}{SCEP}"

    def vhosts(self, site):
        text = f"MDMEnrollCA {self.ca.cert_file} {self.ca.key_file}\n" + self.directives
        if self.ra:
            text += f"MDMEnrollRA {self.ra.cert_file} {self.ra.key_file}\n"
        signer = site.world.signer
        plain = (f"MDMEnrollBaseURL {site.url('', self.host)}\n"
                 f"MDMEnrollSigner {signer.cert_file} {signer.key_file} "
                 f"{site.world.site.intermediate.cert_file}\n")
        return (site.tls_vhost(self.host, text, certificates=site.tls_certificate) +
                f"Listen 127.0.0.1:{self.port}\n" +
                vhost(self.port, "plain.test", plain + text + endpoints(site.authentication),
                      protocols="http/1.1"))


def make_modes(world):
    """By name. One RSA key does for every RA, since making one takes a third of a second."""
    maker, ca = world.maker, world.site.ca
    ec_ca = maker.issue("O=Test, CN=Test P-256 CA", key="p256", ca=True, end=pki.days(3650),
                        usage={"key_cert_sign", "crl_sign"})
    ra = maker.issue("O=Test, CN=Test RA", ca, end=pki.days(365))
    ec_ra = maker.issue("O=Test, CN=Test RA", ec_ca, key=ra.key, end=pki.days(365))
    return {"single": Mode("single.test", ca, directives=ALWAYS),
            "ra": Mode("ra.test", ca, ra, directives=ALWAYS),
            "ec": Mode("ec.test", ec_ca, ec_ra, directives=ALWAYS),
            "weak": Mode("weak.test", ca, directives=ALWAYS + WEAK),
            "weak ra": Mode("weak-ra.test", ca, ra, directives=ALWAYS + WEAK),
            "weak ec": Mode("weak-ec.test", ec_ca, ec_ra, directives=ALWAYS + WEAK),
            "early": Mode("early.test", ca, ra, directives="MDMEnrollNextCA "
                          f"{maker.bundle('next-ca.pem', ec_ca, ec_ra)}\n")}


class Hosts(Site):
    def __init__(self, world, folder, modes):
        self.modes = modes
        names = [mode.host for mode in modes.values()]
        identity = world.maker.issue(f"O=Test, CN={names[0]}", world.site.intermediate, names=names,
                                     eku=[ExtendedKeyUsageOID.SERVER_AUTH])
        self.tls_certificate = certificate(identity, bundle=world.bundle(identity))
        super().__init__(world, folder, vhosts=lambda site: "".join(
            mode.vhosts(site) for mode in modes.values()))


@pytest.fixture(scope="module")
def hosts(world):
    site = Hosts(world, world.new_folder("scep-clients"), make_modes(world)).start()
    yield site
    site.stop()


class Client(Walk):
    """A device whose certificates another program fetches."""

    def __init__(self, site, mode):
        self.mode = site.modes[mode]
        super().__init__(site, site.world.device(), host=self.mode.host)

    def challenged(self):
        return self.offer().identify()

    def certify(self, client="strongswan", **options):
        key = self.request().key
        return self.take(key, self.strongswan(key, **options))

    def take(self, key, cert):
        """What a program got: of this CA, for this device, for that key."""
        run("openssl", "verify", "-CAfile", self.mode.ca.cert_file,
            data=cert.public_bytes(Encoding.PEM))
        assert cert.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == self.device.udid
        assert cert.public_key().public_numbers() == key.public_key().public_numbers()
        self.identity = self.site.world.maker.store(cert, key)
        return self

    def strongswan(self, key, old=None, **options):
        """The certificate, or the failed run."""
        world = self.site.world
        return scep.strongswan(self.mode.url, self.mode.ca, None if old else self.scep_challenge,
                               scep.write_key(world.scratch, key), world.scratch, ra=self.mode.ra,
                               old=old, **options)

    def row(self, column):
        """Of the certificate at hand."""
        ((value,),) = self.site.database.query(
            f"SELECT {column} FROM certificate WHERE fingerprint = '{self.identity.fingerprint}'")
        return value


@pytest.fixture
def client(hosts):
    return lambda mode: Client(hosts, mode)


def refused(hosts, walk, message, **options):
    """What strongSwan says of it; nothing was changed."""
    hosts.expect(message)
    with unchanged(hosts.database):
        done = walk.strongswan(walk.request().key, ok=False, **options)
    assert done.returncode != 0
    return done


def strongswan_says(fail_info, done):
    return re.search(rf"failInfo: +{fail_info} ", done.stderr.decode())


def needs(program, where=()):
    """A mark: the test is skipped where the program is not installed."""
    try:
        paths.program(program, where=where)
        why = ""
    except paths.Missing as missing:
        why = str(missing)
    return pytest.mark.skipif(bool(why), reason=why)


# It also brings devices to where the other clients begin.
pytestmark = needs("pki")
MODES = ["single", "ra", "ec"]

# --- strongSwan ----------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("digest", ["sha256", "sha384", "sha512"])
def test_strongswan(client, mode, digest):
    """It has one cipher but triple DES: AES-128."""
    client(mode).challenged().certify(digest=digest)


@pytest.mark.parametrize("mode", ["weak", "weak ra"])
@pytest.mark.parametrize("digest, cipher", [("sha1", "des3"), ("sha512", "des3")])
def test_strongswan_with_what_old_clients_use(client, mode, digest, cipher):
    client(mode).challenged().certify(digest=digest, cipher=cipher)


@pytest.mark.parametrize("mode", MODES)
def test_strongswan_is_refused_what_old_clients_use(hosts, client, mode):
    """Its pki looks at GetCACaps and goes on for all that."""
    walk = client(mode).challenged()
    for digest, cipher in (("sha1", "aes"), ("sha256", "des3"), ("sha224", "aes")):
        done = refused(hosts, walk, "SCEP_ALGORITHM", digest=digest, cipher=cipher)
        assert strongswan_says("badAlg", done)


@pytest.mark.parametrize("mode", ["ra", "ec"])
def test_strongswan_gets_ca_and_ra(hosts, mode, tmp_path):
    made = hosts.modes[mode]
    assert scep.strongswan_ca(made.url, tmp_path, ra=True) == (made.ca.der, made.ra.der)


@pytest.mark.parametrize("mode", MODES)
def test_strongswan_renews(hosts, client, mode):
    """RenewalReq: no challenge, another key, signed with the old one. A second one ends the first
    certificate."""
    walk = client(mode).all()
    first = walk.identity
    for digest in ("sha256", "sha512"):
        key = walk.request().key
        walk.take(key, walk.strongswan(key, old=walk.identity, digest=digest))
        assert walk.row("purpose") == "mdm"
    revoked = dict(hosts.database.query("SELECT fingerprint, revoked_at FROM certificate"))
    assert revoked[first.fingerprint] != "0" and revoked[walk.identity.fingerprint] == "0"
    assert "scep: RenewalReq: enrollment" in hosts.log.text()


def test_strongswan_renews_too_early(hosts, client):
    walk = client("early").all()
    assert strongswan_says("badRequest", refused(hosts, walk, "SCEP_RENEWAL", old=walk.identity))


def test_strongswan_renews_what_was_revoked(hosts, client):
    walk = client("ra").all()
    hosts.database.execute("UPDATE certificate SET revoked_at = 1 WHERE fingerprint = ?",
                           walk.identity.fingerprint)
    refused(hosts, walk, "CERTIFICATE_REVOKED", old=walk.identity)


def test_strongswan_renews_the_wrong_one(hosts, client):
    """The identity of the enrollment itself, and a certificate that another CA issued."""
    walk = client("ra").all()
    refused(hosts, walk, "CERTIFICATE_PURPOSE", old=walk.enrolled_with)
    stranger = hosts.world.maker.issue("O=Test, CN=Stranger", hosts.modes["ec"].ca,
                                       key=walk.identity.key)
    refused(hosts, walk, "SCEP_SIGNER", old=stranger)


# --- micromdm's library --------------------------------------------------------------------------


def made(kind, folder):
    """A client in a folder of its own."""
    folder.mkdir()
    try:
        return kind(folder)
    except paths.Missing as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def micromdm(world):
    return made(scep_clients.Micromdm, world.scratch / "micromdm")


# It envelopes to each certificate of GetCACert, which the library cannot do for a P-256 key.
@pytest.mark.parametrize("mode, recipients", [("weak", "all"), ("weak ra", "all"),
                                              ("weak ra", "encipherment"),
                                              ("weak ec", "encipherment")])
def test_micromdm(client, micromdm, mode, recipients):
    walk = client(mode).challenged()
    key = walk.request().key
    walk.take(key, micromdm.ask(walk.mode.url, key, walk.scep_challenge, recipients=recipients))


@pytest.mark.parametrize("mode", ["weak", "weak ra"])
def test_micromdm_renews(client, micromdm, mode):
    walk = client(mode).all()
    key = walk.request().key
    walk.take(key, micromdm.ask(walk.mode.url, key, "", old=walk.identity))
    assert walk.row("purpose") == "mdm"


def test_micromdm_is_refused_sha1(hosts, client, micromdm):
    walk = client("ra").challenged()
    hosts.expect("SCEP_ALGORITHM")
    with unchanged(hosts.database):
        done = micromdm.ask(walk.mode.url, walk.request().key, walk.scep_challenge, ok=False)
    assert b"pkiStatus 2, failInfo badAlg" in done.stderr, done


# --- Bouncy Castle -------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def bouncy_castle(world):
    return made(scep_clients.BouncyCastle, world.scratch / "bouncy-castle")


@pytest.mark.parametrize("mode, method", [("single", "POST"), ("ra", "GET"), ("ec", "GET")])
def test_bouncy_castle(client, bouncy_castle, mode, method):
    """BER of indefinite length inside and outside. CertPoll brings the same certificate again. By
    GET there are raw "+" and "/" in the query."""
    walk = client(mode).challenged()
    key, made = walk.request().key, walk.mode
    first, again = bouncy_castle.ask(made.url, method, made.ca, made.answers, key,
                                     f"PKCSReq={walk.scep_challenge}", "CertPoll")
    assert first == again
    walk.take(key, x509.load_pem_x509_certificate(first))


def test_bouncy_castle_gets_certificate_and_list(hosts, client, bouncy_castle):
    """GetCert brings another certificate of the same enrollment, GetCRL the list with what was
    revoked of this CA."""
    walk = client("ec").all()
    revoked = client("ec").challenged().certify().identity.cert.serial_number
    hosts.database.execute("UPDATE certificate SET revoked_at = 1 WHERE serial = ?", f"{revoked:x}")
    made, first = walk.mode, walk.enrolled_with.cert
    cert, crl = bouncy_castle.ask(made.url, "GET", made.ca, made.answers, walk.identity.key,
                                  f"GetCert={first.serial_number}", "GetCRL", signer=walk.identity)
    assert x509.load_pem_x509_certificate(cert) == first
    crl = x509.load_pem_x509_crl(crl)
    assert crl.is_signature_valid(made.ca.cert.public_key())
    assert crl.get_revoked_certificate_by_serial_number(revoked) is not None


def test_bouncy_castle_polls_for_nothing(hosts, client, bouncy_castle):
    made = hosts.modes["ra"]
    hosts.expect("SCEP_CERT_ID")
    done = bouncy_castle.ask(made.url, "POST", made.ca, made.answers, client("ra").request().key,
                             "CertPoll", ok=False)
    assert b"pkiStatus 2, failInfo 4" in done.stderr, done


# --- certmonger ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certmonger(world):
    daemon = made(scep_clients.Certmonger, world.scratch / "certmonger")
    yield daemon
    daemon.stop()


@pytest.mark.parametrize("mode", MODES)
def test_certmonger(hosts, client, certmonger, mode):
    """GET only. It renews by PKCSReq, signed with the old certificate, and repeats the challenge,
    long spent by then."""
    walk = client(mode).challenged().certify().deliver()
    certmonger.add(mode, walk.mode.url, None if walk.mode.ra else walk.mode.ca)
    key = walk.request().key
    request = certmonger.request(mode, key, walk.scep_challenge)
    walk.take(key, certmonger.got(request)[0])
    hosts.database.execute("UPDATE challenge SET used_at = used_at - 86400")
    renewed(walk, certmonger, "resubmit", request)
    if mode == "ra":
        renewed(walk, certmonger, "rekey", request)


def renewed(walk, certmonger, command, request):
    old = walk.identity
    certmonger.again(command, request)
    cert, key = certmonger.got(request)
    assert cert != old.cert
    assert (key.private_numbers() == old.key.private_numbers()) == (command == "resubmit")
    walk.take(key, cert)
    assert walk.row("authority") == old.fingerprint


@needs("scep-submit", where=scep.CERTMONGER)
@pytest.mark.parametrize("mode", ["ra", "ec"])
def test_certmonger_helper(client, mode):
    """What the daemon runs: GetCACaps, GetCACert (RA, then CA), PKCSReq, and CertPoll, which the
    daemon sends where a request was left pending."""
    walk = client(mode).challenged()
    request, ca, ra = walk.request(), walk.mode.ca, walk.mode.ra
    assert b"Renewal" in scep.certmonger(walk.mode.url, ca.cert_file, "-c").split()
    assert scep.certmonger(walk.mode.url, None, "-C").split() == (ra.pem + ca.pem).split()
    cert = scep.certmonger_enroll(
        walk.mode.url, ca.cert_file, request.message(walk.scep_challenge, ra.cert_file),
        request.signer, ra_file=ra.cert_file)
    walk.take(request.key, cert)
    poll = request.message(None, ra.cert_file, message_type="20", request=cms.sequence(
        cert.issuer.public_bytes(), cert.subject.public_bytes()))
    assert scep.certmonger_enroll(walk.mode.url, ca.cert_file, poll, request.signer, "-g",
                                  ra.cert_file) == cert


# --- scepclient ----------------------------------------------------------------------------------


@needs("scepclient")
def test_scepclient_in_ra_mode(hosts, client, tmp_path):
    """Single DES, to CA and RA alike: a clean refusal."""
    walk = client("weak ra").challenged()
    hosts.expect("SCEP_ALGORITHM")
    with unchanged(hosts.database):
        done = scep.scepclient(walk.mode.url, walk.scep_challenge, tmp_path)
    assert done.returncode != 0 and b"badalg" in (done.stdout + done.stderr).lower()


# --- old devices of Apple's ----------------------------------------------------------------------


# Seen in 2016 and 2017: digest, version of the request, challenge in clear beside it.
OLD_APPLE = {"2016": ("sha1", 2, False), "2017": ("sha512", 0, True), "both": ("sha1", 2, True)}


def old_apple(walk, year):
    """(request, message)"""
    digest, version, in_clear = OLD_APPLE[year]
    request, challenge = walk.request(), walk.scep_challenge
    others = [cms.attribute("1.2.840.113549.1.9.7", core.PrintableString(challenge))]
    return request, request.message(
        challenge, walk.mode.answers.cert_file, cipher="des3", digest=digest,
        others=others if in_clear else (), request=scep.csr(
            request.key, challenge, digest=hashes.SHA1(), version=version))


@pytest.mark.parametrize("mode", ["weak", "weak ra"])
@pytest.mark.parametrize("year", OLD_APPLE)
def test_old_apple(hosts, client, mode, year):
    walk = client(mode).challenged()
    request, message = old_apple(walk, year)
    response = curl(walk.mode.url, data=message)
    assert response.type == "application/x-pki-message"
    reply = request.open(response.body, walk.mode.ca.cert_file)
    walk.take(request.key, reply.certificate)
    assert cms.envelope_facts(reply.content)[0] == "tripledes_3key"
    signer = asn1_cms.ContentInfo.load(response.body)["content"]["signer_infos"][0]
    assert signer["digest_algorithm"]["algorithm"].native == OLD_APPLE[year][0]
    assert walk.scep_challenge not in hosts.log.path.read_text()
    assert walk.scep_challenge not in hosts.httpd.access_file.read_text()


@pytest.mark.parametrize("mode", ["single", "ra"])
def test_old_apple_is_refused(hosts, client, mode):
    walk = client(mode).challenged()
    for year in OLD_APPLE:
        request, message = old_apple(walk, year)
        hosts.expect("SCEP_ALGORITHM")
        with unchanged(hosts.database):
            response = curl(walk.mode.url, data=message)
        reply = request.open(response.body, walk.mode.ca.cert_file)
        assert (reply.status, reply.fail_info) == (scep.FAILURE, "badAlg"), year
    assert walk.scep_challenge not in hosts.log.path.read_text()


# --- what HTTP clients make of it ----------------------------------------------------------------


def in_lines(text, mark):
    return mark.join(text[i:i + 64] for i in range(0, len(text), 64))


ESCAPINGS = {
    "jscep, nothing": lambda t: t,
    "certmonger, everything": lambda t: urllib.parse.quote(t, safe=""),
    "strongSwan, line feeds": lambda t: in_lines(t, "%0A").replace("+", "%2B"),
    "CR LF": lambda t: in_lines(t, "%0D%0A") + "%0D%0A",
    "macOS, the padding": lambda t: t.replace("=", "%3D"),
    "a form, blanks": lambda t: t.replace("+", "%20"),
    "no padding": lambda t: t.rstrip("="),
    "URL alphabet": lambda t: t.replace("+", "-").replace("/", "_"),
    "URL alphabet, no padding": lambda t: t.replace("+", "-").replace("/", "_").rstrip("="),
    "small hex": lambda t: "".join(f"%{ord(c):02x}" if c in "+/=" else c for c in t)}


@pytest.mark.parametrize("mode", ["single", "ra"])
def test_get_however_it_is_escaped(client, mode):
    """One message, which is answered with the same certificate each time."""
    walk = client(mode).challenged()
    request, challenge = walk.request(), walk.scep_challenge
    for length in range(1, 64):  # until there is padding, and both of the other two characters
        message = request.message(challenge, walk.mode.answers.cert_file,
                                  subject=f"CN={'x' * length}")
        text = base64.b64encode(message).decode()
        if text.endswith("=") and "+" in text and "/" in text:
            break
    else:
        pytest.fail("no message of a length that needs padding")
    certs = set()
    for name, escape in ESCAPINGS.items():
        response = curl(f"{walk.mode.url}?operation=PKIOperation&message={escape(text)}")
        assert (response.status, response.type) == (200, "application/x-pki-message"), name
        certs.add(request.open(response.body, walk.mode.ca.cert_file).certificate)
    assert len(certs) == 1 and None not in certs


@pytest.mark.parametrize("header", ["application/x-pki-message", "application/octet-stream",
                                    "application/x-www-form-urlencoded", ""])
def test_post_whatever_it_says_it_is(client, header):
    """And without a word of the operation."""
    walk = client("ra").challenged()
    request = walk.request()
    response = curl(walk.mode.url, headers=[f"Content-Type:{header}"], data=request.message(
        walk.scep_challenge, walk.mode.ra.cert_file))
    walk.take(request.key, request.open(response.body, walk.mode.ca.cert_file).certificate)


def test_recipients(hosts, client):
    """RFC 8894 has one; clients that take each certificate of GetCACert for one have more."""
    walk = client("ra").challenged()
    request = walk.request()
    others = [pki.Pki(hosts.world.scratch).issue(f"CN=recipient {n}", key=request.key).cert_file
              for n in range(8)]
    certs = set()
    for count in (1, 2, 8, 9):
        envelope = cms.encrypt(scep.csr(request.key, walk.scep_challenge),
                               walk.mode.ra.cert_file, others=others[:count - 1])
        if count > 8:
            hosts.expect("SCEP_DECRYPT")
        response = curl(walk.mode.url, data=request.message(None, None, envelope=envelope))
        reply = request.open(response.body, walk.mode.ca.cert_file)
        if count > 8:
            assert (reply.status, reply.fail_info) == (scep.FAILURE, "badMessageCheck")
        else:
            certs.add(reply.certificate)
    assert len(certs) == 1 and None not in certs


def test_next_ca(hosts):
    """GetNextCACert: signed by the present CA, certificates only, the new CA first."""
    mode = hosts.modes["early"]
    assert b"GetNextCACert" in curl(f"{mode.url}?operation=GetCACaps").body.split()
    response = curl(f"{mode.url}?operation=GetNextCACert")
    assert (response.status, response.type) == (200, "application/x-x509-next-ca-cert")
    verified = cms.verify(response.body, mode.ca.cert_file)
    assert verified.signer == mode.ca.cert
    bag = asn1_cms.ContentInfo.load(verified.content)["content"]["certificates"]
    assert [c.dump() for c in bag] == [i.der for i in (hosts.modes["ec"].ca, hosts.modes["ec"].ra)]
