# The flake with a whole nixpkgs, of which nothing is built: what its outputs come to by the real module system, the real
# modules of NixOS and the real packages.
{ nixpkgs, repository }:
let
  # As Nix calls a flake, but without copying the whole of it to the store.
  call =
    folder: inputs:
    let
      self = (import (folder + "/flake.nix")).outputs (inputs // { inherit self; }) // {
        outPath = toString folder;
      };
    in
    self;
  packages = call nixpkgs { };
  outputs = call repository { nixpkgs = packages; };
  inherit (packages) lib;
  system = "x86_64-linux";

  # What is compared of a stand-in's options and of those that it stands for.
  standIns = (lib.evalModules { modules = [ ./stand-ins.nix ]; }).options;
  real = (lib.nixosSystem { modules = [ { nixpkgs.hostPlatform = system; } ]; }).options;
  within =
    option:
    let
      found = option.type.getSubOptions [ ];
    in
    if lib.isAttrs found then found else { };
  differences =
    path: ours: theirs:
    lib.concatLists (
      lib.mapAttrsToList (
        name: option:
        let
          here = path ++ [ name ];
          there = theirs.${name};
          shown = lib.showOption here;
          described = option: option.type.description;
        in
        if !(theirs ? ${name}) then
          [ "${shown}: NixOS has no such option" ]
        else if !(lib.isOption option) then
          differences here option there
        else
          lib.optional (
            described option != described there
          ) "${shown}: ${described option} here, ${described there} in NixOS"
          ++ differences (here ++ [ "*" ]) (within option) (within there)
      ) (removeAttrs ours [ "_module" ])
    );
  all =
    output: system:
    map (name: [
      output
      system
      name
    ]) (lib.attrNames outputs.${output}.${system});

  # What else a machine may have of NixOS, which the module must get on with.
  beside = {
    nftables.networking.nftables.enable = true;
    networkd.networking.useNetworkd = true;
    chrony.services.chrony.enable = true;
    userborn.services.userborn.enable = true;
    sysusers = {
      systemd.sysusers.enable = true;
      users.mutableUsers = false;
      users.allowNoPasswordLogin = true;
    };
    a-container.boot.isContainer = true;
    no-server-of-ssh.services.openssh.enable = false;
    an-X-server.services.xserver.enable = true;
    the-driver-for-data-centres.hardware.nvidia.datacenter.enable = true;
  };
in
{
  inherit outputs;

  standIns = differences [ ] standIns real;

  machines = lib.attrNames outputs.nixosConfigurations;
  machine = { config, ... }: {
    inherit (config) warnings;
    failed = map (a: a.message) (lib.filter (a: !a.assertion) config.assertions);
    isDerivation = lib.hasSuffix ".drv" config.system.build.toplevel.drvPath;
  };

  besides = lib.attrNames beside;
  with' = machine: name: machine.extendModules { modules = [ beside.${name} ]; };

  image =
    { config, ... }:
    kind:
    let
      image = config.system.build.images.${kind};
      inherit (image.passthru.config.services.ringrift-p2p) nodeName tokenFile oldTokenFile;
      drivers = image.passthru.config.boot.initrd.availableKernelModules;
    in
    {
      inherit nodeName tokenFile oldTokenFile;
      findsVirtualDisk = lib.elem "virtio_blk" drivers;
      isDerivation = lib.hasSuffix ".drv" image.drvPath;
    };

  # The paths of all derivations among the outputs. Another system's packages are evaluated too, its checks are not.
  derivations =
    all "packages" "aarch64-linux"
    ++ all "packages" system
    ++ all "checks" system
    ++ all "devShells" system
    ++ [
      [
        "formatter"
        system
      ]
    ];
  derivation = path: (lib.getAttrFromPath path outputs).drvPath;
  overlaid =
    (import nixpkgs {
      inherit system;
      overlays = [ outputs.overlays.default ];
    }).ringrift-p2p.drvPath;
}
