"""Every way in which a node is not reached over SSH has its name, and what is asked over SSH is true."""

# Not on NixOS: it is about the files that OpenSSH has on Debian.
MACHINES = {"alpha": "voter", "beta": "worker", "gamma": "worker", "hollow": "bare"}

HOSTS = "/etc/ringrift-p2p/distributed_hosts.yaml"
NO_API = "--api http://127.0.0.1:1"

start_all()
wait_for_services([alpha, beta, gamma])
wait_for_alive([alpha, beta, gamma])
open_ssh(alpha, [alpha, beta, gamma, hollow])


def checked(command, *options):
    """What the command found of each node, and its exit status. What is wrong with a node is no failure of the test."""
    code, text = alpha.execute(f"ringriftctl --json --timeout 3 {command} {' '.join(options)}")
    return code, {node["node_id"]: node for node in json.loads(text)["nodes"]}


def reason(node="gamma"):
    """Why alpha does not reach the node by SSH."""
    code, nodes = checked("ssh check", f"--node {node}")
    assert code in (1, 3) and nodes[node]["state"] == "unreachable", nodes
    return nodes[node]["reason"], nodes[node]["remedy"]


with subtest("a host key that nobody has vouched for is not accepted"):
    word, remedy = reason()
    assert word == "host_key_unknown" and "ringriftctl ssh setup --node gamma" in remedy, remedy

with subtest("setup makes the key, records host keys, puts the key everywhere and logs in with it alone"):
    alpha.succeed(f"sed -i '/^  gamma:/a \\    ssh_key: ~/.ssh/id_cluster' {HOSTS}")
    alpha.succeed("ringriftctl ssh setup --dry-run")
    alpha.fail("test -e /root/.ssh/id_cluster")
    text = alpha.succeed("ringriftctl ssh setup --yes")
    assert "made the key /root/.ssh/id_cluster" in text and "3 of 3 reached" in text, text
    alpha.succeed("rm /root/.ssh/id_ed25519 && ssh-keygen -l -F 192.168.1.2")
    assert gamma.succeed("grep -c ringrift-cluster /root/.ssh/authorized_keys").strip() == "1"
    assert alpha.succeed("ssh -o BatchMode=yes beta hostname").strip() == "beta"

with subtest("with everything right, both ways are open"):
    assert "3 of 3 reached; the way back was tried to alpha" in alpha.succeed("ringriftctl ssh check")

with subtest("a firewall that closes the way back is found"):
    alpha.succeed("nft add table inet cut && nft add chain inet cut in '{ type filter hook input priority 0; }'")
    alpha.succeed("nft add rule inet cut in ip saddr 192.168.1.3 tcp dport 8770 drop")
    code, nodes = checked("ssh check", "--node beta gamma")
    assert code == 1 and nodes["beta"]["way_back"] is None, nodes
    assert "sudo ufw allow 8770/tcp" in nodes["gamma"]["way_back"], nodes
    alpha.succeed("nft delete table inet cut")

with subtest("a private key that others can read is named with its remedy"):
    alpha.succeed("chmod 644 /root/.ssh/id_cluster")
    assert "chmod 600 /root/.ssh/id_cluster" in alpha.fail("ringriftctl ssh check --node gamma")
    assert reason()[0] == "key_unprotected"
    alpha.succeed("ringriftctl ssh setup --yes --node beta")
    alpha.succeed("ringriftctl ssh check --node gamma")

with subtest("a node that does not know the key refuses it"):
    gamma.succeed("mv /root/.ssh/authorized_keys /root/.ssh/away")
    word, remedy = reason()
    assert word == "permission_denied" and "ssh-copy-id -i ~/.ssh/id_cluster.pub" in remedy, remedy
    gamma.succeed("mv /root/.ssh/away /root/.ssh/authorized_keys")

with subtest("a closed port is not a machine that is off"):
    gamma.succeed("systemctl stop ssh.service")
    word, remedy = reason()
    assert word == "refused" and "ssh_port" in remedy, remedy

with subtest("a server that takes connections and says nothing is a timeout"):
    gamma.succeed("systemctl start ssh.service && systemctl kill --signal=STOP ssh.service")
    assert reason()[0] == "timeout"
    gamma.succeed("systemctl kill --signal=CONT ssh.service")

with subtest("so is a machine that is cut off"):
    gamma.block()
    assert reason()[0] == "timeout"
    gamma.unblock()

with subtest("a host key that has changed is never accepted, and setup does not replace it"):
    gamma.succeed("rm /etc/ssh/ssh_host_* && ssh-keygen -A && systemctl restart ssh.service")
    word, remedy = reason()
    assert word == "host_key_changed" and "ssh-keygen -R 192.168.1.3" in remedy, remedy
    alpha.fail("ringriftctl ssh setup --yes --node gamma")
    assert reason()[0] == "host_key_changed"
    alpha.succeed("ssh-keygen -R 192.168.1.3", "ringriftctl ssh setup --yes --node gamma")

with subtest("a name that means nothing, and the other endpoint that is tried after it"):
    alpha.succeed(f"cp {HOSTS} /root/hosts.yaml && sed -i '/^  gamma:/,/^  [a-z]*:$/ s/tailscale_ip: .*/tailscale_ip: nowhere.invalid/' {HOSTS}")
    code, nodes = checked("ssh check", "--node gamma")
    assert code == 0 and [way["reason"] for way in nodes["gamma"]["tried"]] == ["name_not_resolved", None], nodes
    alpha.succeed(f"cp /root/hosts.yaml {HOSTS}")

with subtest("nodes are asked over the API, and told apart over SSH when their daemon does not answer"):
    text = alpha.succeed("ringriftctl cluster check")
    assert "Summary: 3 running\n" in text and "leader" in text, text
    gamma.succeed("systemctl stop 'ringrift-p2p*'")
    code, nodes = checked("cluster check")
    assert (code, nodes["beta"]["state"], nodes["gamma"]["state"]) == (1, "running", "stopped"), nodes

with subtest("what is stopped is started, and advertises its address"):
    assert "gamma would be started" in alpha.succeed("ringriftctl cluster start --dry-run")
    assert shown(gamma, "ActiveState") == "inactive"
    text = alpha.succeed("ringriftctl cluster start")
    assert "gamma: Started (PID" in text and "advertise=192.168.1.3" in text and "2 already running" in text, text
    wait_for_alive([alpha, beta, gamma])

with subtest("the journals of all nodes are one, in the order of time"):
    entries = json.loads(alpha.succeed("ringriftctl --json logs --since -1h"))["entries"]
    assert {entry["node_id"] for entry in entries} == {"alpha", "beta", "gamma"}
    times = [entry["timestamp"] for entry in entries]
    assert times == sorted(times) and {entry["unit"] for entry in entries} == {SERVICE}
    text = alpha.succeed("timeout --preserve-status --signal=INT 5 ringriftctl logs --node beta gamma --follow --lines 1")
    assert " beta " in text and " gamma " in text, text

with subtest("every daemon's subsystems make progress"):
    nodes = json.loads(alpha.succeed("ringriftctl --json daemons"))["nodes"]
    assert len(nodes) == 3 and all(node["healthy"] and node["subsystems"] for node in nodes), nodes

with subtest("a node without PyTorch cannot do its work, and one that only coordinates needs none"):
    code, text = alpha.execute("ringriftctl health --low-disk-gb 0")
    assert code == 1 and "✅ alpha: reachable, disk: " in text, text
    assert "❌ gamma: reachable, pytorch_missing, disk: " in text and "ports closed" not in text, text
    gamma.succeed("nft add table inet shut && nft add chain inet shut in '{ type filter hook input priority 0; }'")
    gamma.succeed("nft add rule inet shut in tcp dport 8767 drop")
    assert "ports closed: 8767" in alpha.execute("ringriftctl health --nodes gamma")[1]
    gamma.succeed("nft delete table inet shut")

with subtest("a daemon that cannot start has failed, with its own words"):
    gamma.succeed(f"mv {HOSTS} /root/hosts.yaml && echo 'hosts: [' > {HOSTS}")
    alpha.fail("ringriftctl cluster restart --all-at-once --node gamma")
    code, nodes = checked("cluster check", "--node gamma")
    assert (code, nodes["gamma"]["state"]) == (1, "failed") and HOSTS in nodes["gamma"]["message"], nodes
    gamma.succeed(f"mv /root/hosts.yaml {HOSTS}")
    alpha.succeed("ringriftctl cluster start --node gamma")

with subtest("stopping a node stops its sockets too, so that nobody starts it again"):
    assert "gamma: Stopped" in alpha.succeed("ringriftctl cluster stop --node gamma")
    alpha.fail("curl --silent --max-time 2 http://gamma:8770/status")
    assert shown(gamma, "ActiveState") == "inactive"

with subtest("without any daemon to ask, everything is asked over SSH, and a node without the program is named"):
    alpha.succeed(f"sed -i 's/^p2p_voters:/  hollow:\\n    ssh_host: 192.168.1.4\\n    ssh_user: root\\n    status: ready\\n&/' {HOSTS}")
    key = alpha.succeed("cat /root/.ssh/id_cluster.pub").strip()
    hollow.succeed(f"echo {shlex.quote(key)} >> /root/.ssh/authorized_keys")
    alpha.succeed("ringriftctl ssh setup --yes --node hollow")
    code, nodes = checked(f"{NO_API} cluster check", "--node beta gamma hollow")
    states = {name: node["state"] for name, node in nodes.items()}
    assert (code, states) == (1, {"beta": "running", "gamma": "stopped", "hollow": "not_installed"}), nodes
