# What a hosts file says: the same as `ringriftctl hosts list --json` prints, key by key.
#
# A host has the keys of the file (null where the file says nothing), and what follows from them: `capabilities`,
# `dial_host`, `dials_out_only`, `is_voter`, `ssh_endpoints`; only here also `own_ssh_host`, `ssh_host` unless that is a
# provider's shared forwarder or leads back to whoever dials it.
let
  inherit (import ./place.nix) top below fail;
  yaml = import ./yaml;
  fields = import ./fields.nix;
  address = import ./address.nix;
  host = import ./host.nix;

  sshPort = 22;
  orElse = fallback: value: if value == null then fallback else value;

  # Sections that other programs read. Null is as if they were not there; what nobody knows is kept as it is.
  otherSections = [
    "elo_sync"
    "sync_routing"
    "protocols"
    "disk_management"
    "consolidation"
    "provider_timeouts"
  ];

  # A name that several hosts share with different ports is a provider's forwarder.
  forwarders =
    hosts:
    let
      named = builtins.filter (host: host.ssh_host != null) hosts;
      ports = builtins.groupBy (host: host.ssh_host) named;
      differ =
        name: builtins.any (host: host.ssh_port != (builtins.head ports.${name}).ssh_port) ports.${name};
    in
    builtins.filter differ (builtins.attrNames ports);

  # What the whole file says of each host.
  settled =
    hosts: voters:
    let
      shared = forwarders hosts;
      # A loopback address means another machine on every machine, unless all hosts of the file are on one.
      onOneMachine = builtins.all (
        host:
        builtins.all (a: a == null || address.isLoopback a) [
          host.tailscale_ip
          host.ssh_host
        ]
      ) hosts;
      settle =
        host:
        let
          isOwn =
            host.ssh_host != null
            && !(builtins.elem host.ssh_host shared)
            && !(address.isPlaceholder host.ssh_host)
            && (onOneMachine || !(address.isLoopback host.ssh_host));
          own = if isOwn then host.ssh_host else null;
          endpoints =
            (
              if host.tailscale_ip == null then
                [ ]
              else
                [
                  {
                    host = host.tailscale_ip;
                    port = sshPort;
                  }
                ]
            )
            ++ (
              if host.ssh_host == null then
                [ ]
              else
                [
                  {
                    host = host.ssh_host;
                    port = host.ssh_port;
                  }
                ]
            );
          # Both may be the same.
          distinct =
            if builtins.length endpoints == 2 && builtins.head endpoints == builtins.elemAt endpoints 1 then
              [ (builtins.head endpoints) ]
            else
              endpoints;
        in
        host
        // {
          own_ssh_host = own;
          dial_host = if host.tailscale_ip != null then host.tailscale_ip else own;
          is_voter = builtins.elem host.id (orElse [ ] voters);
          ssh_endpoints =
            if distinct == [ ] then
              [
                {
                  host = host.id;
                  port = host.ssh_port;
                }
              ]
            else
              distinct;
        };
    in
    map settle hosts;

  votersOf =
    f: ids:
    let
      node = f.list "p2p_voters";
      at = below f.at "p2p_voters";
      name =
        index: item:
        if item.kind != "scalar" || item.value == null then
          fail (below at index) item.line "expected the name of a host, found ${yaml.describe item}"
        else if !(ids ? ${item.text}) then
          fail (below at index) item.line "the voter ${item.text} is not under hosts"
        else
          item.text;
      names = builtins.genList (i: name i (builtins.elemAt node.items i)) (builtins.length node.items);
      repeated = builtins.filter (
        i:
        builtins.any (j: j < i && builtins.elemAt names j == builtins.elemAt names i) (
          builtins.genList (j: j) i
        )
      ) (builtins.genList (i: i) (builtins.length names));
      again = builtins.head repeated;
      earlier = builtins.head (
        builtins.filter (j: builtins.elemAt names j == builtins.elemAt names again) (
          builtins.genList (j: j) again
        )
      );
    in
    if node == null then
      null
    else if repeated != [ ] then
      fail (below at again) (builtins.elemAt node.items again).line
        "the voter ${builtins.elemAt names again} is on line ${toString (builtins.elemAt node.items earlier).line} already"
    else
      names;

  autoSync =
    f:
    let
      node = f.map' "auto_sync";
      s = fields.of (below f.at "auto_sync") node;
      overrides = s.map' "host_bandwidth_overrides";
      rate =
        entry:
        let
          mbps = fields.countOf entry.value;
        in
        {
          name = entry.key;
          value =
            if builtins.match "[A-Za-z0-9._*?-]+" entry.key == null then
              fail (below (below s.at "host_bandwidth_overrides") entry.key) entry.line
                "is no pattern of host names: expected letters, digits, '.', '_', '-', and * or ? for any"
            else if mbps == null then
              fields.wrong (below s.at "host_bandwidth_overrides") entry "megabits per second, 0 or more"
            else
              mbps;
        };
    in
    {
      bandwidth_limit_mbps = if node == null then null else s.count "bandwidth_limit_mbps";
      host_bandwidth_overrides =
        if node == null || overrides == null then
          { }
        else
          builtins.listToAttrs (map rate overrides.entries);
    };
in
rec {
  # A text as a cluster; `file` is what errors call it.
  parse =
    file: text:
    let
      document = yaml.nodes file text;
      # Also what nothing here reads must be right.
      root = builtins.deepSeq (yaml.value document) document;
      f = fields.of (top file) root;
      section = f.map' "hosts";
      hosts = map (host (below f.at "hosts")) section.entries;
      ids = builtins.listToAttrs (
        map (host: {
          name = host.id;
          value = true;
        }) hosts
      );
      voters = votersOf f ids;
      all = settled hosts voters;
    in
    if root == null || root.kind != "map" then
      fail (top file) 1
        "expected a map with hosts and p2p_voters, found ${
          if root == null then "nothing" else yaml.describe root
        }"
    else if section == null then
      fail (below f.at "hosts") null "missing: a hosts file describes its hosts under `hosts:`"
    else
      {
        inherit file;
        # The daemon's name for this state of the file.
        revision = builtins.hashString "sha256" text;
        hosts = all;
        byName = builtins.listToAttrs (
          map (host: {
            name = host.id;
            value = host;
          }) all
        );
        p2p_voters = voters;
        auto_sync = autoSync f;
        extra = removeAttrs (f.rest [
          "hosts"
          "p2p_voters"
          "auto_sync"
        ]) (builtins.filter (name: f.entry name == null) otherSections);
      };

  # A file as a cluster.
  read = path: parse (baseNameOf (toString path)) (builtins.readFile path);

  # Whether a daemon is expected to run there.
  runsDaemon = host: host.status == "ready" && host.p2p_enabled;
}
