# What keeps a machine from becoming a node of this cluster, in the shape of NixOS' `assertions`. Every message names the
# option and the host.
let
  address = import ./address.nix;
  inherit (import ./hosts.nix) runsDaemon;
  text' = import ./text.nix;

  name = text: "\"${text}\"";
in
{
  cluster,
  nodeName,
  tokenFiles ? { },
  option ? "services.ringrift-p2p",
}:
let
  host = cluster.byName.${nodeName} or null;
  known = host != null;
  inFile = "${option}.hostsFile (${cluster.file})";
  about = "${option}.nodeName: the host ${name nodeName} of ${cluster.file}";
  ids = map (h: h.id) cluster.hosts;
  shown =
    if builtins.length ids <= 12 then ids else builtins.genList (builtins.elemAt ids) 12 ++ [ "…" ];

  voters = if cluster.p2p_voters == null then [ ] else cluster.p2p_voters;
  count = builtins.length voters;

  # Addresses that two nodes would both be dialled at.
  users = builtins.groupBy (use: use.address) (
    builtins.concatMap (
      h:
      map
        (a: {
          address = a;
          host = h.id;
        })
        (
          builtins.filter (a: a != null && !(address.isLoopback a)) (
            if h.tailscale_ip == h.own_ssh_host then
              [ h.tailscale_ip ]
            else
              [
                h.tailscale_ip
                h.own_ssh_host
              ]
          )
        )
    ) (builtins.filter runsDaemon cluster.hosts)
  );
  shared = builtins.filter (a: builtins.length users.${a} > 1) (builtins.attrNames users);

  inStore = file: builtins.isPath file || text'.beginsWith "${builtins.storeDir}/" (toString file);
in
[
  {
    assertion = known;
    message = "${option}.nodeName: ${cluster.file} has no host ${name nodeName}; it has ${builtins.concatStringsSep ", " shown}";
  }
  {
    assertion = !known || host.status == "ready";
    message = "${about} is not ready but ${name host.status}: set `status: ready` when it is to be a node";
  }
  {
    assertion = !known || host.p2p_enabled;
    message = "${about} has `p2p_enabled: false`, so no daemon is expected there";
  }
  {
    assertion = count > 0;
    message = "${inFile}: p2p_voters names no voter; the host ${name nodeName} would start without a cluster. List 3 to 9 stable hosts";
  }
  {
    assertion = count == 0 || count / 2 * 2 != count;
    message = "${inFile}: p2p_voters has ${toString count} voters (${builtins.concatStringsSep ", " voters}), which survive no more losses than ${toString (count - 1)}: drop one or add one";
  }
]
++ map (a: {
  assertion = false;
  message = "${inFile}: the address ${a} belongs to ${
    builtins.concatStringsSep " and " (map (use: "hosts.${use.host}") users.${a})
  }; two nodes cannot be dialled at one address";
}) shared
++ map (file: {
  assertion = tokenFiles.${file} == null || !(inStore tokenFiles.${file});
  message = "${option}.${file}: ${toString tokenFiles.${file}} is in the Nix store, which every user of the host ${name nodeName} can read; name a file outside it, as a text in quotes";
}) (builtins.attrNames tokenFiles)
