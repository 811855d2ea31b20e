"""A switch to another configuration, and back: jobs run on, nobody who asks meanwhile is refused, and what is left out goes away."""

MACHINES = {"alpha": "voter", "beta": "worker"}

SOCKETS = ["ringrift-p2p-api.socket", "ringrift-p2p-link.socket", "ringrift-p2p-health.socket", "ringrift-p2p-models.socket"]
# Asks the daemon all the time, and notes when nobody answers.
ASK = (
    "curl --silent --show-error --fail --output /dev/null --max-time 30 http://localhost:8770/status 2>> /root/lost "
    "|| echo lost >> /root/lost; echo >> /root/asked"
)


def switch(state=None):
    """To one of the worker's other configurations, or back to that with which it booted."""
    beta.succeed(f"{booted}{f'/specialisation/{state}' if state else ''}/bin/switch-to-configuration test >&2")


def kept():
    """What no switch may end: the job's process, and the sockets."""
    sockets = [shown(beta, "InvocationID", socket) for socket in SOCKETS]
    return [shown(beta, "MainPID", unit), shown(beta, "ActiveState", unit), *sockets]


def nobody_was_refused():
    assert (lost := beta.succeed("cat /root/lost || true")) == "", lost


start_all()
wait_for_services(machines)
wait_for_leader(machines)
wait_for_alive(machines)
booted = beta.succeed("readlink -f /run/booted-system").strip()
job_id = submitted(alpha, "doze")
wait_for_status(alpha, job_id, "running")
unit = f"ringrift-selfplay@{job_id}.1.service"
before = kept()
assert before[1] == "active", before

with subtest("a switch to the same takes what the system says, without a word to the job"):
    switch()
    wait_for_services([beta])
    assert kept() == before

with subtest("other settings restart the daemon, and nothing else; no connection is refused"):
    daemon = shown(beta, "MainPID")
    with meanwhile(beta, ASK, "/root/asked"):
        switch("settings")
        wait_for_services([beta])
    assert shown(beta, "MainPID") != daemon
    beta.succeed("grep models_keep /etc/ringrift-p2p/settings.yaml")
    nobody_was_refused()
    assert kept() == before

with subtest("a rollback brings back what was, in the same way"):
    with meanwhile(beta, ASK, "/root/asked"):
        switch()
        wait_for_services([beta])
    beta.fail("grep models_keep /etc/ringrift-p2p/settings.yaml")
    nobody_was_refused()
    assert kept() == before
    daemon = shown(beta, "MainPID")

with subtest("another hosts file, and other classes of jobs, are a reload in the same process"):
    for state, file in (("hosts", "distributed_hosts.yaml"), ("classes", "settings.yaml")):
        switch(state)
        beta.succeed(f"cmp /etc/ringrift-p2p/{file} $(readlink -f {booted}/specialisation/{state}/etc/ringrift-p2p/{file})")
        assert shown(beta, "MainPID") == daemon
    wait_for(lambda: "nap" in beta.succeed("ringriftctl --json jobs here"))
    assert kept() == before

with subtest("the daemon found its job again each time, and was never restarted by systemd"):
    assert job(alpha, job_id)["status"] == "running" and job(alpha, job_id)["attempts"] == 1
    without_restarts([beta])

with subtest("a machine that is no node any more has no unit of it"):
    alpha.succeed(f"ringriftctl jobs cancel {job_id} --wait")
    switch("none")
    for name in [SERVICE, *SOCKETS]:
        assert shown(beta, "LoadState", name) == "not-found" and shown(beta, "ActiveState", name) == "inactive", name
    beta.fail("curl --silent --max-time 5 http://localhost:8770/status")

with subtest("and is one again"):
    switch()
    wait_for_services([beta])
    wait_for_alive(machines)
