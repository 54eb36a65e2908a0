# SPDX-License-Identifier: Apache-2.0
"""What the integration tests stand on: real servers on free loopback ports, and messages made by
programs that this project did not write (openssl, asn1crypto, strongSwan, curl)."""
