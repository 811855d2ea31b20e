# The options reference as the NixOS manual renders it. An option without a description fails the build.
{ pkgs }:
let
  inherit (pkgs) lib;
  evaluated = lib.evalModules {
    modules = [
      ../../nixos-modules/options.nix
      {
        config._module.args = { inherit pkgs; };
        options.networking.hostName = lib.mkOption { visible = false; };
      }
    ];
  };
in
(pkgs.nixosOptionsDoc {
  options = { inherit (evaluated.options) services; };
  warningsAreErrors = true;
}).optionsCommonMark
