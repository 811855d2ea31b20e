"""The Debian package: an upgrade loses no job and refuses no connection, a removal ends everything, and a purge leaves nothing."""

# Not on NixOS: it is about dpkg.

MACHINES = {"alpha": "voter", "beta": "worker", "gamma": "bare"}
SUITES = ["trixie", "bookworm"]

UNITS = "/usr/lib/systemd/system"
SOCKETS = [f"ringrift-p2p-{name}.socket" for name in ("api", "link", "health", "models")]
CLASSES = """
job_classes:
  doze:
    kind: selfplay
    working_dir: /
    argv: [sleep, "600"]
"""
# What tells apart what is there before and after, but not what the machine does by itself.
FILES = "find / -xdev \\( -path /proc -o -path /sys -o -path /run -o -path /tmp -o -path /var/log -o -path /var/lib/dpkg \\) -prune -o -print"


def install(machine, path):
    """Installs a package as an operator does with a file."""
    machine.copy_from_host(path, "/root/package.deb")
    return machine.succeed("DEBIAN_FRONTEND=noninteractive dpkg --force-unsafe-io --install /root/package.deb 2>&1")


def systemd_version(machine):
    return int(machine.succeed("systemctl --version").split()[1])


def polkit_version(machine):
    """105 for 0.105; after 0.120 came 121."""
    return int(machine.succeed("pkaction --version").split()[-1].removeprefix("0."))


start_all()
for machine in (alpha, beta):
    machine.succeed(f"printf '%s' {shlex.quote(CLASSES)} > /etc/ringrift-p2p/settings.yaml")
    machine.succeed(f"systemctl restart {SERVICE}")
wait_for_services([alpha, beta])
wait_for_leader([alpha, beta])

with subtest("systemd takes every unit, and names what it is too old for"):
    # Since 253, 254 and 254; the first is replaced by a drop-in.
    unknown = ["notify-reload", "RestartSteps", "RestartMaxDelaySec"]
    templates = [f"ringrift-{kind}@a-1.1.service" for kind in ("selfplay", "training", "evaluation")]
    said = alpha.execute(f"cd {UNITS} && systemd-analyze verify --man=no {SERVICE} {' '.join([*SOCKETS, *templates])} 2>&1")[1]
    about_us = [line for line in said.splitlines() if "ringrift" in line and not any(name in line for name in unknown)]
    assert about_us == [], about_us
    for unit in [SERVICE, *SOCKETS, *templates, "ringrift.slice"]:
        assert shown(alpha, "LoadState", unit) == "loaded", unit
    assert shown(alpha, "Type") == ("notify-reload" if systemd_version(alpha) >= 253 else "notify")

with subtest("the rule is the one for this polkit, also after polkit was replaced by another"):
    rule = "rules.d/50-ringrift-p2p.rules"
    older = 105 < polkit_version(alpha) < 126
    in_force = f"test -e /etc/polkit-1/{rule}"
    assert older == (alpha.execute(in_force)[0] == 0)
    # As if it had been there, or not, before a change of the distribution's release.
    link = f"mkdir -p /etc/polkit-1/rules.d && ln -s /usr/share/ringrift-p2p/before-polkit-126/{rule} /etc/polkit-1/{rule}"
    alpha.succeed(f"rm /etc/polkit-1/{rule}" if older else link)
    alpha.succeed("dpkg-trigger --by-package=libc6 /usr/bin/pkaction && dpkg --triggers-only ringrift-p2p")
    assert older == (alpha.execute(in_force)[0] == 0)

with subtest("an upgrade starts the daemon anew; its job runs on and is found, and nobody is refused meanwhile"):
    job = json.loads(alpha.succeed("ringriftctl --json jobs submit doze"))["job_id"]
    unit = f"ringrift-selfplay@{job}.1.service"
    wait_for(lambda: shown(beta, "ActiveState", unit) == "active")
    pid, daemon = shown(beta, "MainPID", unit), shown(beta, "MainPID")
    asks = "while curl --silent --fail --max-time 20 --output /dev/null http://beta:8770/health; do :; done; touch /root/refused"
    alpha.succeed(f"systemd-run --quiet --unit=asks bash -c {shlex.quote(asks)}")
    install(beta, package("1000.0"))
    assert beta.succeed("dpkg-query --show --showformat='${Version} ${db:Status-Status}' ringrift-p2p") == "1000.0 installed"
    wait_for_services([beta])
    assert shown(beta, "MainPID") not in ("0", daemon)
    here = wait_for(lambda: json.loads(beta.succeed("ringriftctl --json jobs here"))["jobs"])
    assert [(one["job_id"], one["status"], str(one["pid"])) for one in here] == [(job, "running", pid)], here
    assert shown(beta, "NRestarts", unit) == "0"
    alpha.require_unit_state("asks.service")
    alpha.fail("test -e /root/refused")
    alpha.succeed("systemctl stop asks.service")
    for socket in SOCKETS:
        beta.require_unit_state(socket)

with subtest("a removal ends jobs and daemon, closes the ports, and keeps configuration and state"):
    beta.succeed("dpkg --remove ringrift-p2p")
    beta.fail(f"test -e /proc/{pid}")
    beta.fail("pgrep -u ringrift-job", "pgrep -u ringrift-p2p")
    for port in (8765, 8767, 8770, 8080):
        beta.wait_for_closed_port(port, timeout=10)
    assert beta.succeed("systemctl list-units --all --plain --no-legend 'ringrift*'") == ""
    assert beta.succeed("systemctl --failed --no-legend") == ""
    # But for systemd's own notes about units that were, and what an operator has put in force for polkit 0.105.
    others = " ".join(f"-not -path '{path}/*'" for path in ("/run/systemd/units", "/run/systemd/propagate", "/etc/polkit-1/localauthority"))
    left = beta.succeed(f"find /etc/systemd /etc/polkit-1 /run -name '*ringrift*' {others}")
    assert left == "", left
    beta.succeed("test -s /etc/ringrift-p2p/token && test -d /var/lib/ringrift/models && test -d /var/lib/ringrift-p2p")

with subtest("installed again it does not start by itself; started, it is the node that it was"):
    known = beta.succeed("sha256sum /etc/ringrift-p2p/token")
    install(beta, package())
    assert shown(beta, "ActiveState") == "inactive"
    assert shown(beta, "UnitFileState") == "disabled"
    assert beta.succeed("sha256sum /etc/ringrift-p2p/token") == known
    beta.succeed(f"systemctl enable --now {SERVICE}")
    wait_for_leader([alpha, beta])
    wait_for_alive([alpha, beta])

before = set(gamma.succeed(FILES).splitlines())

with subtest("the examples that it brings are a configuration"):
    install(gamma, package())
    examples = gamma.succeed("dpkg --listfiles ringrift-p2p | grep '^/usr/share/ringrift-p2p/examples/'").split()
    assert [path.rpartition("/")[2] for path in sorted(examples)] == ["distributed_hosts.yaml", "environment", "settings.yaml"]
    gamma.succeed(f"cp {' '.join(examples)} /etc/ringrift-p2p/")
    gamma.succeed("ringrift-p2p check-config --node-id gpu-1")

with subtest("completions and manual pages are where shells and man look"):
    gamma.succeed("bash -c 'source /usr/share/bash-completion/completions/ringriftctl && complete -p ringriftctl'")
    listed = gamma.succeed("dpkg --listfiles ringrift-p2p").splitlines()
    for path in [
        "/usr/share/fish/vendor_completions.d/ringriftctl.fish",
        "/usr/share/zsh/vendor-completions/_ringriftctl",
        "/usr/share/man/man1/ringriftctl-status.1.gz",
        "/usr/share/man/man8/ringrift-p2p-run.8.gz",
    ]:
        assert path in listed, path

with subtest("a purge of a node that ran leaves nothing of it"):
    gamma.succeed("echo 'RINGRIFT_NODE_ID=gamma' > /etc/ringrift-p2p/environment")
    gamma.succeed("printf '%s\\n' 'hosts: {gamma: {ssh_host: 192.168.1.3, status: ready, role: coordinator}}' > /etc/ringrift-p2p/distributed_hosts.yaml")
    gamma.succeed("echo 'p2p_voters: [gamma]' >> /etc/ringrift-p2p/distributed_hosts.yaml")
    gamma.succeed("rm /etc/ringrift-p2p/token && ringriftctl token new --output /etc/ringrift-p2p/token")
    gamma.succeed(f"systemctl enable --now {SERVICE}")
    wait_for(lambda: status(gamma)["is_leader"])
    gamma.succeed("dpkg --purge ringrift-p2p && rm /root/package.deb")
    # The two users stay, as Debian's system users do, and with them the copies that were made of their files.
    left = [path for path in sorted(set(gamma.succeed(FILES).splitlines()) - before) if not path.startswith("/etc/") or not path.endswith("-")]
    assert left == [], left
    for user in ("ringrift-p2p", "ringrift-job"):
        assert gamma.succeed(f"getent passwd {user}").strip().endswith("nologin")
        assert gamma.succeed(f"find / -xdev -user {user} -not -path '/proc/*'") == ""
