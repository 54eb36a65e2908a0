# SPDX-License-Identifier: Apache-2.0
"""What a start says, warns of and refuses."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from harness import httpd, pki, slapd
from harness.http import curl
from harness.pki import days
from harness.ports import free_port
from harness.process import run
from harness.site import (ID, PROFILE, Site, certificate, endpoints, htpasswd, vhost,
                          without_ssl_engine)

HOST = Site.HOST


def test_warnings_at_start(world, own_site):
    """Once for each file and each certificate, however many hosts use it."""
    maker = world.maker
    issuing = maker.issue("O=Test, CN=Open CA", ca=True, key=world.site.ca.key, end=days(300))
    issuing.key_file.chmod(0o644)
    signing = maker.issue("O=Test, CN=Self", key=world.signer.key)
    signing.key_file.chmod(0o640)
    bind = maker.write("bind-password", slapd.ADMIN_PASSWORD.encode(), 0o644)
    secret = maker.write("challenge", b"a secret of another CA", 0o644)
    own = maker.issue(f"O=Test, CN={HOST}", names=[HOST, "a.test", "b.test"],
                      key=world.site.server(HOST).key)
    signer = f"MDMEnrollSigner {signing.cert_file} {signing.key_file}\n"

    def hosts(site):
        return "".join(site.tls_vhost(host, text, certificates=certificate(own))
                       for host, text in ((HOST, ""), ("a.test", signer), ("b.test", signer)))
    site = own_site(vhosts=hosts, directives=(
        f"MDMEnrollCA {issuing.cert_file} {issuing.key_file}\n"
        f'MDMEnrollDirectoryBind "{slapd.ADMIN}" file:{bind}\n'
        f"MDMEnrollIdentity scep http://ca.test/scep for=mdm challenge=file:{secret}\n"))
    site.start()

    site.expect("KEY_FILE_MODE", times=4)
    site.expect("SIGNER_SELF_SIGNED", times=2)
    modes = "\n".join(site.log.lines(ID["KEY_FILE_MODE"]))
    for file, who in ((issuing.key_file, "everybody"), (signing.key_file, "its group"),
                      (bind, "everybody"), (secret, "everybody")):
        assert f"{file}, which holds a secret, can be read by {who}" in modes
    assert "chmod 600" in modes
    selves = "\n".join(site.log.lines(ID["SIGNER_SELF_SIGNED"]))
    assert f"vhost {HOST} ({site.httpd.config_file}:" in selves and "CN=Self" in selves
    (shared,) = site.log.lines(ID["CA_SHARED_KEY"])
    assert str(issuing.cert_file) in shared and ":notice]" in shared
    assert "MDMEnrollRA" in shared
    site.expect("CA_ENDS_SOON")
    (ends,) = site.log.lines(ID["CA_ENDS_SOON"])
    assert f"the CA certificate in {issuing.cert_file} ends in 299 days" in ends
    # They are warnings: it works.
    response = curl(site.url(PROFILE), user=("alice", slapd.password("alice")),
                    root=own.cert_file, connect_to=site.port)
    assert response.status == 200


def test_https_by_its_socket(own_site):
    other = free_port()
    site = own_site(directory=False, vhosts=lambda site: without_ssl_engine(
        site.tls_vhost(HOST), site.port, other)).start()
    site.port = other
    site.walk().all()


def test_expired_ca(own_site, world):
    """httpd starts, says so, stops, and issues nothing."""
    old = world.maker.issue("O=Test, CN=Old CA", ca=True, key=world.site.ca.key,
                            start=pki.days(-9), end=pki.days(-2))
    site = own_site(directory=False,
                    directives=f"MDMEnrollCA {old.cert_file} {old.key_file}\n").start()
    site.expect("CA_NOT_VALID", "CA_ISSUE")
    (line,) = site.log.lines(ID["CA_NOT_VALID"])
    assert str(old.cert_file) in line and "expired" in line
    walk = site.walk().offer().identify()
    response = site.post_scep(walk.request().message(walk.scep_challenge, old.cert_file))
    assert response.status == 500


def test_stop_with_a_broken_configuration(own_site):
    """What has become of a file since the start must not keep a server from being stopped; it does
    keep the next one from starting."""
    site = own_site(directory=False).start()
    site.directives = "MDMEnrollCA /none.pem /none.key\n"
    site.reconfigure()
    status, said = site.httpd.test()
    assert status != 0 and "cannot open /none.pem" in said
    command = [httpd.binary(), "-d", site.folder, "-f", site.httpd.config_file, "-k"]
    said = run(*command, "stop").stderr.decode()
    assert "cannot open /none.pem" in said
    site.httpd.process.popen.wait(20)
    site.expect("AH00016")
    done = run(*command, "start", ok=False)
    assert done.returncode != 0 and b"cannot open /none.pem" in done.stderr


def test_host_that_cannot_sign(own_site, world):
    """It inherits the endpoints and has other work; the others are not kept from theirs."""
    identity = world.site.pki.server("odd.test", world.site.intermediate,
                                     ed25519.Ed25519PrivateKey.generate())
    site = own_site(directory=False, vhosts=lambda site: (
        endpoints(htpasswd(world)) + vhost(site.port, HOST, certificate(
            world.site.server(HOST), bundle=world.bundle(world.site.server(HOST)))) +
        vhost(site.port, "odd.test", certificate(identity, bundle=world.bundle(identity))))).start()
    site.expect("SIGNER_MISSING", "HTTP_NOT_SECURE")
    site.walk().all()
    assert site.curl(PROFILE, host="odd.test").status == 403


def test_nothing_to_sign_with(world, own_site):
    """Only an Ed25519 key, which no device verifies."""
    identity = world.site.pki.server("odd.test", world.site.intermediate,
                                     ed25519.Ed25519PrivateKey.generate())
    site = own_site(directory=False,
                    vhosts=lambda site: site.tls_vhost("odd.test",
                                                       certificates=certificate(identity)))
    assert site.httpd.test() == (0, "Syntax OK\n")  # mod_ssl has read no key yet
    with pytest.raises(AssertionError):
        site.start()
    site.expect("SIGNER_MISSING", "AH00016")
    (said,) = site.log.lines(ID["SIGNER_MISSING"])
    assert f"vhost odd.test ({site.httpd.config_file}:" in said
    assert "add SSLCertificateFile, or MDMEnrollSigner" in said
