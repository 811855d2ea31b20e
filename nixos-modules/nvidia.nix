# NVIDIA's driver, without a screen.
{ config, lib, ... }:
let
  cfg = config.services.ringrift-p2p;
  jobs = map (lib.removeSuffix ".service") cfg.units.templates;
in
{
  config = lib.mkIf (cfg.enable && cfg.nvidia.enable) {
    # The list selects the kernel modules; no X server is started by it. Who chose the driver for data centres has them by that,
    # and may not have both.
    services.xserver.videoDrivers = lib.mkIf (!config.hardware.nvidia.datacenter.enable) (
      lib.mkDefault [ "nvidia" ]
    );
    # Where the driver's libraries are on NixOS (NVML, CUDA); whoever loads them by name looks elsewhere.
    systemd.services = lib.genAttrs ([ "ringrift-p2p" ] ++ jobs) (_: {
      environment.LD_LIBRARY_PATH = "/run/opengl-driver/lib";
    });
    hardware.graphics.enable = lib.mkDefault true;
    hardware.nvidia = {
      open = lib.mkDefault cfg.nvidia.open;
      # An idle GPU would be torn down, and the next job wait for seconds.
      nvidiaPersistenced = lib.mkDefault true;
      nvidiaSettings = lib.mkDefault false;
    };
  };
}
