# The cluster's names, and a clock that others can rely on.
{ config, lib, ... }:
let
  cfg = config.services.ringrift-p2p;
  functions = import ./lib;
in
{
  config = lib.mkIf cfg.enable {
    networking.hosts = functions.etcHosts cfg.cluster;
    services.timesyncd.enable = lib.mkDefault true;
  };
}
