# Who may open connections to a node: the addresses of the cluster's own hosts, as rules for both of NixOS' firewalls.
#
# The rules only ever accept; what they do not name is left to the firewall that they are put into, which refuses it.
let
  address = import ./address.nix;
  inherit (import ./hosts.nix) runsDaemon;

  unique =
    list:
    builtins.attrNames (
      builtins.listToAttrs (
        map (name: {
          inherit name;
          value = null;
        }) list
      )
    );

  # Literal addresses by which a host's packets may be known. A name can be none: the firewall is rendered before the
  # machine exists, and what the name means there is anybody's guess.
  addressesOf =
    host:
    builtins.filter (a: a != null && address.isIp a && !(address.isLoopback a)) [
      host.tailscale_ip
      host.own_ssh_host
    ];

  isNetwork = text: builtins.match ".*/.*" text != null;

  # Lists of at most `size` items.
  chunks =
    size: list:
    let
      count = builtins.length list;
      at =
        start:
        builtins.genList (i: builtins.elemAt list (start + i)) (
          if start + size > count then count - start else size
        );
    in
    builtins.genList (k: at (k * size)) ((count + size - 1) / size);

  commas = builtins.concatStringsSep ",";
  set = items: "{ ${builtins.concatStringsSep ", " items} }";
  portList = map toString;
in
rec {
  # Addresses of hosts that run a daemon, and the `trusted` addresses and networks besides. A host that is retired has
  # none: its address may be somebody else's by now.
  sources =
    {
      cluster,
      trusted ? [ ],
    }:
    let
      own = builtins.concatMap addressesOf (builtins.filter runsDaemon cluster.hosts);
      all = unique (own ++ trusted);
      of = family: builtins.filter (a: address.family a == family) all;
      strange = builtins.filter (a: address.family a == null) trusted;
    in
    if strange != [ ] then
      throw "${builtins.toJSON (builtins.head strange)} is no IP address or network such as 10.0.0.0/8"
    else
      {
        v4 = of "v4";
        v6 = of "v6";
      };

  # Hosts that run a daemon and whose packets nobody can know: the file has no literal address of theirs.
  unknowable =
    cluster:
    map (host: host.id) (
      builtins.filter (host: runsDaemon host && addressesOf host == [ ]) cluster.hosts
    );

  # For `networking.firewall.extraInputRules`.
  nftables =
    { sources, ports }:
    let
      dports = "tcp dport ${set (portList ports)} accept comment \"nodes of the ringrift cluster\"";
      rules =
        keyword: list:
        let
          single = builtins.filter (a: !(isNetwork a)) list;
          # Networks may overlap, which the items of one set must not.
          networks = builtins.filter isNetwork list;
        in
        map (a: "${keyword} saddr ${a} ${dports}\n") (
          (if single == [ ] then [ ] else [ (set single) ]) ++ networks
        );
    in
    if ports == [ ] then
      ""
    else
      builtins.concatStringsSep "" (rules "ip" sources.v4 ++ rules "ip6" sources.v6);

  # For `networking.firewall.extraCommands`. They stand in NixOS' own chain, which is emptied at each start.
  iptables =
    { sources, ports }:
    let
      rules =
        program: list:
        map (
          chunk:
          "${program} -w -A nixos-fw -p tcp -s ${commas chunk} -m multiport --dports ${commas (portList ports)} -j nixos-fw-accept\n"
        ) (chunks 32 list);
    in
    if ports == [ ] then
      ""
    else
      builtins.concatStringsSep "" (rules "iptables" sources.v4 ++ rules "ip6tables" sources.v6);
}
