# SSH's host keys, in the shape of `programs.ssh.knownHosts`, of hosts whose entry has `ssh_host_key: 'ssh-ed25519 AAAA…'`.
let
  named =
    endpoint:
    if endpoint.port == 22 then endpoint.host else "[${endpoint.host}]:${toString endpoint.port}";
in
cluster:
builtins.listToAttrs (
  map (host: {
    name = host.id;
    value = {
      hostNames = [ host.id ] ++ builtins.filter (name: name != host.id) (map named host.ssh_endpoints);
      publicKey = host.ssh_host_key;
    };
  }) (builtins.filter (host: host.ssh_host_key != null) cluster.hosts)
)
