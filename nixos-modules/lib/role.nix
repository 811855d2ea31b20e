# What a host is for, and what it may be given to do. The same table as the daemon's (contract, section 3).
let
  roles = {
    gpu_selfplay = [ "selfplay" ];
    gpu_selfplay_primary = [ "selfplay" ];
    cpu_selfplay = [ "selfplay" ];
    selfplay = [ "selfplay" ];
    gpu_training = [ "training" ];
    gpu_training_primary = [ "training" ];
    nn_training = [ "training" ];
    nn_training_primary = [ "training" ];
    mixed = [
      "selfplay"
      "training"
    ];
    coordinator = [ "coordinator" ];
    backbone = [ "coordinator" ];
    proxy = [ "coordinator" ];
  };
in
{
  # What a role allows, with `selfplay_enabled` and `training_enabled` adding to it or taking away. Nothing is added to a
  # coordinator, or to a role that nobody knows.
  capabilities =
    {
      role,
      selfplay ? null,
      training ? null,
    }:
    let
      byRole = if role == null then [ ] else roles.${role} or [ ];
      has = capability: builtins.elem capability byRole;
      works = byRole != [ ] && !(has "coordinator");
      may =
        capability: switch: if switch == false then false else has capability || (switch == true && works);
    in
    (if may "selfplay" selfplay then [ "selfplay" ] else [ ])
    ++ (if may "training" training then [ "training" ] else [ ])
    ++ (if has "coordinator" then [ "coordinator" ] else [ ]);
}
