# A GPU node behind an address translator, on the nftables backend, as little said as possible.
{
  networking.firewall.backend = "nftables";
  services.ringrift-p2p = {
    enable = true;
    hostsFile = ../../../../nixos-modules/example/distributed_hosts.yaml;
    nodeName = "gpu-1";
    openFirewall = true;
  };
}
