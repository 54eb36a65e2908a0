# SPDX-License-Identifier: Apache-2.0
"""Beside other modules of the same httpd: whatever else maps an endpoint's path, redirects, answers
errors or authenticates, the endpoint is served, and by nobody else."""

import http.server
import threading

import pytest

from harness import slapd
from harness.database import unchanged
from harness.http import curl
from harness.httpd import load_more
from harness.process import wait_until
from harness.site import DEVICE, ID, PROFILE, SCEP, endpoints, htpasswd, opened, vhost


def alice():
    return "alice", slapd.password("alice")


# --- who else would like the path ----------------------------------------------------------------


class Backend(http.server.ThreadingHTTPServer):
    """The site's MDM server, say, behind this httpd: it remembers what it was asked."""

    def __init__(self):
        self.seen = seen = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.rfile.read(int(self.headers.get("content-length") or 0))
                seen.append(self.path)
                self.send_response(200)
                self.send_header("Content-Length", "7")
                self.end_headers()
                self.wfile.write(b"BACKEND")

            do_POST = do_GET

            def log_message(self, *args):
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}/"
        threading.Thread(target=self.serve_forever, daemon=True).start()


@pytest.fixture(scope="module")
def backend():
    with Backend() as server:
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def crowded(world, backend):
    """Hosts where something else is configured for every path, each in another way."""
    url = backend.url

    def hosts(site):
        www = site.folder / "www"
        (www / "enroll" / "profile").mkdir(parents=True)
        for page in ("enroll/profile/index.html", "enroll/device.html", "enroll/scep.html"):
            (www / page).write_text("STATIC")
        ways = {
            "proxypass.test": f"ProxyPass / {url}\n",
            "rewrite.test": f"RewriteEngine on\nRewriteRule ^/(.*) {url}$1 [P]\n",
            "location.test": f"<Location />\nProxyPass {url}\n</Location>\n",
            "folder.test": f"DocumentRoot {www}\n<Directory {www}>\nRequire all granted\n"
                           "Options MultiViews\nDirectoryIndex index.html\n"
                           "AddType text/html .html\nFallbackResource /enroll/device.html\n"
                           "</Directory>\n",
            "handler.test": "<LocationMatch ^/>\nSetHandler server-status\n</LocationMatch>\n",
        }
        return load_more("proxy", "proxy_http", "rewrite", "dir", "negotiation", "status") + "".join(
            site.tls_vhost(host, text, authentication=htpasswd(world))
            for host, text in ways.items())

    site = world.make_site("crowded", directory=False, vhosts=hosts).start()
    yield site
    site.stop()


HOSTS = ["proxypass.test", "rewrite.test", "location.test", "folder.test", "handler.test"]


@pytest.mark.parametrize("host", HOSTS)
def test_endpoint_is_nobody_elses(crowded, backend, host):
    before = len(backend.seen)
    walk = crowded.walk(host=host)
    walk.offer().identify().certify().deliver()
    assert crowded.curl(PROFILE, host=host).status == 401
    assert crowded.curl(SCEP + "?operation=GetCACaps", host=host).type == "text/plain"
    crowded.expect("CMS_DECODE")
    assert crowded.curl(DEVICE, data=b"x", host=host).status == 400
    assert backend.seen[before:] == [], "nor does a back end see what is sent there"


@pytest.mark.parametrize("host", HOSTS[:3])
def test_everything_else_is_still_theirs(crowded, backend, host):
    for path in ("/", "/enroll", "/enroll/devices", DEVICE + "/more"):
        assert crowded.curl(path, host=host).body == b"BACKEND", path


# --- redirects to https --------------------------------------------------------------------------


REDIRECTS = {
    "in the host": "Redirect / https://enroll.test/\n",
    "in a condition": "<If \"%{HTTPS} == 'off'\">\nRedirect / https://enroll.test/\n</If>\n",
    "by a rule": "RewriteEngine on\nRewriteRule ^(.*)$ https://enroll.test$1 [R,L]\n",
    "by a rule in a location": "<Location />\nRewriteEngine on\n"
                               "RewriteRule ^ https://enroll.test%{REQUEST_URI} [R,L]\n"
                               "</Location>\n",
}


@pytest.mark.parametrize("how", REDIRECTS)
def test_redirect_to_https(own_site, world, how):
    """A plain host that inherits the endpoints leads to the other one, without a password."""
    site = own_site(directory=False, vhosts=lambda site: (
        load_more("rewrite") + endpoints(htpasswd(world)) + site.tls_vhost(site.HOST) +
        vhost(site.plain_port, site.HOST, REDIRECTS[how]))).start()
    for path in (PROFILE, DEVICE, SCEP):
        response = curl(site.plain_url(path))
        assert (response.status, response.headers["location"]) == (302, "https://enroll.test" + path)


# --- answers -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def dressed(world):
    """A site with headers and error pages of its own, and a log format as the manual gives it."""
    def hosts(site):
        www = site.folder / "www"
        www.mkdir()
        (www / "error.html").write_text("THE SITE'S PAGE")
        text = (f"DocumentRoot {www}\n<Directory {www}>\nRequire all granted\n</Directory>\n"
                "ErrorDocument 400 /error.html\nErrorDocument 403 /error.html\n"
                "Header always set X-Site yes\n"
                f"CustomLog {site.folder}/mdm.log \"%<{{MDM_RESULT}}e %<{{MDM_PHASE}}e %>s\"\n")
        plain = vhost(site.plain_port, site.HOST, text)
        return endpoints(htpasswd(world)) + site.tls_vhost(site.HOST, text) + plain

    site = world.make_site("dressed", directory=False, vhosts=hosts).start()
    yield site
    site.stop()


def wait_for_line(site, start):
    """httpd writes it when it has sent the response."""
    wait_until(lambda: (site.folder / "mdm.log").read_text().splitlines()[-1].startswith(start),
               f'"{start}" at the end of the log')


def test_error_pages(dressed):
    """Devices get JSON whatever the site's pages are; a browser gets those pages. The variables are
    in the log in any case."""
    dressed.expect("CMS_DECODE", "HTTP_NOT_SECURE", "HTTP_NOT_SECURE", "CHALLENGE_UNKNOWN")
    response = dressed.curl(DEVICE, data=b"x")
    assert (response.status, response.body) == (400, b"THE SITE'S PAGE")
    wait_for_line(dressed, f"{ID['CMS_DECODE']} - 400")

    response = curl(dressed.plain_url(PROFILE))
    assert (response.status, response.body) == (403, b"THE SITE'S PAGE")
    wait_for_line(dressed, ID["HTTP_NOT_SECURE"])
    response = curl(dressed.plain_url(DEVICE), data=b"x")
    assert (response.status, response.json()["code"]) == (403, ID["HTTP_NOT_SECURE"])

    walk = dressed.walk()
    walk.challenge, walk.device_url = "A" * 43, dressed.url(DEVICE)
    response = walk.post(walk.phase2_message())
    assert (response.status, response.json()["code"]) == (403, ID["CHALLENGE_UNKNOWN"])
    assert response.headers["x-site"] == "yes"
    wait_for_line(dressed, f"{ID['CHALLENGE_UNKNOWN']} 2 403")


@pytest.mark.parametrize("http2", [False, True], ids=["http1", "http2"])
def test_no_parts(dressed, http2):
    """A part of one answer and a part of the next would be no profile."""
    for headers in (["Range: bytes=0-99"], ["Range: bytes=100-", "If-Range: x"]):
        response = dressed.curl(PROFILE, user=alice(), headers=headers, http2=http2)
        opened(response, dressed.world.site.root_file)
        assert "content-range" not in response.headers


# --- who authenticates ---------------------------------------------------------------------------


def test_user_of_another_module(own_site, world):
    """A module that sets nothing but the name, as mod_lua does here and mod_authnz_fcgi: it counts
    because httpd took it for authenticated."""
    def hosts(site):
        (site.folder / "who.lua").write_text(
            "require 'apache2'\nfunction who(r)\n"
            "  local name = r.headers_in['X-User']\n  if not name then return 403 end\n"
            "  r.user = name\n  return apache2.OK\nend\n")
        return load_more("lua") + site.tls_vhost(
            site.HOST, authentication=f"LuaHookCheckUserID {site.folder}/who.lua who\n"
                                      "AuthType Lua\nAuthName x\nRequire valid-user\n")
    site = own_site(directory=False, vhosts=hosts).start()
    walk = site.walk()
    walk.offer(site.curl(PROFILE, headers=["X-User: alice"]))
    assert site.database.query("SELECT user_name FROM enrollment") == [("alice",)]
    with unchanged(site.database):
        assert site.curl(PROFILE).status == 403
