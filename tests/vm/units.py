"""The units as systemd 257 judges them, and what is where after an installation."""

MACHINES = {"alpha": "voter"}

UNITS = "ringrift-p2p.service ringrift-p2p-api.socket ringrift-p2p-link.socket ringrift-p2p-health.socket"
FOLDER = "/usr/lib/systemd/system"

start_all()

with subtest("systemd-analyze verify has nothing to say about any unit"):
    assert alpha.succeed(f"cd {FOLDER} && systemd-analyze verify --man=no {UNITS} 2>&1") == ""

with subtest("the daemon's exposure is below 2.0"):
    alpha.succeed("systemd-analyze security --threshold=20 --no-pager ringrift-p2p.service")
    # It could be above: the same program without the hardening is.
    alpha.fail("systemd-run --unit=soft --quiet sleep 1000 && systemd-analyze security --threshold=20 soft.service")

with subtest("the service and its sockets start at boot"):
    for unit in UNITS.split():
        assert shown(alpha, "UnitFileState", unit) == "enabled", unit
    for unit in UNITS.split()[1:]:
        alpha.require_unit_state(unit)

with subtest("its user is a system user that cannot log in, and owns nothing in /etc"):
    assert alpha.succeed("getent passwd ringrift-p2p").strip().endswith("/usr/sbin/nologin")
    assert alpha.succeed("find /etc -user ringrift-p2p") == ""
    assert alpha.succeed("stat --format '%U %a' /etc/ringrift-p2p/token").split() == ["root", "600"]

with subtest("the drop-in for older systemd makes a unit that verify accepts"):
    alpha.succeed(
        "cp -r /usr/share/ringrift-p2p/before-systemd-253/ringrift-p2p.service.d /etc/systemd/system/",
        "systemctl daemon-reload",
    )
    assert alpha.succeed(f"cd {FOLDER} && systemd-analyze verify --man=no ringrift-p2p.service 2>&1") == ""
    assert shown(alpha, "Type") == "notify"
    assert "kill" in shown(alpha, "ExecReload")
