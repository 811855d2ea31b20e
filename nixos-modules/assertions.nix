{ config, lib, ... }:
let
  cfg = config.services.ringrift-p2p;
  functions = import ./lib;
  unknowable = lib.remove cfg.nodeName (functions.firewall.unknowable cfg.cluster);
in
{
  config = lib.mkIf cfg.enable {
    assertions =
      functions.problems {
        inherit (cfg) cluster nodeName;
        tokenFiles = { inherit (cfg) tokenFile oldTokenFile; };
      }
      ++ [
        {
          assertion = !cfg.openFirewall || config.networking.firewall.backend != "firewalld";
          message = "services.ringrift-p2p.openFirewall: the host \"${cfg.nodeName}\" uses firewalld, for which there are no rules here; use nftables or iptables";
        }
      ];

    warnings =
      lib.optional (cfg.openFirewall && unknowable != [ ])
        ''services.ringrift-p2p.openFirewall: ${cfg.cluster.file} has no IP address of ${lib.concatStringsSep ", " unknowable}, so the firewall of "${cfg.nodeName}" refuses them. Add the address that their connections come from to services.ringrift-p2p.firewall.trustedSources.''
      ++
        lib.optional (cfg.node != null && cfg.node.hasVirtualGpu && !cfg.nvidia.enable)
          ''services.ringrift-p2p.nvidia: the host "${cfg.nodeName}" has a virtual GPU, whose driver comes from whoever rents it out; none was installed.'';
  };
}
