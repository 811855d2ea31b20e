# Stand-ins for the options of NixOS that the module sets, of the same names and of types as strict as theirs where a slip of
# ours could hide. The real ones are used by `nix flake check`.
{ lib, ... }:
let
  inherit (lib) mkOption types;
  option = type: default: mkOption { inherit type default; };
  # As in NixOS: definitions are joined where one of them is a list; otherwise they must agree.
  unitOption = types.mkOptionType {
    name = "systemd option";
    merge =
      loc: definitions:
      if lib.any (d: lib.isList d.value) definitions then
        lib.concatMap (d: lib.toList d.value) definitions
      else
        lib.mergeEqualOption loc definitions;
  };
  section = types.attrsOf unitOption;
  names = types.listOf types.str;
  unitNames = types.listOf (
    types.strMatching "[a-zA-Z0-9@%:_.\\\\-]+[.](service|socket|device|mount|automount|swap|target|path|timer|scope|slice)"
  );

  unit = {
    enable = option types.bool true;
    wantedBy = option unitNames [ ];
    restartTriggers = option (types.listOf types.unspecified) [ ];
    reloadTriggers = option (types.listOf unitOption) [ ];
    unitConfig = option section { };
  };
  service = types.submodule {
    options = unit // {
      environment = option (types.attrsOf (
        types.nullOr (
          types.oneOf [
            types.str
            types.path
            types.package
          ]
        )
      )) { };
      path = option (types.listOf (types.either types.package types.str)) [ ];
      serviceConfig = option section { };
      restartIfChanged = option types.bool true;
      reloadIfChanged = option types.bool false;
      stopIfChanged = option types.bool true;
      notSocketActivated = option types.bool false;
    };
  };
  socket = types.submodule {
    options = unit // {
      listenStreams = option names [ ];
      socketConfig = option section { };
    };
  };
  slice = types.submodule {
    options = unit // {
      sliceConfig = option section { };
    };
  };
  etc = types.submodule {
    options = {
      source = mkOption { type = types.path; };
    };
  };
  user = types.submodule {
    options = {
      isSystemUser = option types.bool false;
      isNormalUser = option types.bool false;
      group = option types.str "";
      extraGroups = option names [ ];
      description = option (types.passwdEntry types.str) "";
      home = option (types.passwdEntry types.path) "/var/empty";
      openssh.authorizedKeys.keys = option (types.listOf types.singleLineStr) [ ];
    };
  };
  folder = types.attrsOf (
    types.submodule {
      options = lib.genAttrs [ "mode" "user" "group" ] (_: mkOption { type = types.str; });
    }
  );
in
{
  options = {
    assertions = option (types.listOf types.unspecified) [ ];
    warnings = option (types.listOf types.str) [ ];

    environment.etc = option (types.attrsOf etc) { };
    environment.systemPackages = option (types.listOf types.package) [ ];
    security.polkit.enable = option types.bool false;

    systemd.packages = option (types.listOf types.package) [ ];
    systemd.services = option (types.attrsOf service) { };
    systemd.sockets = option (types.attrsOf socket) { };
    systemd.slices = option (types.attrsOf slice) { };
    systemd.tmpfiles.packages = option (types.listOf types.package) [ ];
    systemd.tmpfiles.settings = option (types.attrsOf (types.attrsOf folder)) { };

    users.users = option (types.attrsOf user) { };
    users.groups = option (types.attrsOf (types.submodule { })) { };

    networking.hostName = option (types.strMatching "^$|^[[:alnum:]]([[:alnum:]_-]{0,61}[[:alnum:]])?$") "nixos";
    networking.hosts = option (types.attrsOf names) { };
    networking.enableIPv6 = option types.bool true;
    networking.firewall = {
      backend = option (types.enum [
        "iptables"
        "nftables"
        "firewalld"
      ]) "iptables";
      allowedTCPPorts = option (types.listOf types.port) [ ];
      extraInputRules = option types.lines "";
      extraCommands = option types.lines "";
    };

    services.openssh.enable = option types.bool false;
    services.openssh.ports = option (types.listOf types.port) [ 22 ];
    services.openssh.openFirewall = option types.bool true;
    services.timesyncd.enable = option types.bool false;
    services.xserver.videoDrivers = option names [ "modesetting" ];
    programs.ssh.knownHosts = option (types.attrsOf (
      types.submodule {
        options = {
          hostNames = option names [ ];
          publicKey = mkOption { type = types.nullOr types.str; };
        };
      }
    )) { };

    hardware.graphics.enable = option types.bool false;
    hardware.nvidia = {
      open = option (types.nullOr types.bool) null;
      datacenter.enable = option types.bool false;
      nvidiaPersistenced = option types.bool false;
      nvidiaSettings = option types.bool true;
    };
  };
}
