# A scenario of tests/vm on NixOS machines: the same file that runs on Debian machines there.
#
# Its line `MACHINES = {…}` says which machines there are and what each is; the test driver gives them the addresses that the
# other driver gives them.
{
  pkgs,
  module,
  prelude,
  scenario,
  # What the members have besides, in services.ringrift-p2p.
  common ? { },
  # What else the members may be switched to, by name, from the settings of services.ringrift-p2p for another hosts file and
  # from the text of theirs.
  states ? (_: _: { }),
}:
let
  inherit (pkgs) lib;
  functions = import ../../nixos-modules/lib;
  text = builtins.readFile scenario;
  name = lib.removeSuffix ".py" (baseNameOf scenario);

  mark = "MACHINES = ";
  roles = builtins.fromJSON (
    lib.removePrefix mark (
      lib.findFirst (lib.hasPrefix mark) (throw "${name} has no line `${mark}{…}`") (
        lib.splitString "\n" text
      )
    )
  );
  members = lib.filterAttrs (_: role: role != "bare") roles;

  # As the driver numbers its machines: by their sorted names, from 1.
  numbered =
    network:
    lib.listToAttrs (
      lib.imap1 (number: machine: lib.nameValuePair machine "${network}${toString number}") (
        lib.attrNames roles
      )
    );
  addresses = numbered "192.168.1.";
  addresses6 = numbered "2001:db8:1::";
  voters = lib.attrNames (lib.filterAttrs (_: role: role == "voter") roles);

  entry =
    machine: role:
    lib.concatLines (
      [
        "  ${machine}:"
        "    ssh_host: ${addresses.${machine}}"
        "    tailscale_ip: ${addresses.${machine}}"
        "    ssh_user: root"
        "    ringrift_path: /var/lib/ringrift"
        "    status: ready"
        "    role: ${if role == "voter" then "coordinator" else "cpu_selfplay"}"
        "    cpus: 1"
        "    memory_gb: 1"
      ]
      ++ lib.optional (role == "dial-out") "    nat_blocked: true"
    );
  # The voters come last: a scenario cuts the file there.
  hosts =
    "hosts:\n"
    + lib.concatStrings (lib.mapAttrsToList entry members)
    + "p2p_voters:\n"
    + lib.concatMapStrings (voter: "  - ${voter}\n") voters;
  described =
    hosts:
    let
      name = "distributed_hosts.yaml";
    in
    {
      hostsFile = pkgs.writeText name hosts;
      # Read from here: the file itself is there only when it is built, and an evaluation must not wait for that.
      cluster = functions.hosts.parse name hosts;
    };

  member =
    machine: role:
    { config, ... }:
    {
      imports = [
        module
        { services.ringrift-p2p = common; }
      ];

      specialisation = lib.mapAttrs (_: configuration: { inherit configuration; }) (
        states described hosts
      );

      services.ringrift-p2p = lib.mapAttrs (_: lib.mkDefault) (described hosts) // {
        enable = lib.mkDefault true;
        nodeName = machine;
        openFirewall = true;
        # By name these machines reach each other at these addresses too, of which the hosts file says nothing.
        firewall.trustedSources = lib.attrValues (lib.getAttrs (lib.attrNames members) addresses6);
      };

      environment.etc = lib.mkIf config.services.ringrift-p2p.enable {
        # Files of their own, which the scenario changes as an operator would.
        "ringrift-p2p/distributed_hosts.yaml".mode = "0644";
        "ringrift-p2p/settings.yaml".mode = "0644";
        # It protects nothing but a test.
        "ringrift-p2p/token" = {
          text = lib.concatStrings (lib.replicate 32 "5a") + "\n";
          mode = "0600";
        };
      };
      environment.systemPackages = [ pkgs.jq ];

      networking.nftables = {
        enable = true;
        # As behind an address translator: what the machine did not ask for vanishes.
        tables.nat-like = lib.mkIf (role == "dial-out") {
          family = "inet";
          content = ''
            chain inbound {
              type filter hook input priority filter - 10;
              iifname "eth1" ct state new drop
            }
          '';
        };
      };
    };
in
pkgs.testers.runNixOSTest {
  name = "ringrift-p2p-${name}";
  nodes = lib.mapAttrs (machine: role: if role == "bare" then { } else member machine role) roles;
  testScript = lib.concatStringsSep "\n\n" [
    # Some versions of the driver give the script this name, others only those of the single machines.
    "machines = driver.machines"
    (builtins.readFile prelude)
    text
  ];
  # The scenarios have no annotations, since the other driver reads them too.
  skipTypeCheck = true;
  globalTimeout = 1800;
}
