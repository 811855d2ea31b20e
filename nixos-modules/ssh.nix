# SSH, which the operator's tool uses: a server, host keys where the hosts file has them, and the operators' keys.
{ config, lib, ... }:
let
  cfg = config.services.ringrift-p2p;
  functions = import ./lib;
  user =
    if cfg.node == null || cfg.node.host.ssh_user == null then "root" else cfg.node.host.ssh_user;
in
{
  config = lib.mkIf cfg.enable {
    services.openssh.enable = lib.mkDefault true;
    programs.ssh.knownHosts = functions.knownHosts cfg.cluster;

    users.users = lib.mkIf (cfg.authorizedKeys != [ ]) {
      ${user} = {
        openssh.authorizedKeys.keys = cfg.authorizedKeys;
      }
      // lib.optionalAttrs (user != "root") {
        isNormalUser = lib.mkDefault true;
        extraGroups = [ "wheel" ];
      };
    };
  };
}
