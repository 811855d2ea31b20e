"""Run inside fresh namespaces: a node behind a firewall, and a peer with many addresses that tries to connect.

`python3 -m suite.packets LOAD SOURCES PORTS`, the rules on standard input, prints which attempts passed.
"""

import ipaddress
import json
import socket
import subprocess
import sys

NODE = {4: "192.0.2.1", 6: "2001:db8:eeee::1"}
# Loopback is fast; an attempt that hangs is a packet that vanished.
SECONDS = 5


def main() -> None:
    load, sources, ports = sys.argv[1], json.loads(sys.argv[2]), json.loads(sys.argv[3])
    lay_cable(sources)
    subprocess.run(["ip", "netns", "exec", "node", *load.split()], input=sys.stdin.read(), check=True, text=True)
    serving = subprocess.Popen(
        ["ip", "netns", "exec", "node", sys.executable, "-c", SERVER, json.dumps(ports)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert serving.stdout is not None and serving.stdout.readline() == "ready\n", "the node does not listen"
        print(json.dumps({f"{source} {port}": connects(source, port) for source in sources for port in ports}))
    finally:
        serving.kill()
        serving.wait()


def lay_cable(sources: list[str]) -> None:
    ip("link set lo up")
    # ip-netns keeps its names here; ours is a mount of our own.
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)
    ip("netns add node")
    ip("link add peer type veth peer name eth0 netns node")
    ip("link set peer up")
    ip("-n node link set lo up")
    ip("-n node link set eth0 up")
    for family, address in NODE.items():
        ip(f"-n node addr add {address}/{32 if family == 4 else 128} dev eth0 {'nodad' if family == 6 else ''}")
        ip(f"route add {address} dev peer")
        ip(f"-n node -{family} route add default dev eth0")
    for source in sources:
        version = ipaddress.ip_address(source).version
        ip(f"addr add {source}/{32 if version == 4 else 128} dev peer {'nodad' if version == 6 else ''}")


def ip(arguments: str) -> None:
    subprocess.run(["ip", *arguments.split()], check=True)


def connects(source: str, port: int) -> bool:
    version = ipaddress.ip_address(source).version
    with socket.socket(socket.AF_INET if version == 4 else socket.AF_INET6) as attempt:
        attempt.settimeout(SECONDS)
        attempt.bind((source, 0))
        try:
            attempt.connect((NODE[version], port))
        except ConnectionRefusedError:
            return False
        return True


SERVER = """
import json, signal, socket, sys
held = []
for port in json.loads(sys.argv[1]):
    held.append(socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=64))
print("ready", flush=True)
# The kernel completes the connections; nobody has to accept them.
signal.pause()
"""

if __name__ == "__main__":
    main()
