# Who may connect: the cluster's own addresses, by the rules of whichever backend NixOS' firewall has.
{ config, lib, ... }:
let
  cfg = config.services.ringrift-p2p;
  functions = import ./lib;
  inherit (config.networking) enableIPv6;
  inherit (config.networking.firewall) backend;
  inherit (cfg) settings;

  ports = lib.filter (port: port != "none");
  health = ports [ settings.health_port ];
  ssh = config.services.openssh.ports;
  to =
    who:
    lib.optionals (cfg.firewall.health == who) health ++ lib.optionals (cfg.firewall.ssh == who) ssh;

  all = functions.firewall.sources {
    inherit (cfg) cluster;
    trusted = cfg.firewall.trustedSources;
  };
  rules = {
    sources = if enableIPv6 then all else all // { v6 = [ ]; };
    ports =
      ports [
        settings.link_port
        settings.models_port
        settings.http_port
      ]
      ++ to "cluster";
  };
in
{
  config = lib.mkIf (cfg.enable && cfg.openFirewall) {
    networking.firewall = {
      allowedTCPPorts = to "everyone";
      extraInputRules = lib.mkIf (backend == "nftables") (functions.firewall.nftables rules);
      extraCommands = lib.mkIf (backend == "iptables") (functions.firewall.iptables rules);
    };

    # It would open its port to everybody.
    services.openssh.openFirewall = lib.mkIf (cfg.firewall.ssh != "everyone") (lib.mkDefault false);
  };
}
