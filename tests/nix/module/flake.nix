# The flake with nixpkgs' `lib` and stand-ins for its packages: what its outputs are, as far as that shows them.
{ nixpkgsLib, repository }:
let
  stubs = import ./evaluate.nix { inherit nixpkgsLib repository; };
  inherit (stubs) lib pkgs fake;

  # A machine is evaluated with the stand-ins for NixOS; what would be built keeps its name.
  nixosSystem =
    {
      modules,
      specialArgs ? { },
    }:
    let
      inherit
        (lib.evalModules {
          inherit specialArgs;
          modules = modules ++ [
            ./stand-ins.nix
            {
              options =
                lib.genAttrs [ "nixpkgs" "system" "fileSystems" "boot" ] (
                  _: lib.mkOption { type = lib.types.attrsOf lib.types.anything; }
                )
                // {
                  image.modules = lib.mkOption { };
                };
              config._module.args.pkgs = packagesFor "x86_64-linux";
            }
          ];
        })
        config
        ;
    in
    {
      config = config // {
        system.build = {
          toplevel.drvPath = "/nix/store/toplevel-of-${config.networking.hostName}";
          # As in NixOS, an image is the machine with a builder of images besides.
          images.raw-efi =
            let
              image = nixosSystem {
                inherit specialArgs;
                modules = modules ++ [ { options.image.filePath = lib.mkOption { }; } ];
              };
            in
            {
              inherit (image.config.services.ringrift-p2p) nodeName tokenFile oldTokenFile;
            };
        };
      };
      pkgs.stdenv.hostPlatform.system = config.nixpkgs.hostPlatform;
    };

  tools =
    lib.genAttrs
      [
        "clippy"
        "rustfmt"
        "rust-analyzer"
        "nixfmt"
        "nixfmt-tree"
        "nftables"
        "jq"
      ]
      (name: {
        inherit name;
      });

  packagesFor =
    system:
    pkgs
    // tools
    // {
      inherit lib;
      stdenv = {
        hostPlatform = { inherit system; };
        buildPlatform.canExecute = _: true;
      };
      callPackage =
        path: _:
        import path {
          inherit lib;
          inherit (packagesFor system) stdenv;
          versionCheckHook = null;
          rustPlatform.buildRustPackage =
            arguments:
            arguments
            // {
              type = "derivation";
              name = "${arguments.pname}-${arguments.version}";
              outPath = "/nix/store/00000000000000000000000000000000-${arguments.pname}";
              overrideAttrs = change: arguments // change arguments;
            };
        };
      testers.runNixOSTest = test: test;
      writeText = name: text: fake name // { inherit text; };
      runCommand = name: _: _: { inherit name; };
      nixosOptionsDoc = { options, warningsAreErrors }: {
        optionsCommonMark = lib.optionAttrSetToDocList options;
      };
      mkShell = shell: shell;
      python3.withPackages = _: { };
    };

  nixpkgs = {
    lib = lib // {
      inherit nixosSystem;
    };
    legacyPackages = lib.genAttrs [ "x86_64-linux" "aarch64-linux" ] packagesFor;
  };
  flake = import (repository + "/flake.nix");
  outputs = flake.outputs {
    inherit nixpkgs;
    self = outputs;
  };
  checks = outputs.checks.x86_64-linux;
  scenarios = lib.filterAttrs (name: _: lib.hasPrefix "vm-" name) checks;
  nodeOf =
    test: name:
    (lib.evalModules {
      modules = [
        test.nodes.${name}
        ./stand-ins.nix
        {
          config._module.args.pkgs = packagesFor "x86_64-linux";
          options.networking.nftables = lib.mkOption { type = lib.types.anything; };
          options.specialisation = lib.mkOption { type = lib.types.raw; };
        }
      ];
    }).config;
in
{
  names = {
    packages = lib.mapAttrs (_: lib.attrNames) outputs.packages;
    checks = lib.attrNames checks;
    lib = lib.attrNames outputs.lib;
    machines = lib.attrNames outputs.nixosConfigurations;
    others = lib.attrNames (
      removeAttrs outputs [
        "packages"
        "checks"
        "lib"
        "nixosConfigurations"
      ]
    );
  };
  package = removeAttrs outputs.packages.x86_64-linux.default [
    "src"
    "cargoLock"
    "nativeBuildInputs"
    "overrideAttrs"
    "type"
    "outPath"
  ];
  inherit (flake) inputs;
  images = lib.filterAttrs (name: _: lib.hasPrefix "image-" name) outputs.packages.x86_64-linux;
  machines = lib.mapAttrs (_: machine: {
    inherit (machine.config.services.ringrift-p2p) nodeName openFirewall tokenFile;
    inherit (machine.config.networking) hostName;
    system = machine.pkgs.stdenv.hostPlatform.system;
    failed = map (a: a.message) (lib.filter (a: !a.assertion) machine.config.assertions);
  }) outputs.nixosConfigurations;
  undocumented = map (o: o.name) (
    lib.filter (
      o: o.visible && !o.internal && (o.description or null) == null
    ) outputs.packages.x86_64-linux.options-reference
  );
  example = checks.example.text;
  scenarios = lib.mapAttrs (_: test: {
    inherit (test) name;
    machines = lib.attrNames test.nodes;
    script = test.testScript;
    hosts = lib.unique (
      lib.concatMap (
        name:
        lib.optional (test.nodes.${name} != { }) (nodeOf test name).services.ringrift-p2p.hostsFile.text
      ) (lib.attrNames test.nodes)
    );
    failed = lib.concatMap (
      name:
      lib.optionals (test.nodes.${name} != { }) (
        map (a: a.message) (lib.filter (a: !a.assertion) (nodeOf test name).assertions)
      )
    ) (lib.attrNames test.nodes);
  }) scenarios;
}
