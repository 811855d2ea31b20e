"""Jobs are units of systemd: started, limited, stopped, and found again by a program in the daemon's place."""

# Not on NixOS: a program that only the tests have stands in the daemon's place, and it is in no package.

MACHINES = {"alpha": "voter"}


def denied(answer):
    status, text = answer
    assert status != 0, text
    assert "authentication required" in text.lower() or "access denied" in text.lower(), text


start_all()
wait_for_services(machines)
jobs = Jobs(alpha)
jobs.obeyed(do="check")

with subtest("a job runs with its environment, in its directory, as a user without rights, and says what it is"):
    # Its own limits are the first thing that it looks at.
    first = (
        "systemctl show -p MemoryMax,TasksMax,CPUQuotaPerSecUSec,CPUWeight ringrift-selfplay@first.1.service > first.limits;"
        "echo hello from first; env > first.env; pwd > first.pwd;"
        "(cat /etc/ringrift-p2p/token /run/credentials/*/token; ls /var/lib/ringrift-p2p) > first.stolen 2>/dev/null;"
        "touch /run/ringrift-p2p/jobs/selfplay@other.1.ended && echo lied > first.stolen; kill -0 1 2> first.kill; exec sleep 1000"
    )
    limits = {"memory_high": "200M", "memory_max": "256M", "tasks_max": 40, "cpu_quota": "150%", "cpu_weight": 70}
    first = jobs.start("first", first, limits=limits)
    alpha.wait_until_succeeds(f"test -s {jobs.DATA}/first.kill", timeout=30)
    running = jobs.wait_for_state(first, "running")
    assert str(running["pid"]) == shown(alpha, "MainPID", first), running
    env = dict(line.split("=", 1) for line in alpha.succeed(f"cat {jobs.DATA}/first.env").splitlines() if "=" in line)
    assert (env["COLOUR"], env["RINGRIFT_JOB_ID"], env["RINGRIFT_JOB_ATTEMPT"]) == ("blue", "first", "1"), env
    assert env["CUDA_VISIBLE_DEVICES"] == "" and env["HOME"] == "/var/lib/ringrift-job", env
    assert "NOTIFY_SOCKET" not in env and "PATH" in env, env
    assert alpha.succeed(f"cat {jobs.DATA}/first.pwd") == f"{jobs.DATA}\n"
    assert alpha.succeed(f"stat -c %U {jobs.DATA}/first.env; ps -o user= -p {running['pid']}").split() == ["ringrift-job"] * 2
    assert alpha.succeed(f"cat {jobs.DATA}/first.stolen") == ""
    assert "not permitted" in alpha.succeed(f"cat {jobs.DATA}/first.kill")
    text = alpha.succeed("systemctl status 'ringrift-selfplay@*'")
    assert "RingRift self-play first.1" in text and 'Status: "selfplay, attempt 1 of job first: bash' in text, text
    assert "/ringrift.slice/ringrift-selfplay.slice/" in text, text
    # A job without a GPU opens none.
    assert "nvidia" not in alpha.succeed(f"systemctl show -P DeviceAllow {first}")
    wait_for(lambda: "hello from first" in alpha.succeed("journalctl RINGRIFT_RUN=first.1"))

with subtest("its limits were in force before its program ran"):
    seen = dict(line.split("=") for line in alpha.succeed(f"cat {jobs.DATA}/first.limits").splitlines())
    wanted = {"MemoryMax": str(256 << 20), "TasksMax": "40", "CPUQuotaPerSecUSec": "1.500000s", "CPUWeight": "70"}
    assert seen == wanted, seen

with subtest("limits are changed while it runs, and lifted"):
    jobs.obeyed(do="set_limits", unit=first, limits={"memory_max": "1G", "io_weight": 30, "allowed_cpus": "0"})
    names = "MemoryHigh MemoryMax TasksMax CPUQuotaPerSecUSec IOWeight AllowedCPUs".split()
    # -P prints an empty line for what is not set.
    now = [alpha.succeed(f"systemctl show -P {name} {first}").strip() for name in names]
    assert now == ["infinity", str(1 << 30), "infinity", "infinity", "30", "0"], now
    jobs.obeyed(do="set_limits", unit=first, limits={})
    now = [alpha.succeed(f"systemctl show -P {name} {first}").strip() for name in names]
    assert now == ["infinity"] * 4 + ["[not set]", ""], now
    assert jobs.order(do="usage", unit=first)["cpu_ms"] is not None

with subtest("starting again what runs changes nothing"):
    jobs.start("first", "exit 1")
    assert jobs.state(first)["pid"] == running["pid"]

with subtest("it outlives a restart of the daemon and its sudden death, and is adopted with its identity"):
    alpha.succeed(f"systemctl restart {SERVICE}")
    wait_for(lambda: jobs.state(first)["pid"] == running["pid"])
    alpha.succeed(f"systemctl kill --signal=KILL {SERVICE}")
    wait_for(lambda: jobs.state(first)["pid"] == running["pid"])
    assert jobs.state(first)["since_ms"] == running["since_ms"]

with subtest("endings that nobody watched are told: by systemd for a failure, by the record for a success"):
    script = "while [ ! -e {0}/go ]; do sleep 0.1; done; exit {1}"
    good = jobs.start("good", script.format(jobs.DATA, 0), kind="training")
    bad = jobs.start("bad", script.format(jobs.DATA, 7), kind="evaluation")
    jobs.wait_for_state(good, "running")
    jobs.wait_for_state(bad, "running")
    alpha.succeed(f"systemctl stop 'ringrift-p2p*' && touch {jobs.DATA}/go")
    wait_for(lambda: shown(alpha, "LoadState", good) and shown(alpha, "ActiveState", good) == "inactive")
    wait_for(lambda: shown(alpha, "ActiveState", bad) == "failed")
    # A person looks, and clears what looks bad; the record stays.
    assert "RingRift evaluation bad.1" in alpha.succeed("systemctl --failed")
    alpha.succeed(f"systemctl start {SERVICE}")
    wait_for(lambda: jobs.state(good)["state"] == "ended")
    assert jobs.ending(good)["how"] == "exited" and jobs.ending(good)["code"] == 0, jobs.ending(good)
    assert jobs.ending(good)["usage"]["cpu_ms"] is not None, jobs.ending(good)
    assert (jobs.ending(bad)["how"], jobs.ending(bad)["code"]) == ("exited", 7), jobs.ending(bad)
    alpha.succeed(f"systemctl reset-failed {bad}")
    assert (jobs.ending(bad)["how"], jobs.ending(bad)["code"]) == ("exited", 7), jobs.ending(bad)
    assert jobs.ending(bad)["ran_ms"] > 0
    jobs.forget(good, bad)

with subtest("a signal is told from an exit status"):
    killed = jobs.start("killed", "kill -SEGV $$")
    assert (jobs.ending(killed)["how"], jobs.ending(killed)["signal"]) == ("signalled", 11), jobs.ending(killed)
    jobs.forget(killed)

with subtest("a job that hears SIGTERM ends in its own time, and its children with it"):
    polite = jobs.start("polite", f"trap 'echo saved > {jobs.DATA}/polite; exit 0' TERM; sleep 2000 & touch {jobs.DATA}/polite.up; wait")
    alpha.wait_for_file(f"{jobs.DATA}/polite.up", timeout=30)
    alpha.succeed("pgrep -fx 'sleep 2000'")
    jobs.obeyed(do="stop", unit=polite, why="unwanted")
    assert jobs.ending(polite)["how"] == "stopped", jobs.ending(polite)
    assert alpha.succeed(f"cat {jobs.DATA}/polite") == "saved\n"
    alpha.fail("pgrep -fx 'sleep 2000'")
    jobs.forget(polite)

with subtest("a job that does not hear is killed after its grace period, all of it, and not before"):
    deaf = jobs.start("deaf", f"trap '' TERM; (trap '' TERM; exec sleep 3000) & touch {jobs.DATA}/deaf.up; sleep 3000; sleep 3000", grace=3)
    alpha.wait_for_file(f"{jobs.DATA}/deaf.up", timeout=30)
    alpha.succeed("pgrep -fx 'sleep 3000'")
    jobs.obeyed(do="stop", unit=deaf, why="deadline")
    assert jobs.state(deaf)["state"] == "stopping"
    assert jobs.ending(deaf)["how"] == "timed_out", jobs.ending(deaf)
    told = alpha.succeed(f"cat /run/ringrift-p2p/jobs/selfplay@deaf.1.stop")
    lasted_us = int(shown(alpha, "ExecMainExitTimestampMonotonic", deaf)) - json.loads(told)["at_us"]
    assert 3_000_000 <= lasted_us < 20_000_000, lasted_us
    alpha.fail("pgrep -fx 'sleep 3000'")
    # Told twice, it stays what it was.
    jobs.obeyed(do="stop", unit=deaf, why="unwanted")
    assert jobs.ending(deaf)["how"] == "timed_out"
    jobs.forget(deaf)

with subtest("a job whose class gives it longer than its unit has all of that time, and hears SIGTERM once"):
    folder = "/run/systemd/system/ringrift-selfplay@.service.d"
    alpha.succeed(f"mkdir {folder} && printf '[Service]\\nTimeoutStopSec=1s\\n' > {folder}/short.conf && systemctl daemon-reload")
    patient = jobs.start("patient", f"trap 'echo heard >> {jobs.DATA}/patient' TERM; touch {jobs.DATA}/patient.up; while :; do sleep 0.1; done", grace=5)
    saving = jobs.start("saving", f"trap 'sleep 2; echo saved > {jobs.DATA}/saving; exit 0' TERM; touch {jobs.DATA}/saving.up; while :; do sleep 0.1; done", grace=60)
    for job in ("patient", "saving"):
        alpha.wait_for_file(f"{jobs.DATA}/{job}.up", timeout=30)
        jobs.obeyed(do="stop", unit=jobs.unit(job), why="unwanted")
    # Whoever comes after a restart knows that it was told.
    alpha.succeed(f"systemctl restart {SERVICE}")
    alpha.wait_for_file("/run/ringrift-p2p/runner.socket", timeout=30)
    assert jobs.state(patient)["state"] == "stopping", jobs.state(patient)
    jobs.obeyed(do="stop", unit=patient, why="deadline")
    assert jobs.ending(patient)["how"] == "stopped", jobs.ending(patient)
    told = json.loads(alpha.succeed("cat /run/ringrift-p2p/jobs/selfplay@patient.1.stop"))
    lasted_us = int(shown(alpha, "ExecMainExitTimestampMonotonic", patient)) - told["at_us"]
    assert 5_000_000 <= lasted_us < 25_000_000, lasted_us
    assert alpha.succeed(f"cat {jobs.DATA}/patient") == "heard\n"
    assert jobs.ending(saving)["how"] == "stopped" and alpha.succeed(f"cat {jobs.DATA}/saving") == "saved\n"
    jobs.forget(patient, saving)
    alpha.succeed(f"rm -r {folder} && systemctl daemon-reload")

with subtest("the template's own grace period is the contract's, and nothing is started again by itself"):
    assert shown(alpha, "TimeoutStopUSec", first) == "1min"
    assert (shown(alpha, "KillMode", first), shown(alpha, "Restart", first)) == ("mixed", "no")
    assert shown(alpha, "OOMPolicy", first) == "kill"

with subtest("what cannot be run says why, in the list and to a person"):
    absent = jobs.start("absent", ["no-such-program"])
    assert jobs.ending(absent)["how"] == "not_started", jobs.ending(absent)
    assert "no-such-program is not there" in jobs.ending(absent)["reason"], jobs.ending(absent)
    assert "not started: no-such-program" in alpha.execute(f"systemctl status {absent}")[1]
    nowhere = jobs.start("nowhere", "true", working_dir="/srv/nowhere")
    assert "working directory /srv/nowhere" in jobs.ending(nowhere)["reason"], jobs.ending(nowhere)
    # Started by hand, without a spec.
    alpha.succeed("systemctl start ringrift-selfplay@by-hand.1.service")
    assert "only the daemon starts this unit" in jobs.ending(jobs.unit("by-hand"))["reason"]
    jobs.forget(absent, nowhere, jobs.unit("by-hand"))

with subtest("what is unknown is said to be"):
    for what in [{"do": "stop", "why": "unwanted"}, {"do": "set_limits", "limits": {}}, {"do": "usage"}]:
        jobs.refused("is not known here", unit=jobs.unit("never"), **what)

with subtest("the runner hears of changes without asking"):
    before = jobs.order(do="changes")["changes"]
    quick = jobs.start("quick", "true")
    wait_for(lambda: jobs.order(do="changes")["changes"] > before, timeout=10)
    assert jobs.ending(quick)["how"] == "exited"
    jobs.forget(quick)

with subtest("of many that come and go at once each is seen, and none is lost for a moment"):
    many = [f"many-{number}" for number in range(20)]
    orders = [json.dumps({"do": "start", "launch": jobs.launch(job, ["true"])}) for job in many]
    begun = " & ".join(f"ringrift-runner {shlex.quote(order)} >> /root/begun" for order in orders)
    alpha.succeed(f"({begun}) > /dev/null 2>&1 &")

    def all_ended():
        """all of them have ended"""
        states = {unit: state for unit, state in jobs.list().items() if "many" in unit}
        ends = [state["ending"] for state in states.values() if state["state"] == "ended"]
        wrong.extend(end for end in ends if end["how"] != "exited")
        return len(ends) == len(many)

    wrong = []
    wait_for(all_ended, timeout=90)
    assert wrong == [], wrong
    alpha.wait_until_succeeds(f"test $(grep -o ok /root/begun | wc -l) = {len(many)}", timeout=30)
    jobs.forget(*[jobs.unit(job) for job in many])

with subtest("of runs that are forgotten nothing is left"):
    jobs.obeyed(do="stop", unit=first, why="unwanted")
    assert jobs.ending(first)["how"] == "stopped"
    jobs.forget(first)
    assert jobs.list() == {}
    assert alpha.succeed("ls -A /run/ringrift-p2p/jobs") == ""
    assert alpha.succeed("find /run/systemd/system.control -name '*ringrift*'") == ""
    assert alpha.succeed("systemctl list-units --all --plain --no-legend 'ringrift-*@*'") == ""

bystander = jobs.start("bystander", "exec sleep 4000")
jobs.wait_for_state(bystander, "running")

with subtest("the daemon may not do more: no transient unit, no other unit, no other property, not itself"):
    assert jobs.in_daemons_unit("systemctl", "--no-ask-password", "start", jobs.unit("extra"))[0] == 0
    for name in ["ringrift-selfplay@evil.1.service", "ringrift-other@evil.1.service", "evil.service"]:
        status, text = jobs.in_daemons_unit("systemd-run", "--no-ask-password", "--quiet", f"--unit={name}", "touch", "/root/evil")
        # Of a template's instances systemd makes no transient unit, whoever asks; the others are polkit's to refuse.
        assert status != 0 and ("fragment file" in text if "selfplay" in name else "authentication required" in text), text
    for verb, unit in [
        ("stop", SERVICE),
        ("restart", "dbus.service"),
        ("start", "ringrift-other@a.1.service"),
        ("start", "ringrift-selfplay@UPPER.1.service"),
        ("start", "ringrift-selfplay@a.1.socket"),
        ("stop", "ringrift.slice"),
    ]:
        denied(jobs.in_daemons_unit("systemctl", "--no-ask-password", verb, unit))
    denied(jobs.in_daemons_unit("systemctl", "--no-ask-password", "set-property", "--runtime", SERVICE, "MemoryMax=1G"))
    denied(jobs.in_daemons_unit("systemctl", "--no-ask-password", "restart", bystander))
    denied(jobs.in_daemons_unit("systemctl", "--no-ask-password", "daemon-reload"))
    bus = ["busctl", "call", "org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager"]
    for name, signature, value in [("User", "s", "root"), ("ExecStart", "a(sasb)", "1 /bin/sh 1 /bin/sh false")]:
        call = [*bus, "SetUnitProperties", "sba(sv)", bystander, "true", "1", name, signature, *value.split()]
        status, text = jobs.in_daemons_unit(*call)
        assert status != 0 and "Cannot set property" in text, text
    assert jobs.in_daemons_unit(*bus, "SetUnitProperties", "sba(sv)", bystander, "true", "1", "MemoryMax", "t", "99999744")[0] == 0
    assert shown(alpha, "MemoryMax", bystander) == "99999744"
    alpha.fail("test -e /root/evil")
    jobs.forget(jobs.unit("extra"))

with subtest("nobody else may: not the same user elsewhere, not another user in the unit, not a job"):
    limit = f"systemctl --no-ask-password set-property --runtime {bystander} TasksMax="
    without_privileges = "exec setpriv --no-new-privs --clear-groups --regid"
    in_unit = f"echo $$ > /sys/fs/cgroup/system.slice/{SERVICE}/cgroup.procs; {without_privileges}"
    # The one that may shows that the others are refused for what they are.
    alpha.succeed(f"{in_unit} ringrift-p2p --reuid ringrift-p2p {limit}66")
    assert shown(alpha, "TasksMax", bystander) == "66"
    denied(alpha.execute(f"{without_privileges} ringrift-p2p --reuid ringrift-p2p {limit}67 2>&1"))
    run = "systemd-run --quiet --wait --pipe --property=NoNewPrivileges=yes --uid=ringrift-p2p"
    denied(alpha.execute(f"{run} {limit}67 2>&1"))
    for user in ["ringrift-job", "nobody"]:
        denied(alpha.execute(f"{in_unit} ringrift-p2p --reuid {user} {limit}67 2>&1"))
    thief = jobs.start("thief", f"{limit}67 2> thief.said; echo $? >> thief.said")
    assert jobs.ending(thief)["how"] == "exited"
    said = alpha.succeed(f"cat {jobs.DATA}/thief.said").lower()
    assert "authentication required" in said or "access denied" in said, said
    jobs.forget(thief)
    assert shown(alpha, "TasksMax", bystander) == "66"
    assert jobs.state(bystander)["state"] == "running"

with subtest("a program that could gain privileges may not, although it is in the unit and its user"):
    # Each of these implies NoNewPrivileges= for a unit with a user.
    implying = "LockPersonality MemoryDenyWriteExecute PrivateDevices ProtectClock ProtectHostname ProtectKernelLogs"
    implying += " ProtectKernelModules ProtectKernelTunables RestrictNamespaces RestrictRealtime RestrictSUIDSGID"
    implying = [f"{name}=no" for name in implying.split()]
    implying += ["RestrictAddressFamilies=", "SystemCallArchitectures=", "SystemCallFilter="]
    configure_service(alpha, "\n".join([jobs.UNIT, "NoNewPrivileges=no", *implying]))
    alpha.succeed(f"systemctl restart {SERVICE}")
    wait_for(lambda: jobs.state(bystander)["state"] == "running")
    jobs.refused("polkit says", do="stop", unit=bystander, why="unwanted")
    jobs.refused("/usr/share/polkit-1/rules.d/50-ringrift-p2p.rules", do="stop", unit=bystander, why="unwanted")
    assert alpha.execute("ls /run/ringrift-p2p/jobs")[1].split() == ["selfplay@bystander.1.json"]
    jobs.refused("not allowed to start", do="start", launch=jobs.launch("denied", ["true"]))
    assert alpha.execute("ls /run/ringrift-p2p/jobs")[1].split() == ["selfplay@bystander.1.json"]

with subtest("the rule for older polkit lets the user do the same from anywhere, and no more"):
    alpha.succeed(
        "mkdir -p /etc/polkit-1/rules.d && cp /usr/share/ringrift-p2p/before-polkit-126/rules.d/* /etc/polkit-1/rules.d/",
        "systemctl restart polkit",
    )
    as_user = "runuser -u ringrift-p2p -- systemctl --no-ask-password"
    alpha.succeed(f"{as_user} set-property --runtime {bystander} TasksMax=77")
    assert shown(alpha, "TasksMax", bystander) == "77"
    denied(alpha.execute(f"{as_user} restart {bystander} 2>&1"))
    denied(alpha.execute(f"{as_user} stop {SERVICE} 2>&1"))
    denied(alpha.execute(f"runuser -u ringrift-job -- {limit}78 2>&1"))
    alpha.fail("runuser -u ringrift-p2p -- systemd-run --no-ask-password --unit=ringrift-selfplay@evil.1 touch /root/evil")
    jobs.obeyed(do="stop", unit=bystander, why="unwanted")
    assert jobs.ending(bystander)["how"] == "stopped"
    jobs.forget(bystander)
    alpha.succeed("rm /etc/polkit-1/rules.d/50-ringrift-p2p.rules && systemctl restart polkit")

with subtest("a missing template and a missing bus are different sentences"):
    alpha.succeed("mv /usr/lib/systemd/system/ringrift-selfplay@.service /root/ && systemctl daemon-reload")
    jobs.refused("no unit template ringrift-selfplay@.service", do="check")
    alpha.succeed("mv /root/ringrift-selfplay@.service /usr/lib/systemd/system/ && systemctl daemon-reload")
    jobs.obeyed(do="check")
    configure_service(alpha, f"{jobs.UNIT}\nInaccessiblePaths=/run/dbus")
    alpha.succeed(f"systemctl restart {SERVICE}")
    wait_for(lambda: "system bus" in jobs.order(do="check")["error"])
