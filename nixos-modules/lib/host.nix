# One host of a hosts file, without what only the whole file can say.
let
  inherit (import ./place.nix) below fail;
  text' = import ./text.nix;
  yaml = import ./yaml;
  fields = import ./fields.nix;
  address = import ./address.nix;
  gpu = import ./gpu.nix;
  role = import ./role.nix;

  # SSH's own port (RFC 4253, section 4.1).
  sshPort = 22;
  # What a single number under `p2p_public_port` is the outside port of.
  singlePort = "8770";

  idPattern = "[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?";

  orElse = fallback: value: if value == null then fallback else value;
  positive = n: if n == null || n > 0 then n else null;

  knownKeys = [
    "ssh_host"
    "ssh_user"
    "ssh_port"
    "ssh_key"
    "tailscale_ip"
    "ringrift_path"
    "venv_activate"
    "status"
    "role"
    "cpus"
    "memory_gb"
    "gpu"
    "gpu_vram_gb"
    "max_parallel_jobs"
    "p2p_enabled"
    "selfplay_enabled"
    "training_enabled"
    "nat_blocked"
    "force_relay_mode"
    "is_container"
    "is_ephemeral"
    "needs_userspace_tailscale"
    "socks5_port"
    "p2p_public_port"
    "region"
    "arch"
    "ssh_host_key"
    "note"
    "storage_paths"
  ];
  storageKeys = [
    "games"
    "models"
    "training_data"
    "checkpoints"
    "logs"
    "sync_incoming"
  ];

  publicPorts =
    f:
    let
      entry = f.entry "p2p_public_port";
      what = "a port 1..65535, or a map of ports such as {8770: 41234, 8765: 41235}";
      single = fields.portOf entry.value;
      pair =
        line:
        let
          inside = fields.portOf {
            kind = "scalar";
            text = line.key;
          };
          outside = fields.portOf line.value;
        in
        if inside == null || outside == null then
          fail (below (below f.at "p2p_public_port") line.key) line.line
            "expected two ports 1..65535, inside: outside, found ${yaml.describe line.value}"
        else
          {
            name = toString inside;
            value = outside;
          };
    in
    if entry == null then
      { }
    else if entry.value.kind == "map" then
      builtins.listToAttrs (map pair entry.value.entries)
    else if single == null then
      fields.wrong f.at entry what
    else
      { ${singlePort} = single; };

in
# `entry` stands under `hosts:`, which is at `at`.
at: entry:
let
  id = entry.key;
  isEmpty = entry.value.kind == "scalar" && entry.value.value == null;
  f = fields.of (below at id) (if isEmpty then { entries = [ ]; } else entry.value);
  userAndHost = builtins.match "([^@]*)@(.*)" (orElse "" (f.text "ssh_host"));
  tailscale = f.text "tailscale_ip";
  storage = f.map' "storage_paths";
  folders = fields.of (below f.at "storage_paths") storage;
  rest = f.rest knownKeys;
  providerIds = builtins.filter (
    key: builtins.match ".*_id" key != null && f.isScalar key && rest.${key} != null
  ) (builtins.attrNames rest);
  roleName = f.text "role";
  switches = {
    role = roleName;
    selfplay = f.switch "selfplay_enabled";
    training = f.switch "training_enabled";
  };
  natBlocked = orElse false (f.switch "nat_blocked");
  forceRelay = orElse false (f.switch "force_relay_mode");
in
if builtins.match idPattern id == null then
  fail (below at id) entry.line
    "node id ${text'.quoted id} is not valid: 1 to 63 letters, digits, '.', '_' or '-', beginning and ending with a letter or digit"
else if !isEmpty && entry.value.kind != "map" then
  fields.wrong at entry "a map with the host's settings"
else
  {
    inherit id;
    line = entry.line;
    ssh_host = if userAndHost == null then f.text "ssh_host" else builtins.elemAt userAndHost 1;
    ssh_user =
      let
        user = f.text "ssh_user";
      in
      if user == null && userAndHost != null then builtins.head userAndHost else user;
    ssh_port = orElse sshPort (f.port "ssh_port");
    ssh_key = f.text "ssh_key";
    tailscale_ip = if tailscale == null || address.isPlaceholder tailscale then null else tailscale;
    ringrift_path = f.text "ringrift_path";
    venv_activate = f.text "venv_activate";
    status = orElse "ready" (f.text "status");
    role = roleName;
    cpus = f.knownCount "cpus";
    memory_gb = positive (f.count "memory_gb");
    gpu = gpu.parse (f.text "gpu");
    gpu_vram_gb = positive (f.count "gpu_vram_gb");
    max_parallel_jobs = f.knownCount "max_parallel_jobs";
    p2p_enabled = orElse true (f.switch "p2p_enabled");
    selfplay_enabled = switches.selfplay;
    training_enabled = switches.training;
    nat_blocked = natBlocked;
    force_relay_mode = forceRelay;
    is_container = orElse false (f.switch "is_container");
    is_ephemeral = orElse false (f.switch "is_ephemeral");
    needs_userspace_tailscale = orElse false (f.switch "needs_userspace_tailscale");
    socks5_port = f.port "socks5_port";
    p2p_public_port = publicPorts f;
    region = f.text "region";
    arch = f.text "arch";
    ssh_host_key = f.text "ssh_host_key";
    note = f.words "note";
    storage_paths =
      if storage == null then
        null
      else
        builtins.listToAttrs (
          map (key: {
            name = key;
            value = folders.text key;
          }) storageKeys
        );
    provider_ids = builtins.listToAttrs (
      map (key: {
        name = key;
        value = f.raw key;
      }) providerIds
    );
    extra = removeAttrs rest providerIds;
    capabilities = role.capabilities switches;
    dials_out_only = natBlocked || forceRelay;
  }
