# SPDX-License-Identifier: Apache-2.0
"""Values of profiles: whatever text a site writes, or a user, a device or a request brings, is in
the profile exactly as it was; and what cannot be is refused, by httpd -t or when it comes."""

import collections
import os
import random
import secrets

import pytest

from harness import paths, slapd
from harness.httpd import load_more
from harness.process import run
from harness.site import ID, basic_ldap, ldap_url, opened

SEED = os.environ.get("MDM_TEST_SEED") or secrets.token_hex(4)
ROUNDS = 12  # of the vhost with expressions
LISTED = 12  # values of a key that takes many

# What XML, httpd's configuration, expressions, URLs and terminals make something of.
SPECIAL = ["<", ">", "&", "&amp;", "]]>", "<!--", "'", '"', "\\", "\\\\", '\\"', "%{", "}", "%%{",
           "%{REMOTE_USER}", "%", "$", "#", " ", "  ", ";", "\u00a0", "\u00e9", "e\u0301", "ß", "日本",
           "\u2028", "\u0085", "\ufffd", "\ue000", "\U0001f600", "\U0010fffd", "\u202e", "\u200d"]
PRINTABLE = [chr(n) for n in range(0x21, 0x7f)]


class Texts:
    """Random texts that are not empty and neither begin nor end with a blank."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def one(self, most=12, without=()):
        pieces = [piece for piece in SPECIAL + PRINTABLE if not set(piece) & set(without)]
        while True:
            text = "".join(self.random.choices(pieces, k=self.random.randint(1, most)))
            if text == text.strip() and not text.startswith("mdm-enroll:") and "${" not in text:
                return text

    def ascii(self, most):
        return "".join(self.random.choices(PRINTABLE, k=self.random.randint(1, most)))


def quoted(text):
    """As it is written between quotes in httpd's configuration."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def constant(text):
    """Without an expression in it."""
    return text.replace("%{", "%%{")


# Keys whose values are texts, by how they take them. What has a pattern or words of its own is
# tested elsewhere; what only other identities have, too.
ONE = [(payload, key) for payload in ("Configuration", "com.apple.mdm", "com.apple.security.scep",
                                      "com.apple.security.root", "com.apple.security.pkcs1")
       for key in ("PayloadDisplayName", "PayloadDescription")]
ONE += [("com.apple.mdm", "AssignedManagedAppleID"), ("com.apple.security.scep", "Name"),
        ("com.apple.security.root", "PayloadCertificateFileName"),
        ("com.apple.security.pkcs1", "PayloadCertificateFileName")]
# One that cannot be there together with others; those of phase 1; those of other identities; those
# of payloads that only templates have; words.
ELSEWHERE = {("com.apple.mdm", "ManagedAppleID"), ("com.apple.security.pem", None),
             ("com.apple.security.acme", None), ("com.apple.security.pkcs12", None)}
LANGUAGES = ["default"] + [f"en-x-{n}" for n in range(1, LISTED)]
NAMES = ["dNSName", "ntPrincipalName", "rfc822Name", "uniformResourceIdentifier"]


def lines(texts, write):
    """MDMEnrollPayload for every key, and {(payload, key): what must arrive}. write makes of a text
    the word of the configuration."""
    wanted, written = {}, "MDMEnrollPayload com.apple.mdm EnrollmentMode ADDE\n"

    def add(payload, key, values, words):
        nonlocal written
        wanted[payload, key] = values
        written += f'MDMEnrollPayload "{payload}" "{key}" {" ".join(words)}\n'

    for payload, key in ONE:
        text = texts()
        add(payload, key, text, [write(text)])
    consent = {language: texts() for language in LANGUAGES}
    add("Configuration", "ConsentText", consent,
        [word for language, text in consent.items() for word in (language, write(text))])
    subject = [("O", texts())] + [("2.5.4.5", texts()) for _ in range(LISTED)]
    add("com.apple.security.scep", "Subject", [[[kind, text]] for kind, text in subject],
        [word for kind, text in subject for word in (kind, write(text))])
    names = {name: [texts() for _ in range(3)] for name in NAMES}
    add("com.apple.security.scep", "SubjectAltName", names,
        [word for name, some in names.items() for text in some for word in (name, write(text))])
    return written, wanted


ANYBODY = ("AuthType Basic\nAuthName Anybody\nAuthBasicProvider anon\nAnonymous *\n"
           "Anonymous_MustGiveEmail off\nRequire valid-user\n")
DIRECT = "/enroll/direct"
ATTRIBUTES = ["title", "description", "displayName", "street", "employeeNumber"]
VARIABLES = ["MDM_USER", "REMOTE_USER", "MDM_UDID", "MDM_SERIAL", "MDM_PRODUCT", "MDM_OS_VERSION"]


class Hosts:
    """The virtual hosts: "constant.test", "expression.test", where each text is a header of the
    request between two constants, "device.test", where they are user and device, and
    "attribute.test", where they are the directory's."""

    def __init__(self):
        self.texts = Texts(SEED)
        self.slots = self.turns = 0

    def next_slot(self):
        self.slots += 1
        return f"X-{self.slots}"

    def __call__(self, site):
        certificates = (f"MDMEnrollCertificate {site.world.site.root_file} "
                        f"{site.world.site.intermediate.cert_file}\n"
                        "LimitRequestFields 1000\n")
        direct = f'<Location "{DIRECT}">\nMDMEnrollEndpoint direct\n{ANYBODY}</Location>\n'
        written, self.constants = lines(self.texts.one, lambda text: quoted(constant(text)))
        hosts = load_more("authn_anon") + site.tls_vhost("constant.test",
                                                         certificates + written + direct)
        written, self.expressions = lines(self.next_slot, lambda slot: f'"<%{{HTTP:{slot}}}>"')
        hosts += site.tls_vhost("expression.test", certificates + written + direct)
        written = "".join(
            f'MDMEnrollPayload "{payload}" {key} "{name}=%{{{name}}}"\n'
            for (payload, key), name in zip(self.spread(), VARIABLES * 2))
        written += 'MDMEnrollPayload "Profile Service" PayloadDisplayName "<%{MDM_USER}>"\n'
        hosts += site.tls_vhost("device.test", certificates + written, authentication=ANYBODY)
        written, self.attributes = lines(self.next_attribute, lambda name: f'"<%{{{name}}}>"')
        listed = ",".join(["uid", *ATTRIBUTES])
        url = ldap_url(site.directory_server.url).replace("?uid?", f"?{listed}?")
        return hosts + site.tls_vhost(
            "attribute.test", certificates + written + f'MDMEnrollDirectory "{url}"\n'
            f'MDMEnrollDirectoryBind "{slapd.ADMIN}" "{slapd.ADMIN_PASSWORD}"\n'
            f'<Location "{DIRECT}">\nMDMEnrollEndpoint direct\n'
            f"{basic_ldap(site.directory_server)}</Location>\n")

    def next_attribute(self):
        self.turns += 1
        return f"MDM_LDAP_{ATTRIBUTES[self.turns % len(ATTRIBUTES)].upper()}"

    @staticmethod
    def spread():
        """As many keys as there are variables, twice over."""
        return [(payload, key) for payload in ("Configuration", "com.apple.mdm",
                                               "com.apple.security.scep", "com.apple.security.root",
                                               "com.apple.security.pkcs1")
                for key in ("PayloadDisplayName", "PayloadDescription")] + [
                    ("com.apple.security.scep", "Name"), ("com.apple.mdm", "ManagedAppleID")]


@pytest.fixture(scope="module")
def hosts():
    return Hosts()


@pytest.fixture(scope="module")
def site(world, hosts):
    site = world.make_site("values", vhosts=hosts, directory=False).start()
    print(f"MDM_TEST_SEED={SEED}")
    yield site
    site.stop()


def get(site, host, *headers, user="anybody"):
    response = site.curl(DIRECT, host=host, user=(user, "x"), headers=headers)
    _, profile = opened(response, site.world.site.root_file)
    return profile


def find(profile, payloads, kind):
    if kind == "Configuration":
        return profile
    (found,) = [p for p in payloads if p["PayloadType"] == kind]
    inner = found.get("PayloadContent")
    return found | inner if isinstance(inner, dict) else found


def compare(profile, payloads, wanted, fill=lambda text: text):
    assert wanted
    for (payload, key), value in wanted.items():
        seen = find(profile, payloads, payload)[key]
        if key == "SubjectAltName":
            value = {name: [fill(text) for text in some] for name, some in value.items()}
        elif key == "Subject":
            value = [[[kind, fill(text)]] for ((kind, text),) in value]
        elif key == "ConsentText":
            value = {language: fill(text) for language, text in value.items()}
        else:
            value = fill(value)
        assert seen == value, (payload, key, f"MDM_TEST_SEED={SEED}")


def test_constants(site, hosts):
    profile = get(site, "constant.test")
    compare(profile, profile["PayloadContent"], hosts.constants)


@pytest.mark.parametrize("turn", range(ROUNDS))
def test_expressions(site, hosts, turn):
    """Every text of every key is another one, in every round; the user too."""
    texts = Texts(f"{SEED}-{turn}")
    values = {f"X-{n}": texts.one() for n in range(1, hosts.slots + 1)}
    profile = get(site, "expression.test", *(f"{name}: {text}" for name, text in values.items()),
                  user=texts.one(without=":"))
    compare(profile, profile["PayloadContent"], hosts.expressions,
            lambda slot: f"<{values[slot]}>")


def test_long_expressions(site, hosts):
    texts = Texts(f"{SEED}-long")
    long = "".join(texts.one() for _ in range(300))[:1500].strip()
    values = collections.defaultdict(lambda: "x", {"X-1": long, "X-2": long[::-1].strip()})
    profile = get(site, "expression.test",
                  *(f"X-{n}: {values[f'X-{n}']}" for n in range(1, hosts.slots + 1)))
    compare(profile, profile["PayloadContent"], hosts.expressions,
            lambda slot: f"<{values[slot]}>")


@pytest.mark.parametrize("turn", range(5))
def test_attributes(site, hosts, turn):
    texts = Texts(f"{SEED}-attributes-{turn}")
    values = {name: texts.one(most=30) for name in ATTRIBUTES}
    site.directory_server.replace("bob", **{name: [text] for name, text in values.items()})
    response = site.curl(DIRECT, host="attribute.test", user=("bob", slapd.password("bob")))
    site.directory_server.replace("bob", **{name: [] for name in ATTRIBUTES})
    _, profile = opened(response, site.world.site.root_file)
    variables = {f"MDM_LDAP_{name.upper()}": text for name, text in values.items()}
    compare(profile, profile["PayloadContent"], hosts.attributes,
            lambda name: f"<{variables[name]}>")


@pytest.mark.parametrize("turn", range(3))
def test_user_and_device(site, turn):
    texts = Texts(f"{SEED}-device-{turn}")
    user = texts.one(without=":")
    device = site.world.device(
        UDID=texts.ascii(60), SERIAL=texts.ascii(60), PRODUCT=texts.one(most=20),
        OS_VERSION=texts.one(most=20))
    walk = site.walk(device, host="device.test", user=user)
    walk.offer(walk.get_profile(credentials=(user, "x")))
    assert walk.profile["PayloadDisplayName"] == f"<{user}>"
    walk.identify().certify().deliver()
    values = {"MDM_USER": user, "REMOTE_USER": user, "MDM_UDID": device.udid,
              "MDM_SERIAL": device.serial, "MDM_PRODUCT": device.attributes["PRODUCT"],
              "MDM_OS_VERSION": device.attributes["OS_VERSION"]}
    wanted = {place: f"{name}={values[name]}"
              for place, name in zip(Hosts.spread(), VARIABLES * 2)}
    compare(walk.profile, walk.payloads, wanted)


def test_no_text_is_forgotten():
    """Each key that takes a text is tried here, or named as one that is tried elsewhere."""
    run("make", "-C", str(paths.BUILD), "test_schema_tables")
    dump = run(str(paths.BUILD / "test_schema_tables"), "--dump").stdout.decode()
    texts = set()
    for line in dump.splitlines():
        payload, key, owner, kind, _, _, words, *_ = line.split("\t")
        if owner == "set" and kind == "string" and not words and payload != "CommonPayloadKeys":
            texts.add((payload, key))
    others = {(payload, key) for payload, key in texts
              if (payload, key) in ELSEWHERE or (payload, None) in ELSEWHERE}
    assert texts - others == {(payload, key) for payload, key in ONE
                              if key not in ("PayloadDisplayName", "PayloadDescription")}


# --- what cannot be ------------------------------------------------------------------------------


def test_value_refused(own_site):
    """By the rule of the key, when the value is there: which key, from what, what is wanted. And a
    date that is over keeps no server from starting."""
    direct = f'<Location "{DIRECT}">\nMDMEnrollEndpoint direct\n{ANYBODY}</Location>\n'
    site = own_site(directory=False, vhosts=lambda s: load_more("authn_anon") + s.tls_vhost(
        s.HOST, 'MDMEnrollPayload com.apple.security.scep Subject CN "%{HTTP:X-Name}"\n'
        "MDMEnrollPayload Configuration RemovalDate 2020-01-02T03:04:05Z\n" + direct))
    site.expect("PROFILE_OVER")
    site.start()
    (line,) = site.log.lines(ID["PROFILE_OVER"])
    assert "RemovalDate is over: wanted is a date in the future" in line
    for value in ("", "mdm-enroll:x"):
        site.expect("TEXT")
        response = site.curl(DIRECT, user=("anybody", "x"),
                             headers=[f"X-Name: {value}"] if value else [])
        assert response.status == 500
        line = site.log.lines(ID["TEXT"])[-1]
        assert "Subject" in line and "%{HTTP:X-Name}" in line and "wanted is a text that" in line
    profile = get(site, site.HOST, "X-Name: good")
    compare(profile, profile["PayloadContent"],
            {("com.apple.security.scep", "Subject"): [[["CN", "good"]]]})
    assert len(site.database.query("SELECT id FROM enrollment")) == 1


REFUSED = {
    "unknown variable": ("MDMEnrollPayload com.apple.mdm PayloadDescription %{MDM_COLOUR}",
                         '"%{MDM_COLOUR}"', "Variable 'MDM_COLOUR' does not exist"),
    "no end": ("MDMEnrollPayload com.apple.mdm PayloadDescription %{MDM_USER",
               '"%{MDM_USER"', "a } at the end of each %{"),
    "attribute": ("MDMEnrollPayload com.apple.mdm PayloadDescription %{MDM_LDAP_MAIL}",
                  "nothing fills %{MDM_LDAP_MAIL}", "name the attribute in MDMEnrollDirectory"),
    "attribute in a URL": ("MDMEnrollServer https://mdm.example.com/%{MDM_LDAP_MAIL}",
                           "nothing fills %{MDM_LDAP_MAIL}", "name the attribute in"),
    "number": ("MDMEnrollPayload com.apple.mdm AccessRights %{MDM_USER}", '"%{MDM_USER}"',
               "wanted is a whole number"),
    "language": ("MDMEnrollPayload Configuration ConsentText %{MDM_USER} text", '"%{MDM_USER}"',
                 "a language such as en"),
    "pins": ("MDMEnrollPayload com.apple.mdm ServerURLPinningCertificateUUIDs %{MDM_USER}",
             '"%{MDM_USER}"', "neither a file of MDMEnrollCertificate nor"),
    "host": ("MDMEnrollServer https://%{MDM_USER}.example.com/", '"https://%{MDM_USER}.example.com/"',
             "a host without expressions"),
    "checkin": ("MDMEnrollServer https://mdm.example.com/ https://mdm.example.com:%{MDM_USER}/",
                ':%{MDM_USER}/"', "wanted is https://host[:port]/path"),
    "scheme": ("MDMEnrollServer http://mdm.example.com/%{MDM_USER}",
               '"http://mdm.example.com/%{MDM_USER}"', "wanted is https://host[:port]/path"),
    "rdn": ("MDMEnrollPayload com.apple.security.scep Subject CN", '"CN"',
            "a text behind each name: C, L, ST, O, OU, CN or an OID"),
    "alt name": ("MDMEnrollPayload com.apple.security.scep SubjectAltName dns x", '"dns"',
                 "dNSName, ntPrincipalName, rfc822Name or uniformResourceIdentifier"),
    "many": ("MDMEnrollPayload com.apple.security.scep SubjectAltName " + "dNSName x " * 40,
             "SubjectAltName", "at most 61 words behind the key"),
    "pem": ("MDMEnrollPayload com.apple.security.pem PayloadDescription x",
            "com.apple.security.pem", "com.apple.security.root"),
    "byod": ("MDMEnrollPayload com.apple.mdm AccessRights 3\n"
             "MDMEnrollPayload com.apple.mdm EnrollmentMode BYOD",
             "AccessRights together with EnrollmentMode", "wanted is one of the two"),
    "account": ("MDMEnrollPayload com.apple.mdm AssignedManagedAppleID a@example.com",
                "AssignedManagedAppleID without EnrollmentMode", "wanted are both or none"),
    "app": ("MDMEnrollPayload com.apple.mdm RequiredAppIDForMDM 1",
            "RequiredAppIDForMDM without EnrollmentMode", "wanted are both or none"),
    "profile-driven": ("MDMEnrollPayload com.apple.mdm ManagedAppleID a@example.com\n"
                       "MDMEnrollPayload com.apple.mdm EnrollmentMode ADDE",
                       "ManagedAppleID together with EnrollmentMode", "wanted is one of the two"),
    "past": ("MDMEnrollPayload Configuration RemovalDate 2020-01-02T03:04:05Z",
             "RemovalDate is over", "wanted is a date in the future"),
    "expired": ("MDMEnrollPayload Configuration PayloadExpirationDate 2020-01-02T03:04:05Z",
                "PayloadExpirationDate is over", "wanted is a date in the future"),
    "acme": ("MDMEnrollPayload com.apple.security.acme HardwareBound false\n"
             "MDMEnrollPayload com.apple.security.acme Attest true",
             "Attest true with HardwareBound false", "wanted is HardwareBound true")}


@pytest.fixture(scope="module")
def tested(world):
    """A site that is only tested, never started."""
    site = world.make_site("refused", vhosts=lambda s: s.tls_vhost(s.HOST))
    yield site
    site.stop()


@pytest.mark.parametrize("name", REFUSED)
def test_refused(tested, name):
    """By httpd -t, with file and line, what was seen and what is wanted."""
    text, seen, wanted = REFUSED[name]
    config = tested.config() + text + "\n"
    tested.httpd.configure(config)
    status, said = tested.httpd.test()
    assert status != 0 and "Syntax OK" not in said
    assert seen in said and wanted in said
    whole = tested.httpd.config_file.read_text().splitlines()
    places = {whole.index(line) + 1 for line in text.splitlines()}
    assert any(f"line {n} of {tested.httpd.config_file}:" in said or
               f"({tested.httpd.config_file}:{n})" in said for n in places), said
