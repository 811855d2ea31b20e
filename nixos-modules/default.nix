# `services.ringrift-p2p`: a machine becomes a node of the cluster that a hosts file describes. One file per concern.
{
  imports = [
    ./options.nix
    ./assertions.nix
    ./accounts.nix
    ./configuration.nix
    ./daemon.nix
    ./jobs.nix
    ./firewall.nix
    ./network.nix
    ./ssh.nix
    ./nvidia.nix
  ];
}
