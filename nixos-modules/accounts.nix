# The accounts of sysusers.d, which NixOS makes itself. They are static: the system bus knows a service by its user's name.
{ config, lib, ... }:
let
  cfg = config.services.ringrift-p2p;
  inherit (cfg) units;
  names = map (user: user.name) units.users;
in
{
  config = lib.mkIf cfg.enable {
    users.users = lib.listToAttrs (
      map (
        user:
        lib.nameValuePair user.name (
          {
            isSystemUser = true;
            group = user.name;
            extraGroups = map (m: m.group) (lib.filter (m: m.user == user.name) units.memberships);
          }
          // lib.optionalAttrs (user.description != null) { inherit (user) description; }
          // lib.optionalAttrs (user.home != null) { inherit (user) home; }
        )
      ) units.users
    );

    users.groups = lib.genAttrs (lib.unique (names ++ map (group: group.name) units.groups)) (_: { });
  };
}
