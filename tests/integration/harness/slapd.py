# SPDX-License-Identifier: Apache-2.0
"""An LDAP server with people and a group, which can be stopped, frozen and started again."""

import base64
import contextlib
import pathlib
import signal

from . import paths
from .ports import free_port
from .process import Process, run, wait_until, listens

SUFFIX = "dc=example,dc=test"
PEOPLE = f"ou=people,{SUFFIX}"
GROUP = f"cn=mobile,ou=groups,{SUFFIX}"
ADMIN = f"cn=admin,{SUFFIX}"
ADMIN_PASSWORD = "directory secret"

# uid: (password, in the group). The last two come and go in the tests of the directory.
USERS = {
    "alice": ("alice's password", True),
    "bob": ("bob's password", True),
    "carol": ("carol's password", False),
    "jürgen": ("Größe §1 €", True),
    "dave": ("dave's password", True),
    "erin": ("erin's password", True),
}


class Slapd:
    def __init__(self, folder, identity, root_file):
        self.folder = pathlib.Path(folder)
        (self.folder / "data").mkdir(parents=True)
        self.port, self.tls_port = free_port(), free_port()
        schema = paths.first_folder("/etc/ldap/schema", "/etc/openldap/schema")
        modules = [f for f in ("/usr/lib/ldap", "/usr/lib64/openldap", "/usr/lib/openldap")
                   if list(pathlib.Path(f).glob("back_mdb*"))]
        load = f"modulepath {modules[0]}\nmoduleload back_mdb\n" if modules else ""
        (self.folder / "slapd.conf").write_text(
            "".join(f"include {schema}/{s}.schema\n" for s in
                    ("core", "cosine", "inetorgperson")) + load +
            f"pidfile {self.folder}/slapd.pid\n"
            f"TLSCACertificateFile {root_file}\n"
            f"TLSCertificateFile {identity.cert_file}\n"
            f"TLSCertificateKeyFile {identity.key_file}\n"
            "database mdb\n"
            f'suffix "{SUFFIX}"\n'
            f'rootdn "{ADMIN}"\n'
            f'rootpw "{ADMIN_PASSWORD}"\n'
            f"directory {self.folder}/data\n"
            "index objectClass eq\n"
            "index uid eq\n"
            "access to attrs=userPassword by anonymous auth by * none\n"
            "access to * by * read\n")
        self.process = Process(
            [paths.program("slapd"), "-f", self.folder / "slapd.conf", "-d", "0", "-h",
             f"ldap://127.0.0.1:{self.port} ldaps://127.0.0.1:{self.tls_port}"],
            self.folder / "slapd.out", [self.port, self.tls_port])
        self.process.start()
        entries = [f"dn: {SUFFIX}\nobjectClass: dcObject\nobjectClass: organization\no: Test\n"]
        entries += [f"dn: ou={ou},{SUFFIX}\nobjectClass: organizationalUnit\n"
                    for ou in ("people", "groups")]
        entries += [_person(uid) for uid in USERS]
        entries += [f"dn: {GROUP}\nobjectClass: groupOfNames\n" +
                    "".join(_line("member", user_dn(u)) for u, (_, member) in USERS.items()
                            if member)]
        self._load("ldapadd", "\n".join(entries))

    @property
    def url(self):
        return f"ldap://127.0.0.1:{self.port}"

    @property
    def tls_url(self):
        return f"ldaps://127.0.0.1:{self.tls_port}"

    def _load(self, tool, ldif):
        run(tool, "-x", "-H", self.url, "-D", ADMIN, "-w", ADMIN_PASSWORD,
            *(["-c"] if tool == "ldapdelete" else []), data=ldif.encode())

    # --- people come and go --------------------------------------------------------------------

    def add(self, uid):
        self._load("ldapadd", _person(uid))

    def delete(self, uid):
        self._load("ldapdelete", user_dn(uid) + "\n")

    def disable(self, uid):
        """As a site may mark it: the searches of the tests leave such people out."""
        self._modify(_line("dn", user_dn(uid)) +
                     "changetype: modify\nreplace: employeeType\nemployeeType: disabled\n")

    def enable(self, uid):
        self._modify(_line("dn", user_dn(uid)) +
                     "changetype: modify\nreplace: employeeType\nemployeeType: active\n")

    def replace(self, uid, **attributes):
        """Lists of values, text or bytes; an empty one deletes the attribute."""
        self._modify(_line("dn", user_dn(uid)) + "changetype: modify\n" + "-\n".join(
            f"replace: {name}\n" + "".join(_line(name, value) for value in values)
            for name, values in attributes.items()))

    def leave_group(self, uid):
        self._modify(f"dn: {GROUP}\nchangetype: modify\ndelete: member\n" +
                     _line("member", user_dn(uid)))

    def join_group(self, uid):
        self._modify(f"dn: {GROUP}\nchangetype: modify\nadd: member\n" +
                     _line("member", user_dn(uid)))

    def _modify(self, ldif):
        self._load("ldapmodify", ldif)

    @contextlib.contextmanager
    def without(self, uid):
        self.delete(uid)
        try:
            yield
        finally:
            self.add(uid)

    # --- the server comes and goes -------------------------------------------------------------

    @contextlib.contextmanager
    def down(self):
        self.process.stop()
        try:
            yield
        finally:
            self.process.start()

    @contextlib.contextmanager
    def frozen(self):
        """It accepts connections and answers nothing."""
        self.process.send(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send(signal.SIGCONT)
            wait_until(lambda: listens(self.port), "slapd after SIGCONT")

    def stop(self):
        self.process.stop()


def user_dn(uid):
    return f"uid={uid},{PEOPLE}"


def password(uid):
    return USERS[uid][0]


def _line(key, value):
    if isinstance(value, str) and value.isascii() and value.isprintable() and value.strip() == value:
        return f"{key}: {value}\n"
    data = value if isinstance(value, bytes) else value.encode()
    return f"{key}:: {base64.b64encode(data).decode()}\n"


def _person(uid):
    return (_line("dn", user_dn(uid)) + "objectClass: inetOrgPerson\n" + _line("uid", uid) +
            _line("cn", uid.capitalize()) + "sn: Test\nemployeeType: active\n" +
            _line("userPassword", password(uid)))
