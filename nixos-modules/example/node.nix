# What the example's machines have in common besides being nodes. Disks are those of the images; a machine that was installed
# by hand brings its own hardware-configuration.nix instead.
{ lib, options, ... }:
{
  fileSystems."/" = {
    device = lib.mkDefault "/dev/disk/by-label/nixos";
    fsType = lib.mkDefault "ext4";
  };
  # The builder of an image knows itself what boots the image.
  boot.loader.systemd-boot.enable = lib.mkIf (!(options.image ? filePath)) (lib.mkDefault true);

  # NVIDIA's driver.
  nixpkgs.config.allowUnfree = true;

  services.ringrift-p2p.authorizedKeys = [
    # The operator's own; this one fits no private key.
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA operator"
  ];

  system.stateVersion = "26.05";
}
