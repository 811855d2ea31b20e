# What follows from a host's own entry for the machine that becomes it.
let
  gpu = import ./gpu.nix;
  text' = import ./text.nix;
  budget = import ./budget.nix;
  inherit (import ./hosts.nix) runsDaemon;

  systems = {
    x86_64 = "x86_64-linux";
    amd64 = "x86_64-linux";
    aarch64 = "aarch64-linux";
    arm64 = "aarch64-linux";
  };

  # By what the file gives away: Apple's GPU, or a path that only macOS has.
  isMacos =
    host:
    let
      paths = [
        host.ringrift_path
        host.venv_activate
      ]
      ++ (if host.storage_paths == null then [ ] else builtins.attrValues host.storage_paths);
      foreign =
        path: path != null && (text'.contains "/Users/" path || text'.beginsWith "/Volumes/" path);
    in
    gpu.isApple host.gpu || builtins.any foreign paths;
in
host: {
  inherit (host)
    id
    role
    capabilities
    dials_out_only
    is_voter
    ;
  runsDaemon = runsDaemon host;
  # Whether NixOS can be what runs there: no laptop of Apple's, no container whose system belongs to its provider.
  canRunNixos = runsDaemon host && !(isMacos host) && !host.is_container;
  # The file's `arch`, or what its GPU says.
  system =
    if host.arch != null then
      systems.${host.arch}
        or (throw "hosts.${host.id}.arch: expected x86_64 or aarch64, found ${builtins.toJSON host.arch}")
    else if gpu.isGrace host.gpu then
      "aarch64-linux"
    else
      "x86_64-linux";
  hasNvidia = gpu.isNvidia host.gpu;
  hasVirtualGpu = gpu.isVirtual host.gpu;
  gpuCount = if host.gpu == null then 0 else host.gpu.count;
  budget = budget host;
  # Absolute folders of the file that are this machine's own.
  folders =
    let
      paths = if host.storage_paths == null then { } else host.storage_paths;
      isAbsolute = name: paths.${name} != null && text'.beginsWith "/" paths.${name};
    in
    builtins.listToAttrs (
      map (name: {
        inherit name;
        value = paths.${name};
      }) (builtins.filter isAbsolute (builtins.attrNames paths))
    );
}
