"""A network namespace of its own for one address, joined by a veth pair. For clients whose media sockets are not bound:
on lo, the kernel would give their packets the daemon's address as source."""
import subprocess

from . import net


def run(*command, check=True):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0 or not check, f"{' '.join(command)}: {done.stderr}"
    return done.returncode == 0


class Room:
    def __init__(self, ip):
        self.ip, self.link = ip, "room" + ip.rpartition(".")[2]
        self.keeper = subprocess.Popen(["unshare", "-n", "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.keeper.stdin.write(b"\n")
        self.keeper.stdin.flush()
        self.keeper.stdout.read(1)  # the namespace is there
        self.pid = str(self.keeper.pid)
        self.inside = ["nsenter", "-t", self.pid, "-n"]
        run("ip", "address", "delete", ip + "/32", "dev", "lo")
        run("ip", "link", "add", self.link, "type", "veth", "peer", "name", "eth0", "netns", self.pid)
        run("ip", "link", "set", self.link, "up")
        run("ip", "route", "add", ip + "/32", "dev", self.link, "src", net.SPARE)
        for args in (["link", "set", "lo", "up"], ["address", "add", ip + "/32", "dev", "eth0"], ["link", "set", "eth0", "up"],
                     ["route", "add", "default", "dev", "eth0", "src", ip]):
            run(*self.inside, "ip", *args)

    def end(self):
        """The pair of links goes with the namespace."""
        self.keeper.stdin.close()
        self.keeper.stdout.close()
        self.keeper.wait()
        run("ip", "link", "delete", self.link, check=False)
        run("ip", "address", "add", self.ip + "/32", "dev", "lo", check=False)
