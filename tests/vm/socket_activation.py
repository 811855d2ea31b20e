"""systemd holds the ports: a connection starts the daemon, and a restart loses none."""

MACHINES = {"alpha": "voter"}

SOCKETS = ["ringrift-p2p-api.socket", "ringrift-p2p-link.socket", "ringrift-p2p-health.socket", "ringrift-p2p-models.socket"]
CURL = "curl --silent --show-error --fail --output /dev/null --max-time 30"

start_all()
wait_for_services(machines)
wait_for_leader(machines)
invocations = {socket: shown(alpha, "InvocationID", socket) for socket in SOCKETS}

for socket, url in [("api", "http://localhost:8770/status"), ("health", "http://localhost:8080/health")]:
    with subtest(f"the first connection to the {socket} socket starts the daemon, and is answered"):
        alpha.succeed(f"systemctl stop {SERVICE}")
        assert shown(alpha, "ActiveState") == "inactive"
        alpha.succeed(f"{CURL} {url}")
        alpha.require_unit_state(SERVICE)

with subtest("a peer that knocks on the link socket starts it too"):
    alpha.succeed(f"systemctl stop {SERVICE}")
    alpha.succeed("timeout 20 bash -c ': < /dev/tcp/localhost/8765'")
    alpha.wait_for_unit(SERVICE, timeout=30)

with subtest("no connection is refused, reset or left without an answer during five restarts"):
    wait_for_leader(machines)
    alpha.succeed(
        f"{RUN_UNIT} --unit=knocking --property=Type=exec bash -c '"
        f"until test -e /run/enough; do {CURL} http://localhost:8770/status || echo lost >> /run/lost; "
        "echo asked >> /run/asked; done'"
    )
    for _ in range(5):
        alpha.succeed(f"systemctl restart {SERVICE}")
    alpha.wait_until_succeeds("test $(wc -l < /run/asked) -ge 20", timeout=60)
    alpha.succeed("touch /run/enough")
    wait_for(lambda: shown(alpha, "ActiveState", "knocking.service") == "inactive")
    alpha.fail("test -e /run/lost")

with subtest("the sockets stayed open all the time"):
    for socket in SOCKETS:
        assert shown(alpha, "InvocationID", socket) == invocations[socket], f"{socket} was closed in between"

with subtest("a crash closes no socket either"):
    alpha.succeed(f"systemctl kill --signal=KILL {SERVICE}")
    alpha.succeed(f"{CURL} http://localhost:8770/status")
    assert shown(alpha, "NRestarts") == "1"
    for socket in SOCKETS:
        assert shown(alpha, "InvocationID", socket) == invocations[socket], f"{socket} was closed in between"

with subtest("stopped with its sockets, it stays stopped"):
    alpha.succeed("systemctl stop 'ringrift-p2p*'")
    alpha.fail(f"{CURL} http://localhost:8770/status")
    alpha.fail("timeout 5 bash -c ': < /dev/tcp/localhost/8765'")
    assert shown(alpha, "ActiveState") == "inactive"

with subtest("starting the service opens them again"):
    alpha.succeed(f"systemctl start {SERVICE}")
    for socket in SOCKETS:
        alpha.require_unit_state(socket)
    alpha.succeed(f"{CURL} http://localhost:8080/ready")
