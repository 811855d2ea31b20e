# What `nix flake check` builds and runs.
{
  pkgs,
  self,
  system,
}:
let
  inherit (pkgs) lib;
  package = self.packages.${system}.ringrift-p2p;

  # The package's build with another command, which leaves nothing behind.
  instead =
    name: tools: command:
    package.overrideAttrs (old: {
      name = "ringrift-p2p-${name}";
      nativeBuildInputs = old.nativeBuildInputs ++ tools;
      buildPhase = command;
      doCheck = false;
      doInstallCheck = false;
      installPhase = "touch $out";
      postInstall = "";
    });

  folder = ../../tests/vm;
  # A scenario that is about Debian says so, and why.
  isForNixos = file: !(lib.hasInfix "\n# Not on NixOS: " (builtins.readFile (folder + "/${file}")));
  scenarios = lib.filter (file: lib.hasSuffix ".py" file && isForNixos file) (
    lib.attrNames (lib.filterAttrs (_: type: type == "regular") (builtins.readDir folder))
  );

  # A scenario on machines of NixOS, by its file.
  onNixos =
    scenario: arguments:
    import ./scenario.nix (
      {
        inherit pkgs scenario;
        module = self.nixosModules.default;
        prelude = folder + "/driver/prelude.py";
      }
      // arguments
    );

  nixFiles = lib.fileset.toSource {
    root = ../../.;
    fileset = lib.fileset.fileFilter (file: file.hasExt "nix") ../../.;
  };
in
{
  inherit package;
  inherit (self.packages.${system}) options-reference;

  clippy = instead "clippy" [
    pkgs.clippy
  ] "cargo clippy --workspace --all-targets --offline -- --deny warnings";
  rustfmt = instead "rustfmt" [ pkgs.rustfmt ] "cargo fmt --all --check";

  nixfmt = pkgs.runCommand "nixfmt" { nativeBuildInputs = [ pkgs.nixfmt ]; } ''
    find ${nixFiles} -name '*.nix' -exec nixfmt --check {} +
    touch "$out"
  '';

  # Every machine of the example, evaluated as a whole, with every assertion of NixOS; nothing of it is built.
  example = pkgs.writeText "ringrift-p2p-example" (
    lib.concatStrings (
      lib.mapAttrsToList (
        name: machine:
        "${name} ${builtins.unsafeDiscardStringContext machine.config.system.build.toplevel.drvPath}\n"
      ) self.nixosConfigurations
    )
  );

  vm-switch = onNixos ./switch.py {
    common.jobClasses.doze = {
      kind = "selfplay";
      working_dir = "/";
      argv = [
        "sleep"
        "600"
      ];
      grace = "5s";
    };
    states = described: hosts: {
      hosts.services.ringrift-p2p = described (hosts + "# The same machines.\n");
      classes.services.ringrift-p2p.jobClasses.nap = {
        kind = "selfplay";
        working_dir = "/";
        argv = [ "true" ];
      };
      settings.services.ringrift-p2p.settings.models_keep = 7;
      none.services.ringrift-p2p.enable = false;
    };
  };
}
// lib.listToAttrs (
  map (
    file: lib.nameValuePair "vm-${lib.removeSuffix ".py" file}" (onNixos (folder + "/${file}") { })
  ) scenarios
)
