"""One network, as the NixOS test driver lays it: machine N of the sorted names is 192.168.1.N on eth1."""

from .sandbox import run

BRIDGE = "br0"
SUBNET = "192.168.1"


class Network:
    """A bridge in the driver's own network namespace. A machine's end of its cable exists while the machine runs."""

    def __init__(self, names: list[str], dial_out_only: list[str]) -> None:
        self.addresses = {name: f"{SUBNET}.{index}" for index, name in enumerate(sorted(names), start=1)}
        self._dial_out_only = dial_out_only
        run("ip", "link", "set", "lo", "up")
        run("ip", "link", "add", BRIDGE, "type", "bridge", "stp_state", "0", "forward_delay", "0")
        run("ip", "link", "set", BRIDGE, "up")
        # ARP still passes a blocked port. Without it the kernel would soon answer "no route to host", which is a
        # refusal; a cut in the middle of a network is silence.
        run("nft", "-f", "-", text="""
            table bridge ringrift {
              set blocked { type ifname; }
              chain forwarded {
                type filter hook forward priority filter;
                ether type { ip, ip6 } iifname @blocked drop
                ether type { ip, ip6 } oifname @blocked drop
              }
            }
        """)

    def hosts_file(self) -> str:
        lines = ["127.0.0.1 localhost", "::1 localhost"]
        return "\n".join(lines + [f"{address} {name}" for name, address in self.addresses.items()]) + "\n"

    def attach(self, name: str) -> str:
        """Lays a machine's cable in a new network namespace, whose path is returned."""
        run("ip", "netns", "add", name)
        run("ip", "link", "add", "name", port(name), "type", "veth", "peer", "name", "eth1", "netns", name)
        run("ip", "link", "set", port(name), "master", BRIDGE, "up")
        run("ip", "-n", name, "addr", "add", f"{self.addresses[name]}/24", "dev", "eth1")
        run("ip", "-n", name, "link", "set", "eth1", "up")
        run("ip", "-n", name, "link", "set", "lo", "up")
        if name in self._dial_out_only:
            self._refuse_inbound(name)
        return f"/run/netns/{name}"

    def attach_tap(self, name: str) -> list[str]:
        """Lays a QEMU machine's cable and returns what QEMU is told of it. The machine names its end, and takes its address."""
        run("ip", "tuntap", "add", "dev", port(name), "mode", "tap")
        run("ip", "link", "set", port(name), "master", BRIDGE, "up")
        number = int(self.addresses[name].rpartition(".")[2])
        return [
            *("-netdev", f"tap,id=eth1,ifname={port(name)},script=no,downscript=no"),
            *("-device", f"virtio-net-pci,netdev=eth1,romfile=,mac=52:54:00:12:01:{number:02x}"),
        ]

    def detach_tap(self, name: str) -> None:
        """Takes a QEMU machine's cable away."""
        run("ip", "link", "delete", port(name))

    def unplug(self, name: str) -> None:
        """Takes the cable away. Done before a crash, so that no dying process says goodbye to its peers."""
        run("ip", "link", "delete", port(name))

    def detach(self, name: str) -> None:
        """Ends the machine's namespace, with whatever connections its kernel still holds."""
        run("ip", "link", "delete", port(name), check=False)
        run("ip", "netns", "delete", name)

    def remove(self) -> None:
        """Takes the network down, so that the next scenario can lay its own."""
        run("ip", "link", "delete", BRIDGE)
        run("nft", "delete", "table", "bridge", "ringrift")

    def block(self, name: str) -> None:
        run("nft", "add", "element", "bridge", "ringrift", "blocked", "{", port(name), "}")

    def unblock(self, name: str) -> None:
        run("nft", "delete", "element", "bridge", "ringrift", "blocked", "{", port(name), "}")

    def _refuse_inbound(self, name: str) -> None:
        """Like behind an address translator: what the machine did not ask for vanishes."""
        ruleset = """
            table inet nat_like {
              chain inbound {
                type filter hook input priority filter;
                iifname "eth1" ct state new drop
              }
            }
        """
        run("ip", "netns", "exec", name, "nft", "-f", "-", text=ruleset)


def port(name: str) -> str:
    """The bridge's end of a machine's cable; an interface name has at most 15 characters."""
    return f"vm-{name}"[:15]
