# Jobs: templates that no switch touches, the slice that they share, and the folders of the hosts file.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.ringrift-p2p;
  inherit (cfg) node units;

  templates = map (lib.removeSuffix ".service") units.templates;
  # The daemon's own account is the first; whoever else there is runs jobs.
  jobUser = lib.findFirst (name: name != "ringrift-p2p") "ringrift-p2p" (map (u: u.name) units.users);
  models = node.folders.models or null;
  work = lib.attrValues (removeAttrs node.folders [ "models" ]);

  budget = lib.filterAttrs (_: value: value != null) {
    MemoryMax = node.budget.memoryMax;
    MemoryHigh = node.budget.memoryHigh;
    CPUQuota = node.budget.cpuQuota;
  };
  # A limit of one's own on memory must not leave the derived brake above it.
  derived = if cfg.limits ? MemoryMax then removeAttrs budget [ "MemoryHigh" ] else budget;
in
{
  config = lib.mkIf (cfg.enable && node != null) {
    systemd.services =
      lib.genAttrs templates (_: {
        # A job runs to its end, whatever becomes of the configuration.
        restartIfChanged = false;
        stopIfChanged = false;
        # The shell runs what the hosts file says under `venv_activate`.
        path = [ pkgs.bash ] ++ cfg.jobPackages;
        # They may write where the package's own folders are, and here.
        serviceConfig.ReadWritePaths = lib.mkIf (work != [ ]) work;
      })
      // lib.optionalAttrs (models != null) {
        ringrift-p2p = {
          environment.RINGRIFT_MODELS_DIR = models;
          serviceConfig.ReadWritePaths = [ models ];
        };
      };

    systemd.slices.ringrift.sliceConfig = lib.mapAttrs (_: lib.mkDefault) derived // cfg.limits;

    systemd.tmpfiles.settings."20-ringrift-p2p-folders" = lib.mapAttrs' (
      name: path:
      let
        owner = if name == "models" then "ringrift-p2p" else jobUser;
      in
      lib.nameValuePair path {
        d = {
          mode = "0755";
          user = owner;
          group = owner;
        };
      }
    ) node.folders;
  };
}
