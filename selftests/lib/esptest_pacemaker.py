# SPDX-License-Identifier: GPL-2.0
"""The OCF agent by itself, and nodes of a real cluster: corosync and pacemaker, each node in namespaces of its own.

Job: files where a machine has them, processes that die as a machine's do, a switch that cuts power off, and what the cluster says. What
must hold is for the test to say. The packages are laid over the guests' root for each node alone (SETS: packages=pacemaker).
"""
import os
import re
import signal
import socket
import threading
import xml.etree.ElementTree

from esptest import check, defer, host_dir, sh, until
from esptest_ike import TOP, Station, example, replace

USER = 900      # hacluster, haclient


class Installed:
    """The packages, and the agent and the tool as `make install PREFIX=...` leaves them."""

    def __init__(self, directory):
        self.packages = host_dir("GUEST_PACKAGES")
        self.prefix = directory
        os.makedirs(f"{directory}/sbin")
        self.provide_tool()
        self.agent = f"{directory}/lib/ocf/resource.d/espsync/espsync"
        os.makedirs(os.path.dirname(self.agent))
        with open(f"{TOP}/ocf/espsync", encoding="utf-8") as f:
            self.write(self.agent, f.read().replace("@PREFIX@", directory))

    def provide_tool(self, there=True):
        path = f"{self.prefix}/sbin/espsync"
        if there:
            os.symlink(f"{TOP}/user/espsync/espsync", path)
        else:
            os.unlink(path)

    @staticmethod
    def write(path, text, mode=0o755):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w", encoding="utf-8") as f:
            f.write(text)


class Agent:
    """The agent at one station, called as Pacemaker calls it; scores are noted instead of told to a cluster."""

    def __init__(self, installed, station):
        self.installed, self.station = installed, station
        self.scores = f"{station.dir}/scores"
        Installed.write(f"{station.dir}/sbin/crm_attribute", f'#!/bin/sh\necho "$@" >> {self.scores}\n')

    def __call__(self, action, **parameters):
        """Its exit status; what it said is in .said."""
        env = {"OCF_ROOT": f"{self.installed.packages}/usr/lib/ocf", "OCF_RESOURCE_INSTANCE": "espsync", "OCF_RESOURCE_TYPE": "espsync",
               "OCF_RESOURCE_PROVIDER": "espsync", "OCF_RESKEY_crm_feature_set": "3.16.2", "OCF_RA_VERSION_MAJOR": "1", "OCF_RA_VERSION_MINOR": "1",
               "HA_SBIN_DIR": f"{self.station.dir}/sbin", "HA_LOGFACILITY": "none", **{f"OCF_RESKEY_{k}": v for k, v in parameters.items()}}
        done = self.station.run(["env", *(f"{k}={v}" for k, v in env.items()), self.installed.agent, action], ok=None)
        self.said = done + done.stderr
        return done.status

    def score(self):
        """What it last made of the promotion score: a word, or None after it was deleted or before any."""
        told = self.station.text("scores").splitlines()
        value = re.search(r"-v (\S+)$", told[-1]) if told else None
        return value and value[1]


class Member(Station):
    """A node: namespaces of its own for all it has, so that killing their first process is a power cut. boot() and it runs again."""

    def __init__(self, ns, number, installed, switch):
        super().__init__(ns)
        self.number, self.name, self.installed = number, f"gw{number}", installed
        installed.write(f"{self.dir}/over/sbin/fence_test", FENCE_AGENT.replace("@SOCKET@", switch.path))
        agents = f"{self.dir}/over/lib/ocf/resource.d/espsync"
        os.makedirs(agents)
        os.symlink(installed.agent, f"{agents}/espsync")
        # Agents find their commands with it; a root whose packages were only unpacked has no alternatives.
        os.makedirs(f"{self.dir}/over/bin")
        os.symlink("/usr/bin/which.debianutils", f"{self.dir}/over/bin/which")

    def _hold(self):
        """It is off."""

    def boot(self, conf, key):
        """The machine is up, with its files as they were installed."""
        lay = f"{self.dir}/lay"
        layers = f"{self.dir}/over:{self.installed.packages}/usr:/usr"
        self.holder = self._start("holder", ["ip", "netns", "exec", str(self.ns), "unshare", "--mount", "--uts", "--ipc", "--pid", "--fork", "--mount-proc",
                                             "bash", "-c", f"""
set -e
hostname {self.name}
mount --make-rprivate /
rm -rf {self.dir}/run; mkdir -p {self.dir}/run/lock {lay}
mount --bind {self.dir}/run /run
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs {lay}
mkdir {lay}/etc {lay}/work
mount -t overlay -o lowerdir={layers} overlay /usr
mount -t overlay -o lowerdir={self.installed.packages}/etc:/etc,upperdir={lay}/etc,workdir={lay}/work overlay /etc
cp -a {self.installed.packages}/var {lay}/var
mkdir -p {lay}/var/log/pacemaker {lay}/var/log/cluster {lay}/var/log/crmsh {lay}/var/tmp
touch {lay}/var/log/crmsh/crmsh.log
mount --bind {lay}/var /var
ln -sfn /run /var/run
echo hacluster:x:{USER}:{USER}::/var/lib/pacemaker:/usr/sbin/nologin >> /etc/passwd
echo haclient:x:{USER}: >> /etc/group
chown -R {USER}:{USER} /var/lib/pacemaker /var/log/pacemaker
cp {conf} /etc/corosync/corosync.conf
cp {key} /etc/corosync/authkey
touch /run/booted
sleep infinity & wait
"""])
        until(lambda: os.path.exists(f"{self.dir}/run/booted") or self.holder.poll() is not None, 20, f"{self} has booted")
        check(self.holder.poll() is None, f"{self} does not boot: {self.text('holder.out')[-500:]}")
        self.init = sh(["pgrep", "-P", str(self.holder.pid)]).strip()

    def _inside(self):
        return ["nsenter", "-t", self.init, "--net", "--mount", "--uts", "--ipc", "--pid", "--"]

    def start_cluster(self):
        """What systemctl start pacemaker does."""
        self.spawn("corosync", ["corosync", "-f"])
        until(lambda: self.run("corosync-cfgtool -s", ok=None).status == 0, 30, f"{self}: corosync answers")
        self.spawn("pacemakerd", ["env", "PCMK_logfacility=none", f"PCMK_logfile={self.dir}/pacemaker.log", "PCMK_stderr=0", "pacemakerd"])

    def alive(self):
        return self.running("holder")

    def cut_power(self):
        """Every process of it is gone at once."""
        for name in ("corosync", "pacemakerd"):
            self.procs.pop(name, None)
        if self.alive():
            sh(["kill", "-9", self.init], ok=None)
            self.holder.wait(10)
        self.procs.pop("holder", None)

    def explain(self):
        return self.text("corosync.out").splitlines()[-20:] + self.text("pacemaker.log").splitlines()[-60:]


FENCE_AGENT = r"""#!/bin/sh
# A power switch for tests, as fence agents are: what is wanted comes on standard input, and is asked of the switch.
action=reboot
[ "$1" = -o ] && action=$2
if [ -z "$2" ]; then
	while IFS='=' read -r key value; do
		case $key in
		action) action=$value ;;
		port) port=$value ;;
		esac
	done
fi
case $action in
metadata) cat <<END
<?xml version="1.0" ?>
<resource-agent name="fence_test" shortdesc="a power switch for tests">
<longdesc>It kills.</longdesc><vendor-url></vendor-url>
<parameters>
<parameter name="action" unique="0" required="1"><getopt mixed="-o, --action=[action]"/><content type="string" default="reboot"/><shortdesc lang="en">action</shortdesc></parameter>
<parameter name="port" unique="0" required="0"><getopt mixed="-n, --plug=[id]"/><content type="string"/><shortdesc lang="en">node</shortdesc></parameter>
</parameters>
<actions><action name="on" automatic="0"/><action name="off"/><action name="reboot"/><action name="status"/><action name="list"/><action name="monitor"/>
<action name="metadata"/><action name="validate-all"/></actions>
</resource-agent>
END
	;;
monitor|status|list|validate-all) ;;
*) [ "$(printf '%s %s\n' "$action" "$port" | nc -NU @SOCKET@)" = done ] ;;
esac
"""


class Switch(threading.Thread):
    """Cuts off the power of who is named to it; noted in .cut, in order."""

    def __init__(self, path, power_off):
        super().__init__(daemon=True)
        self.path, self.power_off, self.cut = path, power_off, []
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(path)
        self.socket.listen()
        defer(self.socket.close)
        self.start()

    def run(self):
        while True:
            try:
                asks, _ = self.socket.accept()
            except OSError:
                return
            with asks:
                words = asks.makefile().readline().split()
                if len(words) == 2 and words[0] in ("off", "reboot"):
                    self.power_off(int(words[1].removeprefix("gw")))
                    self.cut.append(words[1])
                asks.sendall(b"done\n")


class Said:
    """What crm_mon says at one node."""

    def __init__(self, member):
        out = member.run("crm_mon --one-shot --inactive --show-node-attributes --output-as=xml", ok=None)
        self.root = xml.etree.ElementTree.fromstring(out) if out.status == 0 else xml.etree.ElementTree.Element("nothing")

    def online(self):
        return {n.get("name") for n in self.root.iterfind("nodes/node") if n.get("online") == "true" and n.get("unclean") == "false" and n.get("pending") == "false"}

    def at(self, resource, role=None):
        """Nodes on which it runs, in that role."""
        return [n.get("name") for r in self.root.iter("resource") if r.get("id") == resource and (not role or r.get("role") == role)
                for n in r.iterfind("node")]

    def scores(self):
        """{node: promotion score} of the agent."""
        return {n.get("name"): a.get("value") for n in self.root.iterfind("node_attributes/node") for a in n if a.get("name") == "master-espsync"}

    def failures(self):
        return [dict(f.attrib) for f in self.root.iterfind("failures/failure")]


def corosync_conf(nodes):
    """The example, with what a machine of namespaces needs: no priority, and patience."""
    return replace(example("pacemaker/corosync.conf"), (r"token: 1000", "token: 3000"), (r"to_syslog: yes", "to_syslog: no"), (r"to_stderr: no", "to_stderr: yes"))


def crm_example():
    """The example, with the devices of a Cluster, the switch for tests, and patience: an agent takes some twenty seconds on a busy machine."""
    text = example("pacemaker/espsync.crm").replace("nic=outer", "nic=out").replace("nic=inner", "nic=in").replace("timeout=20s", "timeout=120s")
    text, n = re.subn(r"stonith:fence_ipmilan \\\n\tparams (pcmk_host_list=gw\d) .*", r"stonith:fence_test params \1", text)
    check(n == 3, f"the example has {n} fence devices")
    return text
