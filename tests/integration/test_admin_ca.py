# SPDX-License-Identifier: Apache-2.0
"""make-ca and make-ra of the administrator's program: what they make is what openssl and the module
want, and nothing that is there is lost."""

import os
import re

import pytest

from harness import paths
from harness.process import run
from harness.site import base_directives

OK, NOTHING, USAGE, DATABASE, FILES = range(5)
PHRASE = "correct horse"


def admin(*words, status=OK, **options):
    done = run(paths.MDM_ADMIN, *words, ok=False, **options)
    said = done.stdout.decode() + done.stderr.decode()
    assert done.returncode == status, said
    return said


def make_ca(folder, *options, name="ca", **more):
    return admin("make-ca", folder / f"{name}.pem", folder / f"{name}.key", *options, **more)


def make_ra(folder, *options, ca="ca", name="ra", **more):
    return admin("make-ra", folder / f"{name}.pem", folder / f"{name}.key", "--ca-cert",
                 folder / f"{ca}.pem", "--ca-key", folder / f"{ca}.key", *options, **more)


def text(file):
    return run("openssl", "x509", "-noout", "-text", "-nameopt", "utf8,sep_comma_plus", "-in",
               file).stdout.decode()


def extensions(file):
    """{name: value} without blanks at the ends; "critical" in the name."""
    listed = text(file).split("X509v3 extensions:")[1].split("    Signature Algorithm:")[0]
    return {k.strip(): v.strip() for k, v in re.findall(r"^ {12}(\S[^\n]*):([^\n]*\n +\S[^\n]*)$",
                                                        listed, re.M)}


def public_key(*words):
    return run("openssl", *words).stdout


@pytest.mark.parametrize("kind, bits", [("rsa2048", "2048 bit"), ("p256", "256 bit"),
                                        ("p384", "384 bit")])
def test_ca(tmp_path, kind, bits):
    said = make_ca(tmp_path, "--organization", "Müller, Söhne", "--key", kind, "--days", "10")
    pem, key = tmp_path / "ca.pem", tmp_path / "ca.key"
    shown = text(pem)
    assert f"({bits})" in shown
    assert "Subject: O=Müller, Söhne,CN=Müller, Söhne device identities" in shown
    found = extensions(pem)
    encipher = ["Key Encipherment"] if kind.startswith("rsa") else []
    assert {k: re.sub(r"^critical\s+", "", v) for k, v in found.items()
            if "Subject Key" not in k} == {
        "X509v3 Basic Constraints": "CA:TRUE, pathlen:0",
        "X509v3 Key Usage": ", ".join(["Digital Signature", *encipher, "Certificate Sign",
                                       "CRL Sign"])}
    assert all(found[f"X509v3 {e}"].startswith("critical") for e in ("Basic Constraints",
                                                                     "Key Usage"))
    assert public_key("x509", "-noout", "-pubkey", "-in", pem) == public_key(
        "pkey", "-pubout", "-in", key)
    assert key.stat().st_mode & 0o777 == 0o600 and pem.stat().st_mode & 0o777 == 0o644
    run("openssl", "verify", "-x509_strict", "-CAfile", pem, pem)
    run("openssl", "x509", "-noout", "-checkend", str(9 * 86400), "-in", pem)
    assert run("openssl", "x509", "-noout", "-checkend", str(11 * 86400), "-in", pem,
               ok=False).returncode == 1
    assert f"MDMEnrollCA {pem} {key}" in said
    assert ("make-ra" in said) == (kind[0] == "p")
    assert sorted(f.name for f in tmp_path.iterdir()) == ["ca.key", "ca.pem"]


def test_nothing_is_overwritten(tmp_path):
    make_ca(tmp_path, "--name", "x", "--key", "p256")
    before = [(tmp_path / f).read_bytes() for f in ("ca.pem", "ca.key")]
    for gone in ("ca.pem", "ca.key"):
        kept = (tmp_path / gone).read_bytes()
        (tmp_path / gone).unlink()
        assert "is there already" in make_ca(tmp_path, "--name", "x", status=FILES)
        assert not (tmp_path / gone).exists()
        (tmp_path / gone).write_bytes(kept)
    assert [(tmp_path / f).read_bytes() for f in ("ca.pem", "ca.key")] == before
    make_ca(tmp_path, "--name", "y", "--key", "p256", "--force")
    assert "CN=y" in text(tmp_path / "ca.pem")
    assert (tmp_path / "ca.key").stat().st_mode & 0o777 == 0o600
    assert "No such file" in make_ca(tmp_path / "none", "--name", "x", status=FILES)
    assert "a file each" in admin("make-ca", "a", "a", "--name", "x", status=USAGE)


@pytest.mark.parametrize("options, subject", [
    (["--name", "Example CA"], "CN=Example CA"),
    (["--name", "Example CA", "--organization", "Example Corp"], "O=Example Corp,CN=Example CA"),
    (["--name", r"O=A\, B, OU=C, CN=D"], r"O=A, B,OU=C,CN=D"),
    (["--name", "/C=DE/O=Example/CN=a=b"], "C=DE,O=Example,CN=a=b")])
def test_subjects(tmp_path, options, subject):
    make_ca(tmp_path, "--key", "p256", *options)
    assert f"Subject: {subject}\n" in text(tmp_path / "ca.pem")


@pytest.mark.parametrize("options, said", [
    ([], "--organization or --name is missing"),
    (["--name", "O=x, y"], 'lacks its "="'), (["--name", "Q=x"], "cannot be part of a subject"),
    (["--name", "C=Germany"], "cannot be part of a subject"),
    (["--organization", "x" * 65], "cannot be part of a subject"),
    (["--name", "O=x", "--organization", "y"], "do not go together"),
    (["--name", b"\xff\xfe"], "cannot be part of a subject"), (["--name", "CN="], "is empty")])
def test_bad_subjects(tmp_path, options, said):
    assert said in run(paths.MDM_ADMIN, "make-ca", tmp_path / "a", tmp_path / "b", *map(
        lambda o: os.fsdecode(o), options), "--key", "p256", ok=False).stderr.decode()
    assert list(tmp_path.iterdir()) == []


def test_pass_phrase(tmp_path):
    file = tmp_path / "phrase"
    file.write_text(PHRASE + "\n")
    make_ca(tmp_path, "--name", "x", "--key", "p256", "--passphrase-file", file)
    assert (tmp_path / "ca.key").read_text().startswith("-----BEGIN ENCRYPTED PRIVATE KEY-----")
    run("openssl", "pkey", "-noout", "-in", tmp_path / "ca.key", "-passin", f"pass:{PHRASE}")
    said = make_ra(tmp_path, "--ca-passphrase-file", file)
    assert PHRASE not in said
    assert "pass phrase is wrong" in make_ra(tmp_path, "--ca-passphrase-file", "-", name="r2",
                                             data=b"another one\n", status=FILES)
    assert "give its option a file" in make_ra(tmp_path, name="r2", data=b"", status=USAGE)
    assert "8 characters" in make_ca(tmp_path, "--name", "x", "--passphrase-file", "-",
                                     name="c2", data=b"short\n", status=USAGE)
    assert "give its option a file" in make_ca(tmp_path, "--name", "x", "--encrypt", name="c2",
                                               data=b"", status=USAGE)
    assert sorted(f.name for f in tmp_path.iterdir()) == ["ca.key", "ca.pem", "phrase", "ra.key",
                                                          "ra.pem"]


def test_ra(tmp_path):
    make_ca(tmp_path, "--organization", "Example Corp", "--key", "p256", "--days", "100")
    said = make_ra(tmp_path)
    ca, ra, key = tmp_path / "ca.pem", tmp_path / "ra.pem", tmp_path / "ra.key"
    run("openssl", "verify", "-x509_strict", "-CAfile", ca, ra)
    shown, found = text(ra), extensions(ra)
    assert "(2048 bit)" in shown
    assert "Subject: O=Example Corp,CN=Example Corp device identities RA" in shown
    assert re.sub(r"\s+", " ", found["X509v3 Basic Constraints"]) == "critical CA:FALSE"
    assert re.sub(r"\s+", " ", found["X509v3 Key Usage"]) == (
        "critical Digital Signature, Key Encipherment")
    assert len(found) == 4 and found["X509v3 Authority Key Identifier"] == extensions(ca)[
        "X509v3 Subject Key Identifier"]
    assert key.stat().st_mode & 0o777 == 0o600
    ends = [run("openssl", "x509", "-noout", "-enddate", "-in", f).stdout for f in (ca, ra)]
    assert ends[0] == ends[1], "as long as the CA"
    assert f"MDMEnrollRA {ra} {key}" in said
    assert "would outlive its CA" in make_ra(tmp_path, "--days", "101", name="r2", status=USAGE)
    make_ra(tmp_path, "--days", "50", "--name", "O=x, CN=y", name="r2")
    assert "is not the certificate of a CA" in make_ra(tmp_path, ca="ra", name="r3", status=FILES)
    make_ca(tmp_path, "--name", "z", "--key", "p256", name="other")
    (tmp_path / "ca.key").write_bytes((tmp_path / "other.key").read_bytes())
    assert "does not belong" in make_ra(tmp_path, name="r3", status=FILES)


def test_roll_over(tmp_path):
    make_ca(tmp_path, "--organization", "Example Corp", "--key", "p384")
    said = make_ca(tmp_path, "--renew", tmp_path / "ca.pem", name="next")
    first, second = (text(tmp_path / f) for f in ("ca.pem", "next.pem"))
    subject = re.search("Subject: .*", first)[0]
    assert subject in second and "(384 bit)" in second
    assert public_key("x509", "-noout", "-pubkey", "-in", tmp_path / "ca.pem") != public_key(
        "x509", "-noout", "-pubkey", "-in", tmp_path / "next.pem")
    assert "must trust both" in said
    make_ca(tmp_path, "--renew", tmp_path / "ca.pem", "--name", "O=x, CN=y", "--key", "p256",
            name="third")
    assert "Subject: O=x,CN=y" in text(tmp_path / "third.pem")
    make_ra(tmp_path)
    assert "not the certificate of a CA" in make_ca(tmp_path, "--renew", tmp_path / "ra.pem",
                                                    name="fourth", status=FILES)


def test_a_site_runs_on_it(world, own_site, monkeypatch):
    """The default of make-ca, and nothing more, issues for devices; strict verification included."""
    folder = world.new_folder("made")
    make_ca(folder, "--organization", "Example Corp")
    key = folder / "ca.key"
    monkeypatch.setattr(world.site, "ca", world.maker.load(folder / "ca.pem", key))
    site = own_site()
    assert f"MDMEnrollCA {folder}/ca.pem {key}" in base_directives(world, site.database)
    walk = site.start().walk().all()
    run("openssl", "verify", "-x509_strict", "-CAfile", folder / "ca.pem",
        walk.identity.cert_file)
