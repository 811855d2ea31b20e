"""The token may come from systemd's credential store, as on a machine made from an image, which holds none itself."""

MACHINES = {"alpha": "voter"}

STORE = "/etc/credstore/ringrift-p2p.token"
CREDENTIAL = "LoadCredential=\nLoadCredential=token:ringrift-p2p.token"

start_all()
wait_for_services(machines)
configure_service(alpha, CREDENTIAL)

with subtest("where the store has none, the daemon starts, finds no token, and says so"):
    alpha.execute(f"systemctl restart {SERVICE}")
    wait_for(lambda: shown(alpha, "Result") == "exit-code")
    alpha.wait_until_succeeds(f"journalctl --unit {SERVICE} --output cat | grep 'error: without a token'", timeout=10)

with subtest("with one in the store it leads its cluster of one"):
    alpha.succeed(f"install -D --mode 600 /etc/ringrift-p2p/token {STORE}", f"systemctl restart {SERVICE}")
    wait_for_leader(machines)

with subtest("it is that token which opens the door"):
    request = "curl --silent --output /dev/null --write-out '%{http_code}' --request POST http://localhost:8770/api/nodes/alpha/cordon"
    body = "--header 'Content-Type: application/json' --data '{\"reason\": \"a test\"}'"
    assert alpha.succeed(request) == "401"
    assert alpha.succeed(f"{request} {body} --header \"Authorization: Bearer $(cat {STORE})\"") == "200"
