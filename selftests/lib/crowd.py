# SPDX-License-Identifier: GPL-2.0
"""Hundreds of tunnels of one client, and gateways with room for them.

Job: the client's connections, each with an identity and an inner address of its own, and what of the examples is too small for so many.
"""
import re

from esptest_ike import Charon, IkeCluster, example, replace


class Crowd(Charon):
    n = 0

    def swanctl_conf(self):
        """A connection for each; what is there already is left alone."""
        return "\n".join(["connections {", *(f"""
    home-{i} {{
        remote_addrs = {IkeCluster.VIP}
        version = 2
        mobike = no
        proposals = aes128-sha256-x25519
        vips = 0.0.0.0
        local {{
            auth = psk
            id = client-{i}@example.org
        }}
        remote {{
            auth = psk
            id = gw.example.org
        }}
        children {{
            lan-{i} {{
                remote_ts = 10.1.0.0/24
                esp_proposals = aes128gcm16-x25519-esn
                replay_window = 1024
                start_action = start
            }}
        }}
    }}""" for i in range(self.n)), "}", "secrets {\n ike-gw {\n  secret = \"replace this by a long random one\"\n }\n}\n"])

    def connect(self, n):
        self.n = n
        self.write("swanctl.conf", self.swanctl_conf())
        self.load()


def counted(station):
    """IKE SAs that are established, by charon's own count: a list of them takes seconds."""
    m = re.search(r"IKE_SAs: (\d+) total, (\d+) half-open", str(station.swanctl("--stats", ok=None)))
    return int(m[1]) - int(m[2]) if m else 0


def roomy(gw):
    """As the examples, with inner addresses for all, and without the bounds on what one address may begin at a time."""
    conf = type(gw).strongswan_conf

    def strongswan_conf():
        return replace(conf(gw), (r"10\.66\.0\.0/24", "10.66.0.0/20")) + "\ncharon {\n cookie_threshold = 0\n block_threshold = 0\n}\n"

    gw.strongswan_conf = strongswan_conf
    gw.swanctl_conf = lambda: replace(example("swanctl/road-warrior.conf"), (r"dpd_delay = 30s", "dpd_delay = 1h"))
