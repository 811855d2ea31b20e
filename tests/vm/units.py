"""The units as systemd 257 judges them, and what is where after an installation."""

# Not on NixOS: it is about the paths and the tools of a distribution that installs packages into /usr.

MACHINES = {"alpha": "voter"}

UNITS = "ringrift-p2p.service ringrift-p2p-api.socket ringrift-p2p-link.socket ringrift-p2p-health.socket ringrift-p2p-models.socket"
KINDS = ["selfplay", "training", "evaluation"]
JOBS = " ".join(f"ringrift-{kind}@a-1.1.service ringrift-{kind}.slice" for kind in KINDS) + " ringrift.slice"
FOLDER = "/usr/lib/systemd/system"

start_all()

with subtest("systemd-analyze verify has nothing to say about any unit"):
    assert alpha.succeed(f"cd {FOLDER} && systemd-analyze verify --man=no {UNITS} {JOBS} 2>&1") == ""

with subtest("the daemon's exposure is below 2.0"):
    alpha.succeed("systemd-analyze security --threshold=20 --no-pager ringrift-p2p.service")
    # It could be above: the same program without the hardening is.
    alpha.fail("systemd-run --unit=soft --quiet sleep 1000 && systemd-analyze security --threshold=20 soft.service")

with subtest("a job's exposure is below 1.5, whatever its kind"):
    for kind in KINDS:
        alpha.succeed(f"systemd-analyze security --threshold=15 --no-pager ringrift-{kind}@a-1.1.service")

with subtest("all kinds of jobs are held alike, and nothing starts without what they share"):
    shared = [alpha.succeed(f"cat {FOLDER}/ringrift-{kind}@.service.d/10-job.conf") for kind in KINDS]
    assert shared[0] == shared[1] == shared[2] != ""
    for kind in KINDS:
        assert shown(alpha, "Slice", f"ringrift-{kind}@a-1.1.service") == f"ringrift-{kind}.slice"
        assert shown(alpha, "Slice", f"ringrift-{kind}.slice") == "ringrift.slice"
    alpha.succeed(f"mv {FOLDER}/ringrift-training@.service.d /root/ && systemctl daemon-reload")
    assert shown(alpha, "LoadState", "ringrift-training@a-1.1.service") == "bad-setting"
    alpha.succeed(f"mv /root/ringrift-training@.service.d {FOLDER}/ && systemctl daemon-reload")
    assert shown(alpha, "LoadState", "ringrift-training@a-1.1.service") == "loaded"

with subtest("the service and its sockets start at boot"):
    for unit in UNITS.split():
        assert shown(alpha, "UnitFileState", unit) == "enabled", unit
    for unit in UNITS.split()[1:]:
        alpha.require_unit_state(unit)

with subtest("its user and the jobs' are system users that cannot log in, and own nothing in /etc"):
    for user in ["ringrift-p2p", "ringrift-job"]:
        assert alpha.succeed(f"getent passwd {user}").strip().endswith("/usr/sbin/nologin")
        assert alpha.succeed(f"find /etc -user {user}") == ""
        assert alpha.succeed(f"id -Gn {user}").strip() == user
    assert alpha.succeed("stat --format '%U %a' /etc/ringrift-p2p/token").split() == ["root", "600"]

with subtest("the drop-in for older systemd makes a unit that verify accepts"):
    alpha.succeed(
        "cp -r /usr/share/ringrift-p2p/before-systemd-253/ringrift-p2p.service.d /etc/systemd/system/",
        "systemctl daemon-reload",
    )
    assert alpha.succeed(f"cd {FOLDER} && systemd-analyze verify --man=no ringrift-p2p.service 2>&1") == ""
    assert shown(alpha, "Type") == "notify"
    assert "kill" in shown(alpha, "ExecReload")
