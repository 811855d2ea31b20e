"""The firewall that follows from the hosts file: the cluster's ports are open to its own machines, and to nobody else."""

MACHINES = {"alpha": "voter", "beta": "worker", "gamma": "bare"}
FIREWALL = "nftables"

SSH = 22
CLUSTER = [8765, 8767, 8770, 8080]
members = [alpha, beta]


def reaches(machine, target, port):
    """Whether a connection from one machine to the other is accepted."""
    return machine.execute(f"timeout 5 bash -c ': < /dev/tcp/{target.name}/{port}' 2> /dev/null")[0] == 0


start_all()
wait_for_services(members)
wait_for_leader(members)
for machine in members:
    # A server where there is none: what counts is who gets to it.
    stand_in = f"{RUN_UNIT} --unit=ssh-stand-in systemd-socket-activate --listen=22 --accept --inetd cat"
    machine.succeed(f"ss --no-header --listening --tcp --numeric 'sport = :{SSH}' | grep --quiet . || {stand_in}")
    machine.wait_for_open_port(SSH, timeout=30)

with subtest("the cluster's own machines reach each other on all its ports, and are a cluster"):
    wait_for_alive(members)
    for machine, other in ((alpha, beta), (beta, alpha)):
        assert [port for port in [*CLUSTER, SSH] if not reaches(machine, other, port)] == []

with subtest("a machine outside of the cluster is refused on all of them, and allowed on 22"):
    gamma.wait_for_unit("multi-user.target", timeout=60)
    for machine in members:
        open_to_gamma = [port for port in [*CLUSTER, SSH] if reaches(gamma, machine, port)]
        assert open_to_gamma == [SSH], open_to_gamma

with subtest("what a member asks of the machine outside is answered, since it asked"):
    beta.succeed("ping -c 1 -W 5 gamma")

with subtest("it is the rules that refuse it"):
    beta.succeed("nft flush ruleset")
    assert [port for port in [*CLUSTER, SSH] if not reaches(gamma, beta, port)] == []
