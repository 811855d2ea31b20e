"""What the scenarios have in common. It is read before each of them, here and on NixOS alike, into the same names."""

import json

SERVICE = "ringrift-p2p.service"


def status(machine):
    """What the machine's daemon says on /status."""
    return json.loads(machine.succeed("curl --silent --show-error --fail --max-time 5 http://localhost:8770/status"))


def eligibility(machine, node):
    """Whether `node` is given work, as this machine knows it from the agreed state."""
    listed = json.loads(machine.succeed("curl --silent --show-error --fail --max-time 5 http://localhost:8770/api/nodes"))
    return next(entry["eligibility"]["state"] for entry in listed["nodes"] if entry["node_id"] == node)


def shown(machine, name, unit=SERVICE):
    """One property from systemd's own accounting."""
    return machine.get_unit_property(unit, name)


def wait_for(claim, timeout=30):
    """Waits until the function returns something true, and returns that. What it raises counts as not yet."""
    found = None
    reason = None

    def attempt(last):
        nonlocal found, reason
        try:
            found = claim()
        except Exception as error:
            found, reason = None, error
        if last and not found:
            raise Exception(f"not true after {timeout} s: {claim.__doc__ or claim.__name__}; {reason or found}")
        return bool(found)

    retry(attempt, timeout)
    return found


def wait_for_services(nodes, timeout=60):
    """Waits until systemd has heard READY=1 on every node."""
    for node in nodes:
        node.wait_for_unit(SERVICE, timeout=timeout)


def wait_for_leader(nodes, timeout=30, other_than=None):
    """Waits until all these nodes name the same leader, which itself says that it leads, and returns its machine."""

    def agreed():
        """all nodes name one leader, and it leads"""
        views = [status(node) for node in nodes]
        leaders = {view["leader_id"] for view in views}
        terms = {view["term"] for view in views}
        if len(leaders) != 1 or len(terms) != 1 or leaders == {None} or not all(v["voter_quorum_ok"] for v in views):
            return None
        leader = leaders.pop()
        if other_than is not None and leader == other_than.name:
            return None
        leading = [view["node_id"] for view in views if view["is_leader"]]
        assert len(leading) <= 1, f"{leading} lead at the same time"
        return leader if leading == [leader] else None

    name = wait_for(agreed, timeout)
    return next(node for node in machines if node.name == name)


def wait_for_alive(nodes, timeout=30):
    """Waits until each of these nodes counts exactly the others of them as alive."""
    for node in nodes:
        others = sorted(other.name for other in nodes if other is not node)

        def counted():
            """exactly the others are alive"""
            return sorted(status(node)["alive_peers_list"]) == others

        wait_for(counted, timeout)


def without_restarts(nodes):
    """Asserts that systemd never had to restart the daemon."""
    for node in nodes:
        assert shown(node, "NRestarts") == "0", f"{node.name}: NRestarts={shown(node, 'NRestarts')}"
        assert shown(node, "Result") == "success", f"{node.name}: Result={shown(node, 'Result')}"


def configure_service(machine, text):
    """Adds a drop-in to the service; an empty text takes it away again."""
    folder = f"/run/systemd/system/{SERVICE}.d"
    if text:
        machine.succeed(f"mkdir -p {folder} && printf '%s\\n' '[Service]' '{text}' > {folder}/scenario.conf")
    else:
        machine.succeed(f"rm -r {folder}")
    machine.succeed("systemctl daemon-reload")
