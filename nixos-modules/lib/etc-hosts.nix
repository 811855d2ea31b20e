# The cluster's names in `/etc/hosts`, in the shape of `networking.hosts`: address to names.
let
  address = import ./address.nix;
  hasAddress = a: a != null && address.isIp a;
in
cluster:
let
  addressOf = host: if hasAddress host.tailscale_ip then host.tailscale_ip else host.own_ssh_host;
  known = builtins.filter (host: hasAddress (addressOf host)) cluster.hosts;
in
builtins.mapAttrs (_: hosts: map (host: host.id) hosts) (builtins.groupBy addressOf known)
