"""Hosts files as people and programs write them, out of a seed: in every style that is read, and with slips."""

import random

ROLES = ["gpu_selfplay", "nn_training", "mixed", "coordinator", "cpu_selfplay", "proxy", "gardener"]
STATUSES = ["ready", "ready", "ready", "retired", "offline", "on holiday"]
GPUS = ["none", "", "8x RTX 4090", "GH200 (96 GB)", "M3 Max (MPS)", "2 x A100", "0x L40S", "A100D-20C (vGPU)", "8x"]
WORDS = [
    "relay",
    "Updated",
    "Dec 31,",
    "2025",
    "x86",
    "a#b",
    "it's",
    '"so"',
    "50%",
    "größer",
    "-",
    "~",
    "&co",
    "(gone)",
    "3.5",
    "é",
]
ADDRESSES = [
    "198.51.100.{n}",
    "100.64.0.{n}",
    "relay.example.net",
    "localhost",
    "fd7a::{n}",
    "100.x.x.x",
    "root@198.51.100.{n}",
    "::1",
]
ODD_KEYS = ["gauntlet_enabled", "vast_instance_id", "hetzner_id", "external_storage_path", "vast-*", "8770", "x.y/z"]
# Characters that a slip of the hand puts anywhere.
SLIPS = "\t:#-'\"[]{},&*!|>%@`?= ~0nyx\n\\/.+_"


def hosts_file(seed: int) -> str:
    """A hosts file that is right."""
    return Writer(random.Random(seed)).file()


def slip(text: str, seed: int) -> str:
    """The same with one to three slips: a character too much, too few or another one, a line lost, doubled or moved."""
    rng = random.Random(seed)
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(text) + 1)
        lines = text.split("\n")
        n = rng.randrange(len(lines))
        match rng.randrange(6):
            case 0:
                text = text[:at] + rng.choice(SLIPS) + text[at:]
            case 1:
                text = text[:at] + text[at + 1 :]
            case 2:
                text = text[:at] + rng.choice(SLIPS) + text[at + 1 :]
            case 3:
                text = "\n".join(lines[:n] + lines[n + 1 :])
            case 4:
                text = "\n".join(lines[: n + 1] + lines[n:])
            case _:
                lines[n] = " " * rng.randint(0, 3) + lines[n]
                text = "\n".join(lines)
    return text


class Writer:
    """Writes one file in one hand."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.step = rng.choice([2, 2, 2, 3, 4])
        self.dented = rng.random() < 0.5

    def file(self) -> str:
        names = [f"{self.rng.choice(['gpu', 'vast', 'cpu'])}-{i}" for i in range(self.rng.randint(1, 5))]
        document = {"hosts": {name: self.host() for name in names}}
        if self.rng.random() < 0.8:
            document["p2p_voters"] = self.rng.sample(names, self.rng.randint(0, len(names)))
        if self.rng.random() < 0.5:
            rates = {self.rng.choice([*names, "vast-*", "gpu-?"]): self.rng.choice([0, 50, 12.5]) for _ in range(2)}
            document["auto_sync"] = {
                "bandwidth_limit_mbps": self.rng.choice([None, 100]),
                "host_bandwidth_overrides": rates,
            }
        for section in self.rng.sample(["elo_sync", "protocols", "no_such_section"], self.rng.randint(0, 3)):
            document[section] = self.anything(3)
        keys = list(document)
        self.rng.shuffle(keys)
        head = self.rng.choice(["", "", "---\n", "# the cluster\n\n"])
        return head + "".join(self.entry(key, document[key], 0) for key in keys)

    def host(self) -> object:
        pick = self.rng.choice
        n = self.rng.randint(1, 254)
        every = {
            "ssh_host": pick(ADDRESSES).format(n=n),
            "tailscale_ip": pick([None, "100.64.0.{n}", "100.x.x.x", "fd7a:115c::{n}"]),
            "ssh_user": pick(["root", "ubuntu"]),
            "ssh_port": pick([22, 22, 31158, "2222"]),
            "ssh_key": "~/.ssh/id_cluster",
            "ringrift_path": pick([None, "~/ringrift", "/Users/x/ringrift"]),
            "venv_activate": pick([":", "source ~/venv/bin/activate", "cd x && . y"]),
            "status": pick(STATUSES),
            "role": pick(ROLES),
            "cpus": pick([0, 8, 64, 7.5]),
            "memory_gb": pick([0, 432, 31.4]),
            "gpu": pick(GPUS),
            "gpu_vram_gb": pick([0, 24, 192]),
            "max_parallel_jobs": pick([None, 4]),
            "p2p_enabled": pick([True, False]),
            "selfplay_enabled": pick([True, False, None]),
            "training_enabled": pick([True, False, None]),
            "nat_blocked": pick([True, False]),
            "force_relay_mode": pick([True, False]),
            "is_container": True,
            "socks5_port": 1055,
            "p2p_public_port": pick([41234, {"8770": 41234, "8765": 41235}]),
            "region": "eu-north1",
            "arch": pick(["aarch64", None]),
            "ssh_host_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 x",
            "note": pick([" ".join(self.rng.choices(WORDS, k=self.rng.randint(1, 12))), 5, "12 hours"]),
            "storage_paths": {"games": "/srv/games", "models": pick([None, "/srv/models"])},
            pick(ODD_KEYS): self.anything(2),
        }
        if isinstance(every["tailscale_ip"], str):
            every["tailscale_ip"] = every["tailscale_ip"].format(n=n)
        chosen = self.rng.sample(list(every), self.rng.randint(0, len(every)))
        return {key: every[key] for key in chosen} if chosen or self.rng.random() < 0.5 else None

    def anything(self, depth: int) -> object:
        kind = self.rng.randrange(10)
        if depth and kind < 2:
            return [self.anything(depth - 1) for _ in range(self.rng.randint(0, 3))]
        if depth and kind < 5:
            keys = self.rng.sample([*ODD_KEYS, "coordinator", "sync port"], self.rng.randint(0, 3))
            return {key: self.anything(depth - 1) for key in keys}
        text = " ".join(self.rng.choices(WORDS, k=self.rng.randint(1, 3)))
        return self.rng.choice(
            [None, True, False, 0, -5, 300, 10.5, 1.5e30, "0755", "yes", "12:30", "1e5", "", "null", text]
        )

    # --- how it is written -------------------------------------------------------------------------------------------

    def entry(self, key: str, value: object, indent: int) -> str:
        name = key if key.replace("-", "").replace("_", "").isalnum() else self.in_quotes(key)
        line = " " * indent + name + self.rng.choice(["", "", "", " "]) + ":"
        return line + self.under(value, indent)

    def under(self, value: object, indent: int) -> str:
        """What stands behind a colon, and below it."""
        if isinstance(value, dict) and value and self.rng.random() < 0.95:
            inner = indent + self.step
            return self.end() + "".join(self.between(inner) + self.entry(k, v, inner) for k, v in value.items())
        if isinstance(value, list) and value and self.rng.random() < 0.7:
            inner = indent + (self.step if self.dented else 0)
            return self.end() + "".join(self.between(inner) + self.item(item, inner) for item in value)
        if value is None and self.rng.random() < 0.5:
            return self.end()
        if isinstance(value, (dict, list)):
            return " " + self.flow(value) + self.end()
        text = self.scalar(value)
        words = text.split(" ")
        # A long text goes on in the next line, as PyYAML writes it.
        if isinstance(value, str) and text == value and len(words) > 3 and all(w[0].isalnum() for w in words):
            if self.rng.random() < 0.5:
                return " " + " ".join(words[:2]) + "\n" + " " * (indent + self.step) + " ".join(words[2:]) + "\n"
        return " " * self.rng.choice([1, 1, 1, 3]) + text + self.end()

    def item(self, value: object, indent: int) -> str:
        dash = " " * indent + "-"
        if isinstance(value, dict) and value and self.rng.random() < 0.8:
            first, *others = value.items()
            inner = indent + 2
            return dash + self.entry(*first, inner)[indent + 1 :] + "".join(self.entry(k, v, inner) for k, v in others)
        if isinstance(value, list) and value and self.rng.random() < 0.5:
            return dash + self.end() + "".join(self.item(v, indent + 2) for v in value)
        if isinstance(value, (dict, list)):
            return f"{dash} {self.flow(value)}{self.end()}"
        return f"{dash} {self.scalar(value)}{self.end()}"

    def flow(self, value: object) -> str:
        if isinstance(value, dict):
            pairs = [f"{self.in_quotes(k)}: {self.flow(v)}" for k, v in value.items()]
            return "{" + self.rng.choice([", ", ",  "]).join(pairs) + "}"
        if isinstance(value, list):
            return "[" + ", ".join(map(self.flow, value)) + self.rng.choice(["]", " ]"])
        return self.in_quotes(value) if isinstance(value, str) else self.scalar(value)

    def scalar(self, value: object) -> str:
        if value is None:
            return self.rng.choice(["null", "~", "Null"])
        if isinstance(value, bool):
            return self.rng.choice(["true", "True"]) if value else self.rng.choice(["false", "FALSE"])
        if isinstance(value, float):
            return f"{value:.1f}" if value < 1e9 else "1.5e+30"
        if isinstance(value, int):
            return str(value)
        return value if self.is_plain(str(value)) and self.rng.random() < 0.7 else self.in_quotes(str(value))

    @staticmethod
    def is_plain(text: str) -> bool:
        safe = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._@+~%()-, ")
        return (
            bool(text)
            and set(text) <= safe
            and text[0].isalpha()
            and text.lower() not in {"yes", "null"}
            and text == text.strip()
        )

    def in_quotes(self, text: str) -> str:
        if self.rng.random() < 0.5:
            return "'" + text.replace("'", "''") + "'"
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("é", "\\u00e9") + '"'

    def end(self) -> str:
        return self.rng.choice(["\n"] * 8 + ["   # why\n", "  \n"])

    def between(self, indent: int) -> str:
        return self.rng.choice([""] * 12 + ["\n", " " * indent + "# a comment\n", "# another: one\n"])
