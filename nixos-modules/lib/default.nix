# Functions from a hosts file to what a node needs, in builtins alone. `flake.nix` adds those that need nixpkgs.
rec {
  yaml = import ./yaml;
  hosts = import ./hosts.nix;
  address = import ./address.nix;
  gpu = import ./gpu.nix;

  # A hosts file as a cluster: `hosts`, `byName`, `p2p_voters`, `auto_sync`, `extra`, `revision`.
  readHosts = hosts.read;

  firewall = import ./firewall.nix;
  etcHosts = import ./etc-hosts.nix;
  knownHosts = import ./known-hosts.nix;
  node = import ./node.nix;
  problems = import ./problems.nix;
  units = import ./units.nix;

  # Settings that the daemon takes while it runs, when it is told to reload; the others it takes at its start. The daemon's own
  # tests hold the list to what it does.
  reloaded = builtins.filter (name: name != "") (
    (import ./text.nix).lines (builtins.readFile ./reloaded.txt)
  );
}
