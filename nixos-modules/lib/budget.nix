# What the jobs of one host may use of it together, in systemd's words; null where the file does not say.
let
  max = a: b: if a > b then a else b;
  min = a: b: if a < b then a else b;
in
host:
let
  # What the system and the daemon (MemoryMax=2G) keep: a twentieth, at least 3 GiB; half of a machine that has less
  # than 6 GiB.
  mib = host.memory_gb * 1024;
  reserve = min (mib / 2) (max 3072 (mib / 20));
  memory = mib - reserve;
in
{
  # How many jobs at once.
  slots = host.max_parallel_jobs;
  memoryMax = if host.memory_gb == null then null else "${toString memory}M";
  # Jobs are slowed down before they are killed.
  memoryHigh = if host.memory_gb == null then null else "${toString (memory - memory / 20)}M";
  # Of one processor. The daemon gets its share of a busy machine by its weight (CPUWeight=), not by this.
  cpuQuota = if host.cpus == null then null else "${toString (host.cpus * 100)}%";
}
