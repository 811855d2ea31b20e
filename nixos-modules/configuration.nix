# `/etc/ringrift-p2p`: the hosts file and the settings, as the daemon itself accepted them.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.ringrift-p2p;
  functions = import ./lib;
  format = pkgs.formats.yaml { };

  settings = {
    node_id = cfg.nodeName;
  }
  // cfg.settings
  // lib.optionalAttrs (cfg.jobClasses != { }) { job_classes = cfg.jobClasses; };
  settingsFile = format.generate "ringrift-p2p-settings.yaml" settings;

  checked =
    pkgs.runCommand "ringrift-p2p-configuration"
      {
        inherit settingsFile;
        inherit (cfg) hostsFile;
        nativeBuildInputs = lib.optional cfg.checkConfig cfg.package;
        # It protects nothing; without a token the daemon would serve this machine alone, and be right not to start.
        RINGRIFT_CLUSTER_AUTH_TOKEN = lib.concatStrings (lib.replicate 32 "5a");
      }
      ''
        ${lib.optionalString cfg.checkConfig ''
          ringrift-p2p check-config --settings "$settingsFile" --hosts "$hostsFile"
        ''}
        mkdir "$out"
        cp "$settingsFile" "$out/settings.yaml"
        cp "$hostsFile" "$out/distributed_hosts.yaml"
      '';
in
{
  config = lib.mkIf (cfg.enable && cfg.node != null) {
    environment.etc = {
      "ringrift-p2p/settings.yaml".source = "${checked}/settings.yaml";
      "ringrift-p2p/distributed_hosts.yaml".source = "${checked}/distributed_hosts.yaml";
    };

    systemd.services.ringrift-p2p = {
      # Both files are read again on reload. Some settings are in force after a restart alone.
      reloadTriggers = [
        "${cfg.hostsFile}"
        settingsFile
      ];
      restartTriggers = [ (builtins.toJSON (removeAttrs settings functions.reloaded)) ];
    };
  };
}
