# SPDX-License-Identifier: Apache-2.0
# What the project needs of a machine: the one list, for all of script/. Sourced by bash; depends on
# nothing.
# shellcheck shell=bash disable=SC2034 # used by those who source it

# Debian and Ubuntu package | Fedora package ("-": there is none) | how to see that it is there:
# cmd:NAME a program, pc:NAME a pkg-config module, py:NAME a Python module, file:GLOB[|GLOB] a file
PACKAGES_BUILD='
gcc                            gcc                    cmd:gcc
libc6-dev                      glibc-devel            file:/usr/include/stdlib.h
make                           make                   cmd:make
autoconf                       autoconf               cmd:autoconf
automake                       automake               cmd:automake
libtool                        libtool                cmd:libtoolize
pkg-config                     pkgconf-pkg-config     cmd:pkg-config
apache2-dev                    httpd-devel            cmd:apxs
apache2-ssl-dev                httpd-devel            file:/usr/include/*/mod_ssl_openssl.h
libssl-dev                     openssl-devel          pc:openssl
libapr1-dev                    apr-devel              pc:apr-1
libaprutil1-dev                apr-util-devel         pc:apr-util-1
libldap-dev                    openldap-devel         file:/usr/include/ldap.h
libplist-dev                   libplist-devel         pc:libplist-2.0
libjansson-dev                 jansson-devel          pc:jansson
libcurl4-openssl-dev           libcurl-devel          pc:libcurl
libcmocka-dev                  libcmocka-devel        pc:cmocka
'

# apache2-bin and not apache2: the server and its modules, without a site or a service of its own.
PACKAGES_RUN='
apache2-bin                    httpd                  cmd:httpd
apache2-bin                    mod_ssl                file:/usr/lib*/httpd/modules/mod_ssl.so
apache2-bin                    mod_ldap               file:/usr/lib*/httpd/modules/mod_authnz_ldap.so
libaprutil1-ldap               apr-util-ldap          file:/usr/lib*/apr-util-1/apr_ldap*.so
libaprutil1-dbd-sqlite3        apr-util-sqlite        file:/usr/lib*/apr-util-1/apr_dbd_sqlite3*.so
slapd                          openldap-servers       cmd:slapd
openssl                        openssl                cmd:openssl
'

PACKAGES_TEST='
git                            git                    cmd:git
clang                          clang                  cmd:clang
clang-format                   clang-tools-extra      cmd:clang-format
shellcheck                     ShellCheck             cmd:shellcheck
valgrind                       valgrind               cmd:valgrind
curl                           curl                   cmd:curl
ldap-utils                     openldap-clients       cmd:ldapmodify
postgresql                     postgresql-server      file:/usr/bin/initdb
libaprutil1-dbd-pgsql          apr-util-pgsql         file:/usr/lib*/apr-util-1/apr_dbd_pgsql*.so
sqlite3                        sqlite                 cmd:sqlite3
eatmydata                      libeatmydata           cmd:eatmydata
softhsm2                       softhsm                cmd:softhsm2-util
libengine-pkcs11-openssl       openssl-pkcs11         file:/usr/lib*/engines-3/pkcs11.so|/usr/lib/*/engines-3/pkcs11.so
strongswan-pki                 strongswan             cmd:pki|strongswan-pki
libstrongswan-standard-plugins strongswan             cmd:pki|strongswan-pki
libstrongswan-extra-plugins    strongswan             cmd:pki|strongswan-pki
scep                           -                      cmd:scepclient
certmonger                     certmonger             cmd:certmonger
dbus                           dbus-daemon            cmd:dbus-daemon
golang-go                      golang                 cmd:go
golang-github-micromdm-scep-dev -                     file:/usr/share/gocode/src/github.com/micromdm/scep/scep/scep.go
default-jdk-headless           java-devel             cmd:javac
libbcprov-java                 bouncycastle           file:/usr/share/java/bcprov.jar
libbcpkix-java                 bouncycastle-pkix      file:/usr/share/java/bcpkix.jar
libbcutil-java                 bouncycastle-util      file:/usr/share/java/bcutil.jar
python3-pytest                 python3-pytest         py:pytest
python3-pytest-xdist           python3-pytest-xdist   py:xdist
python3-yaml                   python3-pyyaml         py:yaml
python3-asn1crypto             python3-asn1crypto     py:asn1crypto
python3-cryptography           python3-cryptography   py:cryptography
'

PACKAGES_BENCH='
git                            git                    cmd:git
postgresql                     postgresql-server      file:/usr/bin/initdb
libaprutil1-dbd-pgsql          apr-util-pgsql         file:/usr/lib*/apr-util-1/apr_dbd_pgsql*.so
'
