# Everything said that can be said: other ports, no model server, keys, limits, classes of jobs, a token of one's own.
{ pkgs, ... }:
{
  networking.hostName = "cpu-1";
  networking.enableIPv6 = false;
  services.openssh.ports = [ 2222 ];
  services.ringrift-p2p = {
    enable = true;
    hostsFile = ../../../../nixos-modules/example/distributed_hosts.yaml;
    openFirewall = true;
    settings = {
      http_port = 9770;
      models_port = "none";
      heartbeat = "100ms";
      compat.open_reads = true;
    };
    jobClasses.selfplay.limits.memory_max = "12G";
    jobPackages = [ pkgs.torch ];
    tokenFile = "/run/secrets/ringrift";
    oldTokenFile = null;
    firewall = {
      ssh = "cluster";
      health = "everyone";
      trustedSources = [ "203.0.113.0/24" ];
    };
    limits = {
      MemoryMax = "24G";
      CPUWeight = 50;
    };
    authorizedKeys = [ "ssh-ed25519 AAAAoperator" ];
  };
}
