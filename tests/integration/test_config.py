# SPDX-License-Identifier: Apache-2.0
"""What httpd -t says of configurations, broken and sound."""

import dataclasses
import re

import pytest

from harness import paths, pki
from harness.ports import free_port
from harness.site import (DEVICE, ID, PROFILE, SCEP, SERVER, TOPIC, Site, certificate, endpoints,
                          htpasswd, vhost, without_ssl_engine)

HOST = Site.HOST
LDAP = "ldap://ldap.example.test/ou=people,dc=example,dc=test?uid"
PASSWORD = "hunter2-not-to-be-shown"


class Files(dict):
    """What the lines of the table name in braces, made when it is asked for."""

    def __init__(self, world, folder):
        super().__init__(folder=folder, site=world.site, world=world, password=PASSWORD)
        self.make = world.maker

    def __missing__(self, name):
        self[name] = getattr(self, f"make_{name}")()
        return self[name]

    def ca(self, **options):
        # The key of the true one will do: making keys is what takes time here.
        return self.make.issue("O=Test, CN=Unfit CA",
                               **({"ca": True, "key": self["site"].ca.key} | options))

    def make_locked(self):
        folder = self["folder"] / "locked"
        folder.mkdir(mode=0o500)
        return folder

    def make_open_folder(self):
        folder = self["folder"] / "open"
        (folder / "inner").mkdir(parents=True)
        folder.chmod(0o777)
        return folder

    def make_leaf(self):
        return self.ca(ca=False)

    def make_ec(self):
        return self.ca(key="p256")

    def make_small(self):
        return self.ca(key="rsa1024")

    def make_expired(self):
        return self.ca(start=pki.days(-9), end=pki.days(-2))

    def make_signs_only(self):
        return self.ca(usage={"key_cert_sign", "crl_sign"})

    def make_empty(self):
        return self.make.write("empty", b"")

    def make_garbage(self):
        return self.make.write("garbage", b"\x00\x01 no certificate, no key\n")


@dataclasses.dataclass
class Broken:
    """lines: each takes the place of the lines with its directive, or goes to the end of the vhost
    if there are none, as blocks do; "^" before it puts it into the main server; "-X" drops the
    directive X, "-/path" that <Location>. seen and wanted: what the message must hold. at: the line
    that it must name; by default the first of ours in lines, and the vhost's where there is none.
    """
    lines: object
    seen: str
    wanted: str
    at: str = None

    def __post_init__(self):
        self.lines = [self.lines] if isinstance(self.lines, str) else self.lines


def location(path, kind, section="Location"):
    name = section.split()[0]
    return f'<{section} "{path}">\nMDMEnrollEndpoint {kind}\n</{name}>'


def ca(identity):
    return f"MDMEnrollCA {{{identity}.cert_file}} {{{identity}.key_file}}"


def missing(directive, example):
    return Broken(f"-{directive}", f"{directive} is missing",
                  f"add it here or for all vhosts: {directive} {example}")


def payload(line, seen, wanted):
    return Broken(f"MDMEnrollPayload {line}", seen, wanted)


SCEP_URL = "MDMEnrollIdentity scep https://ca.test/scep"

BROKEN = {
    # --- what must be there
    "no store": missing("MDMEnrollStore", "sqlite3:/"),
    "no organization": missing("MDMEnrollOrganization", '"Example Corp"'),
    "no identifier": missing("MDMEnrollIdentifier", "com.example.mdm.enroll"),
    "no MDM server": missing("MDMEnrollServer", "https://"),
    "no topic": missing("MDMEnrollTopic", "com.apple.mgmt.External."),
    "no CA": missing("MDMEnrollCA", "certificate-file key-file"),
    # --- identities from elsewhere
    "identity: unknown kind": Broken("MDMEnrollIdentity ndes https://ca.test/scep", '"ndes"',
                                     "wanted: builtin, scep URL, acme URL or pkcs12"),
    "identity: no URL": Broken("MDMEnrollIdentity scep", '"" is no URL', "wanted: https://host"),
    "identity: query": Broken(f"{SCEP_URL}?ca=1 for=mdm", 'scep?ca=1" is no URL', 'without "?"'),
    "identity: no CA": Broken(SCEP_URL, "come from https://ca.test/scep, and no CA is named",
                              "add MDMEnrollIdentityCA"),
    "identity: no CA, for one": Broken(f"{SCEP_URL} for=identity", "no CA is named",
                                       "add MDMEnrollIdentityCA"),
    "identity: own CA still needed": Broken(
        ["-MDMEnrollCA", f"{SCEP_URL} for=mdm"], "MDMEnrollCA is missing", "add it here",
        "<VirtualHost"),
    "identity: own CA for its endpoint": Broken(
        ["-MDMEnrollCA", SCEP_URL, "MDMEnrollIdentityCA {site.ca.cert_file}"],
        "MDMEnrollCA is missing", "add it here", "<VirtualHost"),
    "identity: own CA for its list": Broken(
        ["-MDMEnrollCA", f"-{SCEP}", SCEP_URL, "MDMEnrollIdentityCA {site.ca.cert_file}",
         '<Location "/crl">\nMDMEnrollEndpoint crl\n</Location>'],
        "MDMEnrollCA is missing", "add it here", "<VirtualHost"),
    "identity: own endpoint still needed": Broken(
        [f"-{SCEP}", f"{SCEP_URL} for=mdm"], "needs the endpoint scep", "MDMEnrollEndpoint scep",
        "MDMEnrollEndpoint device"),
    "identity: twice": Broken(
        [f"{SCEP_URL} for=mdm", "<IfModule !none>\nMDMEnrollIdentity builtin\n</IfModule>"],
        "for=mdm is said already", "once for each", "MDMEnrollIdentity builtin"),
    "identity: unknown option": Broken(f"{SCEP_URL} password={{password}}",
                                       '"password=" is no option',
                                       "wanted: for=, name=, challenge="),
    "identity: option twice": Broken(f"{SCEP_URL} for=mdm for=identity", "for= is given twice",
                                     "wanted: once"),
    "identity: for": Broken(f"{SCEP_URL} for=both", "for=", "for=identity"),
    "identity: name": Broken(f'{SCEP_URL} for=mdm "name="', "name=", "knows its CA by"),
    "identity: builtin with options": Broken("MDMEnrollIdentity builtin name=x",
                                             "takes no option but for=", "with scep URL only"),
    "identity: bare challenge": Broken(f"{SCEP_URL} for=mdm challenge={{password}}",
                                       "challenge= is not accepted", "text:SECRET, file:/path"),
    "identity: empty challenge": Broken(f"{SCEP_URL} for=mdm challenge=text:",
                                        'behind "text:" is not accepted', "1 to 255 bytes"),
    "identity: challenge over http": Broken(f"{SCEP_URL} for=mdm challenge=http://ca.test/hook",
                                            "challenge= is not accepted", "http on loopback only"),
    "identity: challenge with password": Broken(
        f"{SCEP_URL} for=mdm challenge=https://u:{{password}}@ca.test/",
        "challenge= is not accepted", "an https URL"),
    "identity: no challenge file": Broken(f"{SCEP_URL} for=mdm challenge=file:{{folder}}/none",
                                          "no challenge can be read from {folder}/none",
                                          "No such file"),
    "identity: empty challenge file": Broken(f"{SCEP_URL} for=mdm challenge=file:{{empty}}",
                                             "no challenge can be read from {empty}", "{empty}"),
    "identity: no program": Broken(f"{SCEP_URL} for=mdm challenge=exec:{{folder}}/none",
                                   "challenge=exec: {folder}/none: No such file",
                                   "wanted: a program"),
    "identity: not executable": Broken(f"{SCEP_URL} for=mdm challenge=exec:{{empty}}",
                                       "{empty} is no file that can be executed",
                                       "wanted: a program (chmod 755)"),
    "identity: a folder as program": Broken(f"{SCEP_URL} for=mdm challenge=exec:{{folder}}",
                                            "is no file that can be executed", "wanted: a program"),
    "identity: token": Broken(f"{SCEP_URL} for=mdm challenge=https://ca.test/ "
                              "challenge-token={password}", "challenge-token=", "file:/path"),
    "identity: token for nobody": Broken(f"{SCEP_URL} for=mdm challenge-token=file:{{empty}}",
                                         "are for a challenge from a URL",
                                         "wanted: challenge=https://host/path"),
    "identity: no hook CA": Broken(f"{SCEP_URL} for=mdm challenge=https://ca.test/ "
                                   "challenge-ca={garbage}", "challenge-ca=", "{garbage}"),
    "identity: timeout": Broken(f"{SCEP_URL} for=mdm challenge=https://ca.test/ "
                                "challenge-timeout=2h", "challenge-timeout=", "100ms to 60s"),
    "identity: timeout for nobody": Broken(f"{SCEP_URL} for=mdm challenge-timeout=2s",
                                           "is for a challenge that is asked for",
                                           "challenge=exec:/path"),
    "identity: fingerprint": Broken(f"{SCEP_URL} for=mdm ca-fingerprint=abc", "ca-fingerprint=",
                                    "32, 40 or 64 hexadecimal digits"),
    "identity CA: no file": Broken("MDMEnrollIdentityCA {folder}/none", "{folder}/none", "none"),
    "identity CA: no CA": Broken("MDMEnrollIdentityCA {leaf.cert_file}", "is no CA certificate",
                                 "wanted basicConstraints with CA:TRUE"),
    "identity CA: the device CA": Broken(
        ["MDMEnrollDeviceCA {site.root.cert_file}", "MDMEnrollIdentityCA {site.root.cert_file}"],
        "the identity CA is a device CA, too", "each needs its own key",
        "MDMEnrollIdentityCA"),
    # --- endpoints
    "no device": Broken(f"-{DEVICE}", "the endpoint profile needs the endpoint device",
                        'add <Location "/enroll/device"> MDMEnrollEndpoint device',
                        "MDMEnrollEndpoint profile"),
    "no scep": Broken(f"-{SCEP}", "the endpoint device needs the endpoint scep",
                      'add <Location "/enroll/scep"> MDMEnrollEndpoint scep',
                      "MDMEnrollEndpoint device"),
    "two of a kind": Broken(location("/other", "scep"), f'already, in <Location "{SCEP}">',
                            "wanted: one of each in a vhost"),
    "two on one path": Broken([f"-{DEVICE}", location(SCEP, "device")],
                              f'<Location "{SCEP}"> is the endpoint scep already',
                              "wanted: a path of its own for each"),
    "unknown endpoint": Broken(location("/other", "enroll"), '"enroll" is not an endpoint',
                               "wanted: profile, device, scep, "),
    "in Directory": Broken(location("/srv", "scep", "Directory"), "<Directory>",
                           'wanted: directly in <Location "/path">'),
    "in Files": Broken(location("scep", "scep", "Files"), "<Files>",
                       'wanted: directly in <Location "/path">'),
    "in LocationMatch": Broken(location("^/scep", "scep", "LocationMatch"), "<LocationMatch>",
                               'wanted: directly in <Location "/path">'),
    "in Location ~": Broken(location("^/scep", "scep", "Location ~"), "a regular expression",
                            "wanted: a plain path"),
    "in If": Broken(f'<Location "/x">\n{location("true", "scep", "If")}\n</Location>', "<If>",
                    'wanted: directly in <Location "/path">'),
    "in VirtualHost": Broken("MDMEnrollEndpoint scep", "<VirtualHost>",
                             'wanted: directly in <Location "/path">'),
    "in no section": Broken("^MDMEnrollEndpoint SCEP", "outside of a section",
                            'wanted: in <Location "/path">', "MDMEnrollEndpoint SCEP"),
    "on the root": Broken(location("/", "scep"), '<Location "/">', "wanted: a path of its own"),
    "wildcard": Broken(location("/scep*", "scep"), '<Location "/scep*">',
                       "wanted: a path without the wildcards"),
    "no request matches": Broken(location("/a//scep", "scep"), '<Location "/a//scep">',
                                 'wanted: a path without "//"'),
    "an outer one behind an inner one": Broken(
        [f"-{PROFILE}", location("/enroll", "profile")],
        f'<Location "/enroll"> stands behind <Location "{DEVICE}">', "move it before that"),
    # --- https
    "TLS off in quotes": Broken('SSLEngine "off"', "there is no TLS here", 'add "SSLEngine on"',
                                "MDMEnrollEndpoint profile"),
    "no TLS": Broken("SSLEngine off", "there is no TLS here",
                     'add "SSLEngine on", or, where a proxy ends TLS, MDMEnrollBaseURL',
                     "MDMEnrollEndpoint profile"),
    "no TLS, no signer": Broken(["SSLEngine off", "MDMEnrollBaseURL https://enroll.test"],
                                "this vhost has no TLS", "add MDMEnrollSigner certificate key"),
    "base URL: http": Broken("MDMEnrollBaseURL http://enroll.test", '"http://enroll.test"',
                             "wanted: https://host"),
    "base URL: path": Broken("MDMEnrollBaseURL https://enroll.test/mdm",
                             '"https://enroll.test/mdm"', "with nothing behind it"),
    # --- the store
    "store: unknown kind": Broken("MDMEnrollStore mysql:/var/db", '"mysql:"',
                                  "wanted is sqlite3:/absolute/path"),
    "store: no kind": Broken("MDMEnrollStore /var/enroll.db", "the kind of database is missing",
                             "wanted is sqlite3:/absolute/path"),
    "store: relative path": Broken("MDMEnrollStore sqlite3:enroll.db", '"enroll.db"',
                                   "wanted is sqlite3:/absolute/path"),
    "store: no folder": Broken("MDMEnrollStore sqlite3:{folder}/none/enroll.db",
                               "the folder {folder}/none/", "make it, owned by the user"),
    "store: file as folder": Broken("MDMEnrollStore sqlite3:{empty}/enroll.db",
                                    "the folder {empty}/", "make it, owned by the user"),
    "store: not writable": Broken("MDMEnrollStore sqlite3:{locked}/enroll.db",
                                  "cannot write to the folder {locked}/",
                                  "make it owned by that user"),
    "store: a folder": Broken("MDMEnrollStore sqlite3:{open_folder}/inner", "inner is a folder",
                              "such as {open_folder}/inner/enroll.db"),
    "store: URI": Broken("MDMEnrollStore pgsql:postgresql://u:{password}@h/db", "it is a URI",
                         "wanted is pgsql:key=value"),
    "store: quote": Broken("MDMEnrollStore \"pgsql:host=h password='{password}\"",
                           "a single quote is not closed", "wanted is pgsql:key=value"),
    "store: blanks": Broken('MDMEnrollStore "pgsql:password={password} {password}"',
                            "lacks its single quotes", "wanted is pgsql:key=value"),
    "store: no prefix": Broken('MDMEnrollStore "password={password} dbname=mdm"',
                               "the kind of database is missing", "pgsql:"),
    # --- names, URLs
    "topic": Broken("MDMEnrollTopic com.example.push", '"com.example.push"',
                    "begins with com.apple.mgmt."),
    "server: http": Broken("MDMEnrollServer http://mdm.example.test/mdm",
                           '"http://mdm.example.test/mdm"', "https://host[:port]/path"),
    "check-in: http": Broken(f"MDMEnrollServer {SERVER} http://mdm.example.test/in",
                             '"http://mdm.example.test/in"', "https://host[:port]/path"),
    "server: password": Broken("MDMEnrollServer https://u:{password}@mdm.example.test/mdm",
                               "URL with a user name or password", "wanted is one without"),
    "identifier": Broken('MDMEnrollIdentifier "com.example mdm"', '"com.example mdm"',
                         "a reverse domain name such as com.example.mdm.enroll"),
    "organization: long": Broken(f"MDMEnrollOrganization {'x' * 65}", "x" * 65,
                                 "at most 64 characters"),
    "organization: control": Broken('MDMEnrollOrganization "Example\x01Corp"',
                                    "MDMEnrollOrganization", "wanted: a name in UTF-8"),
    "organization: empty": Broken('MDMEnrollOrganization ""', "takes one argument",
                                  "name of the organization"),
    # --- the CA
    "CA: another's key": Broken("MDMEnrollCA {site.ca.cert_file} {ec.key_file}", "{ec.key_file}",
                                "does not belong to the first certificate in {site.ca.cert_file}"),
    "CA: leaf": Broken(ca("leaf"), "CN=Unfit CA", "wanted is basicConstraints with CA:TRUE"),
    "CA: ECDSA": Broken(ca("ec"), "CN=Unfit CA", "wanted is an RSA key of 2048 to 8192 bits "
                        "(devices encrypt to it), or an RA with such a key (MDMEnrollRA)"),
    "CA: 1024 bits": Broken(ca("small"), "CN=Unfit CA",
                            "wanted is an RSA key of 2048 to 8192 bits"),
    "CA: usage": Broken(ca("signs_only"), "CN=Unfit CA",
                        "wanted is keyUsage with keyCertSign, digitalSignature and "
                        "keyEncipherment"),
    "CA: no file": Broken("MDMEnrollCA {folder}/none.pem {site.ca.key_file}",
                          "cannot open {folder}/none.pem", "No such file"),
    "CA: no key file": Broken("MDMEnrollCA {site.ca.cert_file} {folder}/none.key",
                              "cannot open {folder}/none.key", "No such file"),
    "CA: a folder": Broken("MDMEnrollCA {folder} {site.ca.key_file}",
                           "cannot read a certificate from {folder}",
                           "it holds neither PEM certificates nor one of DER"),
    "CA: garbage": Broken("MDMEnrollCA {garbage} {site.ca.key_file}",
                          "cannot read a certificate from {garbage}",
                          "it holds neither PEM certificates nor one of DER"),
    "CA: garbage key": Broken("MDMEnrollCA {site.ca.cert_file} {garbage}", "{garbage}",
                              "cannot read a PEM private key"),
    # --- other certificates
    "signer: another's key": Broken("MDMEnrollSigner {world.signer.cert_file} {ec.key_file}",
                                    "{ec.key_file}",
                                    "does not belong to the first certificate in "
                                    "{world.signer.cert_file}"),
    "signer: no chain": Broken("MDMEnrollSigner {world.signer.cert_file} {world.signer.key_file} "
                               "{folder}/none.pem", "cannot open {folder}/none.pem",
                               "No such file"),
    "device CA: leaf": Broken("MDMEnrollDeviceCA apple {leaf.cert_file}",
                              "{leaf.cert_file}: CN=Unfit CA,O=Test is no CA certificate",
                              "wanted basicConstraints with CA:TRUE"),
    "device CA: no file": Broken("MDMEnrollDeviceCA {folder}/none.pem",
                                 "cannot open {folder}/none.pem", "No such file"),
    "device CA: the identity CA": Broken("MDMEnrollDeviceCA {site.ca.cert_file}",
                                         "the identity CA is a device CA, too",
                                         "each needs its own key", "MDMEnrollCA "),
    "certificate: no file": Broken("MDMEnrollCertificate {folder}/none.pem",
                                   "cannot open {folder}/none.pem", "No such file"),
    "denied: fingerprint": Broken("MDMEnrollDenyCertificate AB:CD:EF", '"AB:CD:EF"',
                                  "64 hexadecimal digits"),
    "client certificate": Broken("MDMEnrollClientCertificate on", '"on"',
                                 "wanted: off, optional or require"),
    # --- what devices are asked and given
    "attributes: no SERIAL": Broken("MDMEnrollDeviceAttributes UDID PRODUCT", '"UDID PRODUCT"',
                                    "both must be in it"),
    "attributes: no UDID": Broken("MDMEnrollDeviceAttributes SERIAL", '"SERIAL"',
                                  "both must be in it"),
    "attributes: spelling": Broken("MDMEnrollDeviceAttributes UDID Serial", '"Serial"',
                                   "such as UDID SERIAL PRODUCT"),
    "cipher": Broken("MDMEnrollCipher RC4", '"RC4"', "wanted: AES-256, AES-128 or DES3"),
    "payload: type": payload("com.apple.wifi.managed SSID x", '"com.apple.wifi.managed"',
                             'wanted is one of "Configuration"'),
    "payload: key": payload("com.apple.mdm AccesRights 8191", '"AccesRights"', '"AccessRights"'),
    "payload: boolean": payload("com.apple.mdm SignMessage yes", 'SignMessage "yes"',
                                "wanted is true or false"),
    "payload: number": payload("com.apple.mdm AccessRights all", 'AccessRights "all"',
                               "wanted is a whole number"),
    "payload: range": payload("Configuration TargetDeviceType 7", 'TargetDeviceType "7"',
                              "wanted is a whole number from 0 to 6"),
    "payload: word": payload("com.apple.security.scep Keysize 1024", 'Keysize "1024"', "2048"),
    "payload: date": payload("Configuration RemovalDate tomorrow", 'RemovalDate "tomorrow"',
                             "wanted is a date such as"),
    "payload: reserved": payload(f"com.apple.mdm Topic {TOPIC}", "Topic cannot be set here",
                                 "use MDMEnrollTopic"),
    "payload: the module's": payload("com.apple.mdm IdentityCertificateUUID x",
                                     "IdentityCertificateUUID cannot be set here",
                                     "it is filled in by the module"),
    "payload: no value": payload("com.apple.mdm SignMessage", "MDMEnrollPayload",
                                 "a payload type, a key and its value"),
    "payload: pin": payload("com.apple.mdm ServerURLPinningCertificateUUIDs {site.ca.cert_file}",
                            '"{site.ca.cert_file}"', "name the file in both directives"),
    # --- the directory
    "directory: scheme": Broken("MDMEnrollDirectory http://ldap.example.test/dc=test",
                                '"http://ldap.example.test/dc=test"',
                                "the scheme must be ldap or ldaps"),
    "directory: no base": Broken("MDMEnrollDirectory ldap://ldap.example.test",
                                 "the base is missing", "wanted is ldap[s]://host[:port]/base"),
    "directory: filter": Broken(f'MDMEnrollDirectory "{LDAP}?sub?(&(a=b)"', "(&(a=b)",
                                "the filter must have all its parentheses"),
    "directory: TLS": Broken(f"MDMEnrollDirectory {LDAP} TLS", '"TLS"', "wanted: STARTTLS"),
    "directory: TLS twice": Broken(f"MDMEnrollDirectory {LDAP.replace('ldap:', 'ldaps:')} STARTTLS",
                                   '"STARTTLS"', "which is TLS already"),
    "directory: none": Broken("MDMEnrollDirectoryGroup cn=mobile,dc=example,dc=test",
                              "there is no MDMEnrollDirectory", "add one, or remove this"),
    "bind: a command": Broken(["MDMEnrollDirectoryBind cn=httpd exec:/bin/{password}",
                               f"MDMEnrollDirectory {LDAP}"], "as a command or a path",
                              "wanted: file:/path"),
    "bind: a path": Broken(["MDMEnrollDirectoryBind cn=httpd /etc/{password}",
                            f"MDMEnrollDirectory {LDAP}"], "as a command or a path",
                           "wanted: file:/path"),
    "bind: no file": Broken(["MDMEnrollDirectoryBind cn=httpd file:{folder}/none",
                             f"MDMEnrollDirectory {LDAP}"], "{folder}/none", "No such file"),
    "bind: empty file": Broken(["MDMEnrollDirectoryBind cn=httpd file:{empty}",
                                f"MDMEnrollDirectory {LDAP}"], "{empty}", "password"),
    "bind: no password": Broken('MDMEnrollDirectoryBind cn=httpd ""', "takes two arguments",
                                "DN to bind as, and its password or file:/path"),
    "bind: no path": Broken("MDMEnrollDirectoryBind {password} file:", 'no path behind "file:"',
                            "wanted: file:/path"),
    "group": Broken(["MDMEnrollDirectoryGroup mobile", f"MDMEnrollDirectory {LDAP}"], '"mobile"',
                    "wanted: the DN of a group"),
    "directory CA": Broken(["MDMEnrollDirectoryCA {folder}/none.pem", f"MDMEnrollDirectory {LDAP}"],
                           "cannot open {folder}/none.pem", "No such file"),
    "directory CA: not one": Broken(["MDMEnrollDirectoryCA {garbage}",
                                     f"MDMEnrollDirectory {LDAP}"], "{garbage}", "certificate"),
    "timeout: none": Broken("MDMEnrollDirectoryTimeout 0", '"0"', "a time from 100ms to 60s"),
    "timeout: long": Broken("MDMEnrollDirectoryTimeout 2min", '"2min"',
                            "a time from 100ms to 60s"),
    # --- policy, times
    "require: syntax": Broken('MDMEnrollRequire "%{{MDM_PRODUCT}} =~"', "%{{MDM_PRODUCT}} =~",
                              'wanted: an expression of httpd, such as "%{{MDM_PRODUCT}} =~ /'),
    "require: text": Broken('MDMEnrollRequire true "bell\x07"', "MDMEnrollRequire",
                            "wanted: a sentence for the user"),
    "lifetime: none": Broken("MDMEnrollLifetime 0", '"0"', "a time from 1s to 7d"),
    "lifetime: long": Broken("MDMEnrollLifetime 8d", '"8d"', "a time from 1s to 7d"),
    "lifetime: negative": Broken("MDMEnrollLifetime -5min", '"-5min"', "a time from 1s to 7d"),
    "lifetime: word": Broken("MDMEnrollLifetime soon", '"soon"', "a time from 1s to 7d"),
    "validity: short": Broken("MDMEnrollValidity 30min", '"30min"', "a time from 1h to 3650d"),
    "validity: long": Broken("MDMEnrollValidity 11000d", '"11000d"', "a time from 1h to 3650d"),
}


class Kit:
    """A site that never runs: its configuration is edited and tested."""

    def __init__(self, world):
        self.world = world
        self.site = world.make_site("config", directory=False, authentication=htpasswd(world),
                                    vhosts=lambda site: site.tls_vhost(HOST))
        self.httpd = self.site.httpd
        self.files = Files(world, self.site.folder)

    def fill(self, text):
        return text.format_map(self.files)

    def sound(self):
        return self.site.config()

    def edited(self, *lines):
        config = self.sound()
        for line in lines:
            name = re.escape(line.lstrip("-").split()[0])
            place = re.compile(f"^{name} .*\n", re.M)
            if line.startswith("^"):
                config = f"{line[1:]}\n{config}"
            elif line.startswith("-/"):
                config, count = re.subn(f'<Location "{name}">.*?</Location>\n', "", config,
                                        flags=re.S)
                assert count == 1
            elif line.startswith("-"):
                config, count = place.subn("", config)
                assert count == 1
            elif place.search(config) and not line.startswith(("<", "MDMEnrollEndpoint")):
                config = place.sub(lambda _, line=line: f"{line}\n", config)
            else:
                head, tail = config.rsplit("</VirtualHost>", 1)
                config = f"{head}{line}\n</VirtualHost>{tail}"
        return config

    def test(self, config):
        self.httpd.configure(config)
        return self.httpd.test()

    def line(self, start):
        """Number of the last line of the file that begins so."""
        lines = self.httpd.config_file.read_text().splitlines()
        return max(i for i, line in enumerate(lines, 1) if line.startswith(start))

    def place(self, start):
        return f"({self.httpd.config_file}:{self.line(start)})"


@pytest.fixture(scope="module")
def kit(world):
    return Kit(world)


# --- broken --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BROKEN)
def test_broken(kit, name):
    row = BROKEN[name]
    lines = [kit.fill(line) for line in row.lines]
    status, said = kit.test(kit.edited(*lines))
    assert status != 0 and "Syntax OK" not in said
    assert PASSWORD not in said

    ours = re.findall("^MDMEnroll.*", "\n".join(lines), re.M)
    at = row.at or (ours[0] if ours else "<VirtualHost")
    messages = said.splitlines()
    if f"Syntax error on line {kit.line(at)} of {kit.httpd.config_file}:" in messages[0]:
        (message,) = messages[1:]
    else:
        (message,) = [m for m in messages if ID["CONFIGURATION"] in m]
        assert f"vhost {HOST} {kit.place('<VirtualHost')}" in message
        assert kit.place(at) in message
    assert kit.fill(row.seen) in message
    assert kit.fill(row.wanted) in message


def second_host(kit, text):
    return vhost(kit.site.port, "second.test", certificate(kit.world.site.server(HOST)) + text +
                 endpoints(htpasswd(kit.world)))


def test_every_problem_in_one_pass(kit):
    config = kit.edited(f"-{SCEP}", "-MDMEnrollTopic", *map(kit.fill, (
        "MDMEnrollCA {leaf.cert_file} {leaf.key_file}",
        "MDMEnrollStore sqlite3:{folder}/none/enroll.db",
        "MDMEnrollDeviceAttributes UDID",
        "MDMEnrollDirectoryGroup cn=mobile",
        "MDMEnrollPayload com.apple.mdm CheckInURLPinningCertificateUUIDs /none.pem",
        "MDMEnrollDeviceCA {folder}/none.pem {leaf.cert_file}")))
    status, said = kit.test(config + second_host(kit, f"MDMEnrollTopic {TOPIC}\n"))
    assert status != 0
    told = [line for line in said.splitlines() if ID["CONFIGURATION"] in line]
    for each in ("needs the endpoint scep", "MDMEnrollTopic is missing", "CA:TRUE", "/none/",
                 '"UDID" lacks', "no MDMEnrollDirectory;", '"/none.pem"', "cannot open",
                 "is no CA certificate"):
        assert [t for t in told if each in t], each
    # What both hosts inherit is told once.
    assert len(told) == 9


def test_problem_of_the_second_host(kit):
    """The place is that vhost's, and the first one is not blamed."""
    status, said = kit.test(kit.sound() + second_host(kit, "MDMEnrollDeviceAttributes UDID\n"))
    assert status != 0
    (message,) = [line for line in said.splitlines() if ID["CONFIGURATION"] in line]
    assert f"vhost second.test {kit.place('<VirtualHost')}" in message


def test_global_endpoints_without_any_tls(kit):
    """Nobody would serve them."""
    config = kit.sound().split("<VirtualHost")[0] + endpoints(htpasswd(kit.world))
    status, said = kit.test(config + vhost(kit.site.plain_port, "plain.test", ""))
    assert status != 0
    (message,) = [line for line in said.splitlines() if ID["CONFIGURATION"] in line]
    assert "there is no TLS here" in message and kit.place("MDMEnrollEndpoint profile") in message


def host_with_files(site):
    # httpd's message about a .htaccess has no id that could be announced.
    return site.tls_vhost(HOST) + vhost(
        site.port, "files.test", certificate(site.world.site.server(HOST)) +
        f"DocumentRoot {site.folder}/www\nLogLevel core:emerg ssl:error\n"
        f"<Directory {site.folder}/www>\nAllowOverride All\n</Directory>\n")


def test_endpoint_in_htaccess(own_site):
    site = own_site(directory=False, vhosts=host_with_files)
    folder = site.folder / "www"
    folder.mkdir()
    (folder / "file").write_text("text")
    site.start()

    def get():
        return site.curl("/file", "--insecure", host="files.test")
    (folder / ".htaccess").write_text("Require all granted\n")
    assert get().body == b"text"
    (folder / ".htaccess").write_text("MDMEnrollEndpoint scep\n")
    assert get().status == 500


# --- sound ---------------------------------------------------------------------------------------


def everything(kit):
    (kit.site.folder / "password").write_text("secret\n")
    return kit.edited(*map(kit.fill, (
        f"MDMEnrollOrganization {'ü' * 64}",
        "MDMEnrollSigner {world.signer.cert_file} {world.signer.key_file} "
        "{site.intermediate.cert_file}",
        "MDMEnrollBaseURL https://enroll.test:8443/",
        "MDMEnrollDeviceAttributes UDID SERIAL PRODUCT",
        "MDMEnrollDeviceCA apple {world.device_ca.cert_file}",
        f"MDMEnrollDenyCertificate {'ab:' * 31}ab {'CD' * 32}",
        "MDMEnrollCertificate {site.root.cert_file} {site.intermediate.cert_file}",
        "MDMEnrollCipher aes-128",
        "MDMEnrollPayload com.apple.mdm ServerURLPinningCertificateUUIDs {site.root.cert_file}",
        "MDMEnrollClientCertificate require",
        f"MDMEnrollDirectory {LDAP},cn?one?(employeeType=active) STARTTLS",
        "MDMEnrollDirectoryBind cn=httpd file:{folder}/password",
        "MDMEnrollDirectoryGroup cn=mobile,dc=example,dc=test",
        "MDMEnrollDirectoryCA {site.root.cert_file}",
        "MDMEnrollDirectoryTimeout 500ms",
        'MDMEnrollRequire "%{{MDM_PRODUCT}} =~ /^iPhone/" "Only iPhones, bitte schön."',
        "MDMEnrollLifetime 1h",
        "MDMEnrollValidity 30d")))


def without_endpoints(kit):
    """Settings alone do nothing, and need nothing else."""
    return f"MDMEnrollTopic {TOPIC}\nMDMEnrollOrganization x\n"


def scep_over_plain_http(kit):
    keep = ("MDMEnrollStore", "MDMEnrollOrganization", "MDMEnrollCA", "MDMEnrollIdentifier",
            "MDMEnrollServer", "MDMEnrollTopic")
    lines = [line for line in kit.sound().splitlines() if line.startswith(keep)]
    return "\n".join(lines) + "\n" + vhost(kit.site.plain_port, "scep.test",
                                           location(SCEP, "scep") + "\n")


def within_if_module(kit):
    """As distributions wrap their TLS hosts."""
    head, tail = kit.sound().split("<VirtualHost", 1)
    return f"{head}<IfModule mod_ssl.c>\n<VirtualHost{tail}</IfModule>\n"


def included(kit):
    """A host in a file of its own, which includes its TLS lines."""
    tls, file = kit.site.folder / "tls.conf", kit.site.folder / "vhost.conf"
    tls.write_text(f"<IfModule ssl_module>\n{certificate(kit.world.site.server(HOST))}"
                   "</IfModule>\n")
    file.write_text(vhost(kit.site.port, HOST, f"Include {tls}\n" +
                          endpoints(htpasswd(kit.world))))
    return kit.sound().split("<VirtualHost")[0] + f"Include {file}\n"


def in_a_macro(kit):
    head, tail = kit.sound().split("<VirtualHost", 1)
    tail = tail.replace(f"ServerName {HOST}", "ServerName $host")
    return (f"<IfModule !macro_module>\nLoadModule macro_module {paths.httpd_modules()}/"
            f"mod_macro.so\n</IfModule>\n{head}<Macro Enrolls $host>\n<VirtualHost{tail}</Macro>\n"
            f"Use Enrolls {HOST}\nUse Enrolls second.test\n")


def postgresql(kit):
    return kit.edited("MDMEnrollStore \"pgsql:host=db dbname=mdm password='a b'\"")


def https_by_its_socket(kit):
    """mod_ssl takes part without SSLEngine where the socket speaks https."""
    return without_ssl_engine(kit.sound(), kit.site.port, free_port())


def a_ca_of_yesterday(kit):
    """Nothing that comes of itself may keep httpd from starting."""
    return kit.edited(kit.fill(ca("expired")))


def foreign_identities(kit):
    """Neither a CA nor an endpoint scep is needed then."""
    return kit.edited("-MDMEnrollCA", f"-{SCEP}", *map(kit.fill, (
        "MDMEnrollIdentity scep http://ca.test:8080/certsrv/mscep/mscep.dll FOR=identity name=x "
        '"challenge=text:two words"\n'
        "MDMEnrollIdentity SCEP https://ca.test/scep for=mdm challenge=http://127.0.0.1:1/hook "
        f"challenge-timeout=100ms ca-fingerprint={'AB:' * 31}AB",
        "MDMEnrollIdentityCA {site.ca.cert_file} {site.root.cert_file}")))


def foreign_identities_of_one_host(kit):
    """What the main server says of one certificate holds beside what the host says of the other."""
    return kit.edited("^MDMEnrollIdentity builtin", "^MDMEnrollIdentityCA " + kit.fill(
        "{site.root.cert_file}"), "MDMEnrollIdentity scep https://ca.test/scep for=mdm")


def a_ca_of_before(kit):
    return kit.edited(kit.fill("MDMEnrollIdentityCA {expired.cert_file} {site.ca.cert_file}"))


def nested_in_order(kit):
    return kit.edited(f"-{PROFILE}", f"-{DEVICE}", location("/enroll", "profile"),
                      location(DEVICE, "device"), f"-{SCEP}", location(SCEP, "scep"))


SOUND = [Kit.sound, everything, without_endpoints, scep_over_plain_http, within_if_module, included,
         in_a_macro, postgresql, https_by_its_socket, a_ca_of_yesterday, nested_in_order,
         foreign_identities, foreign_identities_of_one_host, a_ca_of_before]


@pytest.mark.parametrize("config", SOUND, ids=lambda f: f.__name__)
def test_sound(kit, config):
    status, said = kit.test(config(kit))
    *before, last = said.splitlines()
    assert (status, last) == (0, "Syntax OK")
    # Its database is away, and so whether devices were enrolled with other settings is not known.
    assert [ID["TERMS_UNREAD"] in line for line in before] == [True] * (config is postgresql)
