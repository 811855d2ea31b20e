"""What a run of the swarm is worth: its figures beside their targets, and what limits those that miss them."""

import sys

from bed import SEED

BUSY = 0.85
FRAMING = 1.045
# Must and ambitious.
LAST = (1.25, 1.12)
FAST = (1.35, 1.18)  # from 100 Mbit/s on
SLOW_MEDIAN = (1.25, 1.15)
SLOW_OWN = (1.15, 1.07)
TROUBLE = (1.5, 1.25)
COPIES = (1.25, 1.05)
TWICE = (0.02, 0.0)


def report(case, found):
    low, high = found["spread"]
    print(
        f"{case.name:12} last {found['last']:.2f} ({low:.2f} to {high:.2f}) of {found['limit_s']:.1f} s, median {found['median']:.2f},"
        f" half {found['half']:.2f}, first bytes {found['first_s']:.2f} s; seed {found['copies']:.2f} copies, twice {found['twice']:.2%};"
        f" busy {found['busy']:.0%}, nodes {found['own']:.0%}, load {found['load']}{', CPU-BOUND' if found['busy'] > BUSY else ''}"
    )
    checks = []
    if case.name == "slow-node":
        checks.append(("its own bound", found["last"], SLOW_OWN))
        checks.append(("median of the others", found["others"], SLOW_MEDIAN))
    elif case.killed or case.late or case.liar:
        checks.append(("last node", found["last"], TROUBLE))
    else:
        checks.append(("last node", found["last"], FAST if min(case.rates.values()) >= 100 else LAST))
    if not (case.killed or case.late or case.liar):
        # A seed that is faster than most gives more than one copy, for as long as the slow ones take.
        share = max(1, len(case.receivers) * case.rates[SEED] / sum(case.rates.values()))
        checks.append((f"seed's copies over its share of {share:.2f}", found["copies"] / share, COPIES))
    checks.append(("came twice", found["twice"], TWICE))
    for what, value, target in checks:
        verdict(what, value, target, reason(found) if what != "came twice" else "requests that were repeated")
    sys.stdout.flush()


def reason(found):
    """What limits it, as far as the figures tell."""
    if found["busy"] > BUSY:
        return f"CPU: the machine was busy {found['busy']:.0%}, the nodes themselves took {found['own']:.0%}"
    parts = {
        "framing": FRAMING - 1,
        "until the first bytes": found["first_s"] / found["limit_s"],
        "bytes that came twice": found["twice"],
        "the last behind the median": found["last"] - found["median"],
    }
    rest = found["last"] - 1 - sum(parts.values())
    parts["idle links, small windows"] = max(rest, 0)
    return ", ".join(f"{what} {share:.2f}" for what, share in sorted(parts.items(), key=lambda item: -item[1]))


def verdict(what, value, target, why):
    must, ambitious = target
    if value <= ambitious:
        text = "ambitious target reached"
    elif value <= must:
        text = "target reached"
    else:
        text = f"MISS: {why}"
    print(f"  {what} {value:.3f} (must {must}, ambitious {ambitious}): {text}")
