# SPDX-License-Identifier: Apache-2.0
"""A site: httpd with the module, its database, its virtual hosts; and the walk of a device through
it."""

import plistlib
import secrets

from . import cms, scep, slapd
from .database import SqliteDatabase
from .http import curl
from .httpd import Httpd
from .log import message_ids
from .ports import free_port

ID = message_ids()
ORGANIZATION = "Example Corp"
IDENTIFIER = "com.example.mdm.enroll"
SERVER = "https://mdm.example.test/mdm"
CHECKIN = "https://mdm.example.test/checkin"
TOPIC = "com.apple.mgmt.External.0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"
ASPEN = "application/x-apple-aspen-config"
PROFILE, DEVICE, SCEP = "/enroll/profile", "/enroll/device", "/enroll/scep"


def base_directives(world, database, directory=None):
    """What the module needs at server level. directory: the LDAP server to ask, if any."""
    text = (f'MDMEnrollStore "{database.store}"\n'
            f'MDMEnrollOrganization "{ORGANIZATION}"\n'
            f"MDMEnrollIdentifier {IDENTIFIER}\n"
            f"MDMEnrollServer {SERVER} {CHECKIN}\n"
            f"MDMEnrollTopic {TOPIC}\n"
            f"MDMEnrollCA {world.site.ca.cert_file} {world.site.ca.key_file}\n"
            f"MDMEnrollDeviceCA {world.device_ca.cert_file}\n"
            f"MDMEnrollCertificate {world.site.root_file}\n")
    if directory:
        text += (f'MDMEnrollDirectory "{ldap_url(directory.url)}"\n'
                 f'MDMEnrollDirectoryBind "{slapd.ADMIN}" "{slapd.ADMIN_PASSWORD}"\n'
                 f'MDMEnrollDirectoryGroup "{slapd.GROUP}"\n')
    return text


def ldap_url(server):
    """Disabled people are not found."""
    return (f"{server}/{slapd.PEOPLE}?uid?sub?"
            "(&(objectClass=inetOrgPerson)(!(employeeType=disabled)))")


def basic_ldap(directory):
    return ("AuthType Basic\n"
            'AuthName "Device enrollment"\n'
            "AuthBasicProvider ldap\n"
            f'AuthLDAPURL "{ldap_url(directory.url)}"\n'
            f'AuthLDAPBindDN "{slapd.ADMIN}"\n'
            f'AuthLDAPBindPassword "{slapd.ADMIN_PASSWORD}"\n'
            "AuthLDAPGroupAttribute member\n"
            f'Require ldap-group {slapd.GROUP}\n')


def form_ldap(directory):
    return (basic_ldap(directory).replace("AuthType Basic", "AuthType form")
            .replace("AuthBasicProvider", "AuthFormProvider") +
            'AuthFormLoginRequiredLocation "/login.html"\n'
            "Session On\n"
            "SessionCookieName mdmsession path=/;httponly;secure\n"
            f"SessionCryptoPassphrase {secrets.token_hex(16)}\n")


def htpasswd(world):
    """Without LDAP: what a site with a password file has."""
    return ("AuthType Basic\n"
            'AuthName "Device enrollment"\n'
            "AuthBasicProvider file\n"
            f"AuthUserFile {world.password_file}\n"
            "Require valid-user\n")


def endpoints(authentication):
    return (f'<Location "{PROFILE}">\nMDMEnrollEndpoint profile\n{authentication}</Location>\n'
            f'<Location "{DEVICE}">\nMDMEnrollEndpoint device\nRequire all granted\n</Location>\n'
            f'<Location "{SCEP}">\nMDMEnrollEndpoint scep\nRequire all granted\n</Location>\n')


def certificate(*identities, chain=None, bundle=None):
    """SSLCertificate* lines. chain: a file for SSLCertificateChainFile. bundle: a file with the
    first identity's certificate and its chain."""
    text = "SSLEngine on\n"
    for index, identity in enumerate(identities):
        file = bundle if bundle and index == 0 else identity.cert_file
        text += f"SSLCertificateFile {file}\nSSLCertificateKeyFile {identity.key_file}\n"
    return text + (f"SSLCertificateChainFile {chain}\n" if chain else "")


def without_ssl_engine(config, port, other):
    """The host at a socket of its own, and no word of SSLEngine."""
    return (f"Listen 127.0.0.1:{other} https\n" +
            config.replace(f":{port}>", f":{other}>").replace("SSLEngine on\n", ""))


def vhost(port, host, text, protocols="h2 http/1.1"):
    return (f"<VirtualHost 127.0.0.1:{port}>\nServerName {host}\nProtocols {protocols}\n"
            f"{text}</VirtualHost>\n")


class Site:
    """vhosts(site) gives the text of the virtual hosts; by default there are enroll.test with TLS
    and a plain one behind a "proxy" for SCEP clients that know no TLS. directory: whether the
    module asks the LDAP server again; users sign in with it in any case."""

    HOST = "enroll.test"

    def __init__(self, world, folder, *, database=None, directives="", vhosts=None,
                 authentication=None, directory=True, directory_server=None, children=1,
                 threads=25, module=True, environ=None):
        self.world = world
        self.folder = folder
        self.port, self.plain_port = free_port(), free_port()
        self.database = database or SqliteDatabase(folder / "state" / "enroll.db")
        self.directory_server = directory_server or world.slapd
        self.authentication = authentication or basic_ldap(self.directory_server)
        self.directives = directives
        self.directory = self.directory_server if directory else None
        self.vhosts = vhosts or Site.default_vhosts
        self.httpd = Httpd(folder, self.config(), ports=[self.port, self.plain_port],
                           children=children, threads=threads, module=module,
                           environ=environ)

    def config(self):
        return (base_directives(self.world, self.database, self.directory) + self.directives +
                self.vhosts(self))

    def default_vhosts(self):
        return self.tls_vhost(self.HOST) + self.plain_vhost()

    def tls_vhost(self, host, text="", authentication=None, certificates=None):
        """A virtual host on the TLS port; its certificate has the chain in the file."""
        if certificates is None:
            identity = self.world.site.server(host)
            certificates = certificate(identity, bundle=self.world.bundle(identity))
        return vhost(self.port, host, certificates + text +
                     endpoints(authentication or self.authentication))

    def plain_vhost(self, host=None):
        """As behind a proxy that ends TLS."""
        return vhost(self.plain_port, "plain.test",
                     f"MDMEnrollBaseURL {self.url('', host or self.HOST)}\n"
                     f"MDMEnrollSigner {self.world.signer.cert_file} "
                     f"{self.world.signer.key_file} {self.world.site.intermediate.cert_file}\n" +
                     endpoints(self.authentication), protocols="http/1.1")

    def reconfigure(self):
        self.httpd.configure(self.config())

    @property
    def log(self):
        return self.httpd.log

    def expect(self, *names, times=1):
        """Announce messages by name: MDM ones as in mdm_messages.def, or an AH number."""
        self.log.expect(*(ID.get(n, n) for n in names), times=times)

    def start(self):
        self.httpd.start()
        return self

    def stop(self):
        self.httpd.stop()

    def url(self, path, host=None):
        return f"https://{host or self.HOST}:{self.port}{path}"

    def plain_url(self, path):
        return f"http://127.0.0.1:{self.plain_port}{path}"

    def curl(self, path, *extra, host=None, **options):
        """Path of this site, or a whole URL of it."""
        url = path if "://" in path else self.url(path, host)
        return curl(url, *extra, root=self.world.site.root_file, connect_to=self.port, **options)

    def post_device(self, message, host=None, **options):
        return self.curl(DEVICE, host=host, data=message,
                         headers=["Content-Type: application/pkcs7-signature"], **options)

    def post_scep(self, message, host=None, **options):
        return self.curl(SCEP + "?operation=PKIOperation", host=host, data=message,
                         headers=["Content-Type: application/x-pki-message"], **options)

    def walk(self, device=None, **options):
        return Walk(self, device or self.world.device(), **options)


def opened(response, root_file):
    """A signed profile: (what openssl verified, the property list)."""
    assert response.status == 200, (response.status, response.body)
    assert response.type == ASPEN
    assert "no-store" in response.headers["cache-control"]
    assert int(response.headers["content-length"]) == len(response.body)
    verified = cms.verify(response.body, root_file)
    return verified, plistlib.loads(verified.content)


class Walk:
    """A device on its way through a site. Each step checks what an iPhone would check, and leaves
    what it got in the attributes of this object."""

    def __init__(self, site, device, *, host=None, user="alice", http2=False, tls=None,
                 weak_tls=False, signing=None, ca=None, responder=None):
        self.site, self.device, self.host, self.user = site, device, host, user
        self.ca = ca or site.world.site.ca
        self.responder = responder or self.ca  # the RA, where there is one
        self.root_file = site.world.site.root_file
        self.options = {"http2": http2, "weak_tls": weak_tls}
        self.tls = tls  # None, or the steps' identities by number: {2: …, 3: …}
        self.signing = signing or {}  # options of Device.message
        self.challenge = None
        self.device_url = None
        self.scep_payload = None
        self.identity = None
        self.verified = {}

    def _tls(self, phase):
        if not self.tls:
            return {}
        chosen = self.tls.get(phase)
        return {"identity": self.identity if chosen == "identity" else chosen} if chosen else {}

    # --- phase 1 -------------------------------------------------------------------------------

    def get_profile(self, *extra, credentials=None, **options):
        return self.site.curl(PROFILE, *extra, host=self.host,
                              user=credentials or (self.user, slapd.password(self.user)),
                              **(self.options | options))

    def offer(self, response=None):
        response = response or self.get_profile()
        self.verified[1], profile = opened(response, self.root_file)
        assert profile["PayloadType"] == "Profile Service"
        self.challenge = profile["PayloadContent"]["Challenge"]
        self.device_url = profile["PayloadContent"]["URL"]
        self.profile = profile
        return self

    # --- phase 2 -------------------------------------------------------------------------------

    def phase2_message(self, **options):
        return self.device.message(self.challenge, **(self.signing | options))

    def post(self, message, phase=2):
        return self.site.curl(self.device_url, data=message,
                              headers=["Content-Type: application/pkcs7-signature"],
                              **self.options, **self._tls(phase))

    def identify(self, **options):
        return self.take_identity(self.post(self.phase2_message(**options)))

    def take_identity(self, response):
        self.verified[2], profile = opened(response, self.root_file)
        assert profile["PayloadType"] == "Configuration"
        assert len(profile["PayloadContent"]) == 1
        self.scep_payload = profile["PayloadContent"][0]
        assert self.scep_payload["PayloadType"] == "com.apple.security.scep"
        self.identity_profile = profile
        return self

    # --- SCEP ----------------------------------------------------------------------------------

    @property
    def scep_challenge(self):
        return self.scep_payload["PayloadContent"]["Challenge"]

    @property
    def scep_url(self):
        return self.scep_payload["PayloadContent"]["URL"]

    def request(self):
        return scep.Request.make(self.site.world.scratch)

    def certify(self, client="ours", **options):
        """Get the certificate of the payload at hand; as the identity, or that of the MDM."""
        request = self.request()
        if client == "strongswan":
            certificate_ = scep.strongswan(
                self.site.plain_url(SCEP), self.ca, self.scep_challenge,
                scep.write_key(self.site.world.scratch, request.key), self.site.world.scratch,
                **options)
        else:
            response = self.site.curl(
                self.scep_url + "?operation=PKIOperation", **self.options,
                data=request.message(self.scep_challenge, self.responder.cert_file, **options))
            assert (response.status, response.type) == (200, "application/x-pki-message")
            reply = request.open(response.body, self.ca.cert_file)
            assert reply.status == scep.SUCCESS, reply.fail_info
            certificate_ = reply.certificate
        self.identity = self.site.world.maker.store(certificate_, request.key)
        return self

    # --- updates -----------------------------------------------------------------------------

    def age(self, seconds=100):
        """Let its time pass: what was answered last was signed, and the profile made, long ago."""
        self.site.database.execute(
            f"UPDATE enrollment SET signed_at = signed_at - {seconds} WHERE udid = "
            f"'{self.device.udid}' AND signed_at > 0")
        return self

    def update(self, **options):
        """Come back with the identity of the enrollment."""
        self.identity = self.enrolled_with
        return self.deliver(**options)

    # --- phase 3 -------------------------------------------------------------------------------

    def phase3_message(self, **options):
        return self.device.message(signer=self.identity, **({"md": "sha256"} | options))

    def deliver(self, message=None, **options):
        """The final profile; its payloads are decrypted."""
        return self.take_profile(self.post(message or self.phase3_message(**options), phase=3))

    def take_profile(self, response):
        self.verified[3], self.profile = opened(response, self.root_file)
        self.encrypted = self.profile["EncryptedPayloadContent"]
        self.payloads = plistlib.loads(cms.decrypt(self.encrypted, self.identity))
        # none where the MDM identity comes in another way
        self.scep_payload = next((p for p in self.payloads
                                  if p["PayloadType"] == "com.apple.security.scep"), None)
        self.enrolled_with = self.identity
        return self

    def payload(self, kind):
        (found,) = [p for p in self.payloads if p["PayloadType"] == kind]
        return found

    def all(self, client="ours"):
        """From the login to the MDM identity."""
        return (self.offer().identify().certify(client).deliver().certify(client))
