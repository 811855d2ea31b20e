# Stand-ins for the options of NixOS that the module sets, of the same names and of types as strict as theirs where a slip of
# ours could hide. The real ones are used by `nix flake check`.
{ lib, ... }:
let
  inherit (lib) mkOption types;
  option = type: default: mkOption { inherit type default; };
  value = types.oneOf [
    types.bool
    types.int
    types.float
    types.str
    types.path
  ];
  # As in NixOS: all definitions are lists, or there is one value.
  unitOption = types.mkOptionType {
    name = "systemd option";
    merge =
      loc: definitions:
      let
        found = lib.options.filterOverrides or lib.modules.filterOverrides definitions;
        values = map (d: d.value) found;
      in
      if lib.all lib.isList values then
        lib.concatLists values
      else if lib.any lib.isList values then
        throw "${lib.showOption loc} has lists and single values"
      else
        lib.mergeEqualOption loc found;
  };
  section = types.attrsOf unitOption;
  names = types.listOf types.str;

  unit = {
    enable = option types.bool true;
    wantedBy = option names [ ];
    restartTriggers = option (types.listOf types.unspecified) [ ];
    reloadTriggers = option (types.listOf unitOption) [ ];
    unitConfig = option section { };
  };
  service = types.submodule {
    options = unit // {
      environment = option (types.attrsOf value) { };
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
      description = option types.str "";
      home = option types.str "/var/empty";
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

    networking.hostName = option types.str "nixos";
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
      datacenter.enable = option types.bool false;
    hardware.nvidia = {
      open = option (types.nullOr types.bool) null;
      nvidiaPersistenced = option types.bool false;
      nvidiaSettings = option types.bool true;
    };
  };
}
