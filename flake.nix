{
  description = "The control plane of a self-play training cluster: its package, its NixOS module, its machines";

  # Nothing else: whoever takes this flake as an input follows one nixpkgs.
  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";

  outputs =
    { self, nixpkgs }:
    let
      inherit (nixpkgs) lib;
      systems = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      forEachSystem = make: lib.genAttrs systems (system: make nixpkgs.legacyPackages.${system});
      clusters = import ./packaging/nix/nodes.nix {
        inherit nixpkgs;
        module = self.nixosModules.default;
      };
    in
    {
      packages = forEachSystem (
        pkgs:
        let
          inherit (pkgs.stdenv.hostPlatform) system;
          ringrift-p2p = pkgs.callPackage ./packaging/nix/package.nix { };
        in
        {
          inherit ringrift-p2p;
          default = ringrift-p2p;
          options-reference = import ./packaging/nix/options-reference.nix { inherit pkgs; };
        }
        // clusters.imagesOf system self.nixosConfigurations
      );

      overlays.default = final: _: {
        ringrift-p2p = final.callPackage ./packaging/nix/package.nix { };
      };

      nixosModules = {
        default = self.nixosModules.ringrift-p2p;
        ringrift-p2p =
          { lib, pkgs, ... }:
          {
            imports = [ ./nixos-modules ];
            services.ringrift-p2p.package =
              lib.mkDefault
                self.packages.${pkgs.stdenv.hostPlatform.system}.ringrift-p2p;
          };
      };

      # What follows from a hosts file, in builtins alone, and the machines that it describes.
      lib = import ./nixos-modules/lib // {
        inherit (clusters) nodes nodesWith;
      };

      nixosConfigurations = clusters.nodesWith {
        hostsFile = ./nixos-modules/example/distributed_hosts.yaml;
        modules = [ ./nixos-modules/example/node.nix ];
      };

      checks = forEachSystem (
        pkgs:
        import ./packaging/nix/checks.nix {
          inherit pkgs self;
          inherit (pkgs.stdenv.hostPlatform) system;
        }
      );

      devShells = forEachSystem (pkgs: {
        default = pkgs.mkShell {
          inputsFrom = [ self.packages.${pkgs.stdenv.hostPlatform.system}.ringrift-p2p ];
          packages = [
            pkgs.clippy
            pkgs.rustfmt
            pkgs.rust-analyzer
            pkgs.nixfmt
            pkgs.nftables
            pkgs.jq
            (pkgs.python3.withPackages (python: [ python.pyyaml ]))
          ];
        };
      });

      formatter = forEachSystem (pkgs: pkgs.nixfmt-tree);
    };
}
