# SPDX-License-Identifier: GPL-2.0
"""What the tests share: namespaces, tunnels made by hand, captures, load, a whole cluster in one kernel.

    from esptest import *

    def packets_flow(c):
        ...
        check(condition, "what should have been")

    main([packets_flow], setup)

Each module is one room: ktap (cases, verdicts), system (commands, waiting,
cleaning up), net (namespaces, links), capture, load, xfrm, cluster.
"""
from .capture import Capture, repeats  # noqa: F401
from .cluster import Cluster  # noqa: F401
from .ktap import Skip, check, equal, main, note, seeded  # noqa: F401
from .load import Flood, Receiver, Sender  # noqa: F401
from .net import Ns, bridge, impair, unimpair, veth  # noqa: F401
from .system import cleanup, defer, host_dir, module, sh, spawn, until  # noqa: F401
from .xfrm import Sa, Tunnel, counts, encap_socket, state, states, xfrm_stat  # noqa: F401
