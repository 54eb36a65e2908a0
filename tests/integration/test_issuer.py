# SPDX-License-Identifier: Apache-2.0
"""The issuing side as others see it: the endpoints ca and crl, what certificates say, how one CA
follows another, and what httpd -t says of RA, CRL and names."""

import plistlib
import ssl
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from harness import cms, paths, pki, scep
from harness.http import curl
from harness.pki import days
from harness.process import run, wait_until
from harness.site import ASPEN, IDENTIFIER, ORGANIZATION, SCEP, htpasswd, vhost

CA, CRL = "/enroll/ca", "/enroll/crl"
RA_USAGE = {"digital_signature", "key_encipherment"}


def location(path, kind):
    return f'<Location "{path}">\nMDMEnrollEndpoint {kind}\n</Location>\n'


def hosts_of(site):
    """The usual one, with both endpoints; one of plain http for the list alone, which inherits the
    main server's settings; and two whose certificates name what the directives say."""
    return (site.tls_vhost(site.HOST, location(CA, "ca") + location(CRL, "crl"))
            + vhost(site.plain_port, "plain.test", location(CRL, "crl") + location(CA, "ca"),
                    protocols="http/1.1")
            + site.tls_vhost("named.test", location(CRL, "crl")
                             + "MDMEnrollCRLURL http://pki.example.test/a,b;c.crl\n"
                             'MDMEnrollAltName URI "urn:example:%{MDM_SERIAL}:%{MDM_UDID}"\n'
                             "MDMEnrollAltName DNS %{MDM_SERIAL}.dev.example.test\n"
                             "MDMEnrollAltName email %{MDM_USER}@example.test\n")
            + site.tls_vhost("silent.test", location(CRL, "crl") + "MDMEnrollCRLURL none\n"))


@pytest.fixture(scope="module")
def site(world):
    site = world.make_site("issuer", vhosts=hosts_of, directory=False,
                           authentication=htpasswd(world)).start()
    yield site
    site.stop()


# --- endpoint ca ---------------------------------------------------------------------------------


@pytest.mark.parametrize("query", ["", "?format=der", "?x=y"])
def test_ca_certificate_as_der(site, query):
    for response in (site.curl(CA + query), curl(site.plain_url(CA) + query)):
        assert (response.status, response.type) == (200, "application/pkix-cert")
        assert response.body == site.world.site.ca.der


def test_ca_certificate_as_pem(site):
    response = site.curl(CA + "?format=pem")
    assert (response.status, response.type) == (200, "application/x-pem-file")
    assert ssl.PEM_cert_to_DER_cert(response.body.decode()) == site.world.site.ca.der


def test_trust_profile(site):
    response = site.curl(CA + "?format=profile")
    assert (response.status, response.type) == (200, ASPEN)
    profile = plistlib.loads(cms.verify(response.body, site.world.site.root_file).content)
    assert profile["PayloadIdentifier"] == IDENTIFIER + ".trust"
    assert profile["PayloadOrganization"] == ORGANIZATION
    (root,) = profile["PayloadContent"]
    assert root["PayloadType"] == "com.apple.security.root"
    assert root["PayloadContent"] == site.world.site.root.der


def test_no_trust_profile_without_a_signer(site):
    site.expect("HTTP_FORMAT")
    assert curl(site.plain_url(CA) + "?format=profile").status == 400


def test_other_formats_and_methods(site):
    site.expect("HTTP_FORMAT", times=2)
    assert site.curl(CA + "?format=PEM").status == 400
    assert site.curl(CA + "?format=").status == 400
    site.expect("HTTP_METHOD", times=2)
    for path in (CA, CRL):
        response = site.curl(path, data=b"x")
        assert response.status == 405
        assert "GET" in response.headers["allow"] and "POST" not in response.headers["allow"]


# --- endpoint crl --------------------------------------------------------------------------------


def fetch(site, host=None):
    response = site.curl(CRL, host=host)
    assert (response.status, response.type) == (200, "application/pkix-crl")
    crl = x509.load_der_x509_crl(response.body)
    assert crl.is_signature_valid(site.world.site.ca.key.public_key())
    return crl


def judged(site, cert, crl, folder):
    """What openssl says of a certificate with this list."""
    (folder / "cert.pem").write_bytes(cert.public_bytes(Encoding.PEM))
    (folder / "crl.pem").write_bytes(crl.public_bytes(Encoding.PEM))
    done = run("openssl", "verify", "-x509_strict", "-crl_check", "-CAfile",
               site.world.site.ca.cert_file, "-CRLfile", folder / "crl.pem", folder / "cert.pem",
               ok=False)
    return (done.stdout + done.stderr).decode()


def test_crl(site, tmp_path):
    """Revoked by the administrator's program, and in the list within seconds."""
    walk, other = site.walk().all(), site.walk().all()
    assert "OK" in judged(site, walk.identity.cert, fetch(site), tmp_path)
    run(paths.MDM_ADMIN, "revoke", "--serial", f"{walk.identity.cert.serial_number:x}", "--reason",
        "keyCompromise", "--store", site.database.store)

    def listed():
        return fetch(site).get_revoked_certificate_by_serial_number(
            walk.identity.cert.serial_number)
    entry = wait_until(listed, "the certificate in the list")
    reason = entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
    assert reason == x509.ReasonFlags.key_compromise
    crl = fetch(site)
    assert "certificate revoked" in judged(site, walk.identity.cert, crl, tmp_path)
    for cert in (walk.enrolled_with.cert, other.identity.cert):
        assert "OK" in judged(site, cert, crl, tmp_path)
    # The same list everywhere, also over plain http.
    plain = curl(site.plain_url(CRL))
    assert (plain.status, plain.type) == (200, "application/pkix-crl")
    assert {e.serial_number for e in x509.load_der_x509_crl(plain.body)} == {
        e.serial_number for e in crl}


def test_crl_number_and_dates(site):
    crl = fetch(site)
    number = crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    assert abs(number - int(crl.last_update.timestamp())) <= 86400  # the time of making it
    assert (crl.next_update - crl.last_update).total_seconds() == 86400
    key = crl.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    assert key.key_identifier == x509.SubjectKeyIdentifier.from_public_key(
        site.world.site.ca.key.public_key()).digest


def test_crl_without_a_database(own_site):
    site = own_site(vhosts=lambda site: site.tls_vhost(site.HOST, location(CRL, "crl")),
                    directory=False).start()
    fetch(site)
    site.database.path.rename(site.database.path.with_suffix(".away"))
    site.expect("STORE_UNAVAILABLE", times=None)
    # What is at hand is some seconds old, and not sent once it is older; nor is it after a failure.
    wait_until(lambda: site.curl(CRL).status == 503, "no list")
    for _ in range(3):
        time.sleep(0.7)
        assert site.curl(CRL).status == 503
    site.database.path.with_suffix(".away").rename(site.database.path)
    wait_until(lambda: site.curl(CRL).status == 200, "the list again")


# --- what certificates say -----------------------------------------------------------------------


def points(cert):
    try:
        (point,) = cert.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    except x509.ExtensionNotFound:
        return None
    return point.full_name[0].value


@pytest.mark.parametrize("host, url", [
    (None, None), ("named.test", "http://pki.example.test/a,b;c.crl"), ("silent.test", "")])
def test_crl_in_certificates(site, host, url):
    cert = site.walk(host=host).offer().identify().certify().identity.cert
    assert points(cert) == (site.url(CRL) if url is None else url or None)


def test_alternative_names(site):
    walk = site.walk(host="named.test").offer().identify().certify()
    device = walk.device
    names = walk.identity.cert.extensions.get_extension_for_class(
        x509.SubjectAlternativeName).value
    assert [type(n).__name__ for n in names] == ["UniformResourceIdentifier"] * 2 + [
        "DNSName", "RFC822Name"]
    assert [n.value for n in names][1:] == [
        f"urn:example:{device.serial}:{device.udid}", f"{device.serial}.dev.example.test",
        "alice@example.test"]


def test_a_name_that_cannot_be(site):
    """A virtual machine's serial number is no DNS name: no certificate rather than one without."""
    device = site.world.device(SERIAL="VM_01")
    walk = site.walk(device, host="named.test").offer().identify()
    request = walk.request()
    site.expect("CA_ALT_NAME")
    response = site.curl(SCEP + "?operation=PKIOperation", host="named.test", data=request.message(
        walk.scep_challenge, walk.ca.cert_file))
    assert response.status == 500
    assert "VM_01.dev.example.test" in site.log.text()


# --- one CA follows another ----------------------------------------------------------------------


def test_roll_over(own_site, world):
    """The next CA is announced, takes over in the middle of an enrollment, and renews what the former
    one issued."""
    maker = world.maker
    next_ca = maker.issue("O=Test, CN=Following CA", ca=True, key="p256", end=days(3650))
    next_ra = maker.issue("O=Test, CN=Following RA", next_ca, usage=RA_USAGE, end=days(3650))
    site = own_site(directory=False, directives=(f"MDMEnrollNextCA {next_ca.cert_file}\n"
                                                 "MDMEnrollRenewal 3650d\n")).start()
    answer = site.curl(SCEP + "?operation=GetNextCACert")
    assert scep.only_certificate(cms.verify(
        answer.body, world.site.ca.cert_file).content) == next_ca.cert

    done = site.walk().all()
    before_scep, before_phase_3 = site.walk().offer().identify(), site.walk().offer().identify()
    before_phase_3.certify()
    site.directives = (f"MDMEnrollCA {next_ca.cert_file} {next_ca.key_file}\n"
                       f"MDMEnrollRA {next_ra.cert_file} {next_ra.key_file}\n"
                       f"MDMEnrollIdentityCA {world.site.ca.cert_file}\n"
                       "MDMEnrollRenewal 3650d\n")
    site.reconfigure()
    site.httpd.graceful()

    for walk in (before_scep, before_phase_3):
        walk.ca, walk.responder = next_ca, next_ra
    before_scep.certify().deliver().certify()
    before_phase_3.deliver().certify()
    assert before_phase_3.enrolled_with.cert.issuer == world.site.ca.cert.subject
    for walk in (before_scep, before_phase_3):
        assert walk.identity.cert.issuer == next_ca.cert.subject

    request = scep.Request(done.identity, "renewal")
    key = walk.request().key
    reply = request.open(site.post_scep(request.message(
        None, next_ra.cert_file, message_type="17", request=scep.csr(key))).body,
        next_ca.cert_file)
    assert reply.status == scep.SUCCESS
    assert reply.certificate.issuer == next_ca.cert.subject
    assert reply.certificate.subject == done.identity.cert.subject


# --- httpd -t ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def kit(world):
    """Certificates that do not fit, and a site that never runs."""
    maker, ca = world.maker, world.site.ca
    made = {
        "site": world.site,
        "good": maker.issue("O=Test, CN=RA", ca, usage=RA_USAGE),
        "stranger": maker.issue("O=Test, CN=RA", world.site.root, usage=RA_USAGE,
                                key=world.signer.key),
        "narrow": maker.issue("O=Test, CN=RA", ca, usage={"key_encipherment"},
                              key=world.signer.key),
        "ec": maker.issue("O=Test, CN=RA", ca, usage=RA_USAGE, key="p256"),
        "same": maker.issue("O=Test, CN=RA", ca, usage=RA_USAGE, key=ca.key),
        "mute": maker.issue("O=Test, CN=Mute CA", ca=True, key=ca.key, end=days(3650),
                            usage={"key_cert_sign", "digital_signature", "key_encipherment"}),
    }
    return world.make_site("unfit", directory=False), made


UNFIT = {
    "RA of another CA": (["MDMEnrollRA {stranger.cert_file} {stranger.key_file}"],
                         'wanted is one issued by the CA "CN=Test Enrollment CA,O=Test"'),
    "RA is no RA": (["MDMEnrollRA {site.ca.cert_file} {site.ca.key_file}"], "CA:FALSE"),
    "RA that does not sign": (["MDMEnrollRA {narrow.cert_file} {narrow.key_file}"],
                              "digitalSignature and keyEncipherment"),
    "RA with an EC key": (["MDMEnrollRA {ec.cert_file} {ec.key_file}"], "RSA key"),
    "RA with the CA's key": (["MDMEnrollRA {same.cert_file} {same.key_file}"],
                             "its key is the CA's"),
    "RA with another's key": (["MDMEnrollRA {good.cert_file} {ec.key_file}"],
                              "does not belong to the first certificate"),
    "no RA there": (["MDMEnrollRA none.pem none.key"], "No such file"),
    "next CA is none": (["MDMEnrollNextCA {good.cert_file}"], "is none of a CA"),
    "next CA is the present one": (["MDMEnrollNextCA {site.ca.cert_file}"],
                                   "has the key of the present CA"),
    "no next CA there": (["MDMEnrollNextCA none.pem"], "No such file"),
    "CRL that cannot be signed": (["MDMEnrollCA {mute.cert_file} {mute.key_file}",
                                   location(CRL, "crl")], "keyUsage with cRLSign"),
    "renewal": (["MDMEnrollRenewal soon"], "off, or a time from 1min to 3650d"),
    "renewal too short": (["MDMEnrollRenewal 10s"], "off, or a time from 1min to 3650d"),
    "weak algorithm": (["MDMEnrollSCEPAllow SHA-1 MD5"], "SHA-1, DES3, both, or none"),
    "CRL URL": (["MDMEnrollCRLURL ldap://example.test/crl"], "none, or a URL of http or https"),
    "CRL URL with a password": (["MDMEnrollCRLURL http://a:b@example.test/crl"],
                                "none, or a URL of http or https"),
    "name of another type": (["MDMEnrollAltName IP 127.0.0.1"], "URI, DNS or email"),
    "name with an unknown variable": (["MDMEnrollAltName URI urn:%{{MDM_SERAIL}}"],
                                      "no variables but"),
    "name that is none": (["MDMEnrollAltName DNS a_b.example.test"], "a DNS name, such as"),
}


@pytest.mark.parametrize("name", UNFIT)
def test_unfit(kit, name):
    site, made = kit
    lines, wanted = UNFIT[name]
    site.vhosts = lambda site: site.tls_vhost(site.HOST, "".join(
        line.format_map(made) + "\n" for line in lines))
    site.reconfigure()
    status, said = site.httpd.test()
    assert status != 0 and wanted in said, said
    assert "MDM0001" in said or lines[0].split()[0] in said


def test_another_ca_inherits_no_ra(kit):
    """The main server's RA belongs to the main server's CA."""
    site, made = kit
    mute = made["mute"]
    site.directives = f"MDMEnrollRA {made['good'].cert_file} {made['good'].key_file}\n"
    site.vhosts = lambda site: site.tls_vhost(site.HOST) + site.tls_vhost(
        "other.test", f"MDMEnrollCA {mute.cert_file} {mute.key_file}\n")
    site.reconfigure()
    assert site.httpd.test() == (0, "Syntax OK\n")
