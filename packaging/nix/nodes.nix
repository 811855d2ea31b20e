# A hosts file becomes NixOS machines, one for each host that can run NixOS, and their images.
{ nixpkgs, module }:
let
  inherit (nixpkgs) lib;
  functions = import ../../nixos-modules/lib;

  # What boots these images are virtual machines above all, whose disks NixOS does not look for by itself.
  virtualDisks =
    { modulesPath, ... }:
    {
      image.modules = lib.genAttrs [ "raw" "raw-efi" "qemu" "qemu-efi" ] (_: {
        imports = [ (modulesPath + "/profiles/qemu-guest.nix") ];
      });
    };
in
rec {
  # One nixosConfiguration per host. `modules` are added to each of them, `hostModules` by name; a module finds its host's
  # entry in `config.services.ringrift-p2p.node.host`.
  nodesWith =
    {
      hostsFile,
      modules ? [ ],
      hostModules ? { },
      specialArgs ? { },
    }:
    let
      cluster = functions.readHosts hostsFile;
      machine =
        host:
        lib.nixosSystem {
          inherit specialArgs;
          modules = [
            module
            virtualDisks
            {
              nixpkgs.hostPlatform = lib.mkDefault (functions.node host).system;
              # A node's name may have characters that a host's name must not have. Stronger than mkDefault, by which images
              # for clouds say that they have no name.
              networking.hostName = lib.mkOverride 900 (lib.replaceStrings [ "_" "." ] [ "-" "-" ] host.id);
              services.ringrift-p2p = {
                enable = true;
                inherit hostsFile;
                nodeName = host.id;
                openFirewall = lib.mkDefault true;
              };
            }
          ]
          ++ modules
          ++ lib.toList (hostModules.${host.id} or [ ]);
        };
    in
    lib.listToAttrs (
      map (host: lib.nameValuePair host.id (machine host)) (
        lib.filter (host: (functions.node host).canRunNixos) cluster.hosts
      )
    );

  nodes = hostsFile: nodesWith { inherit hostsFile; };

  # `image-NODE`: a raw disk for each machine of this system.
  imagesOf =
    system: machines:
    lib.mapAttrs' (
      name: machine: lib.nameValuePair "image-${name}" machine.config.system.build.images.raw-efi
    ) (lib.filterAttrs (_: machine: machine.pkgs.stdenv.hostPlatform.system == system) machines);
}
