# The module with nixpkgs' `lib` and stand-ins for the rest: what a configuration comes to, as JSON can hold it.
{ nixpkgsLib, repository }:
let
  lib = import nixpkgsLib;
  fake = name: {
    type = "derivation";
    inherit name;
    outPath = "/nix/store/00000000000000000000000000000000-${name}";
  };
  yaml =
    with lib.types;
    let
      value =
        nullOr (oneOf [
          bool
          int
          float
          str
          path
          (attrsOf value)
          (listOf value)
        ])
        // {
          description = "YAML value";
        };
    in
    value;
  pkgs = {
    # What would be built is its own text here, so that a test can look at it.
    formats.yaml = _: {
      type = yaml;
      generate = name: value: fake name // { inherit value; };
    };
    runCommand =
      name: environment: script:
      fake name // { inherit environment script; };
    ringrift-p2p = fake "ringrift-p2p";
    torch = fake "torch";
    bash = fake "bash";
    stdenv.hostPlatform = { };
    stdenv.buildPlatform.canExecute = _: true;
  };
  evaluated =
    modules:
    lib.evalModules {
      modules = [
        (repository + "/nixos-modules")
        ./stand-ins.nix
        { _module.args = { inherit pkgs; }; }
      ]
      ++ modules;
    };
in
{
  inherit lib pkgs fake;
  options = (evaluated [ ]).options.services.ringrift-p2p;

  # Everything that the module says, with units and accounts of the test's own; derivations as their paths.
  system =
    configuration:
    let
      units = (import (repository + "/nixos-modules/lib")).units ./jobs-tree;
      inherit
        (evaluated [
          configuration
          { services.ringrift-p2p = { inherit units; }; }
        ])
        config
        ;
      failed = lib.filter (a: !a.assertion) config.assertions;
    in
    {
      assertions = map (a: a.message) failed;
      inherit (config)
        warnings
        environment
        security
        systemd
        users
        networking
        programs
        hardware
        ;
      services = removeAttrs config.services [ "ringrift-p2p" ];
      settings = (lib.last config.systemd.services.ringrift-p2p.reloadTriggers).value;
    };

  # What is set where the module is only imported: nothing, so that it can be in every machine's list.
  silent =
    let
      inherit (evaluated [ ]) config;
    in
    {
      inherit (config)
        assertions
        warnings
        environment
        systemd
        ;
      users = config.users.users;
    };

  # Of the services of the package as it is: whether a switch restarts them.
  restarted =
    configuration:
    lib.mapAttrs (_: service: service.restartIfChanged)
      (evaluated [ configuration ]).config.systemd.services;

  # Its complaints alone, also where the rest cannot be evaluated.
  complaints =
    configuration:
    let
      inherit (evaluated [ configuration ]) config;
    in
    {
      assertions = map (a: a.message) (lib.filter (a: !a.assertion) config.assertions);
      inherit (config) warnings;
    };
}
