# A virtual GPU, hosts whose packets nobody can know.
{
  services.ringrift-p2p = {
    enable = true;
    hostsFile = ../../clusters/quirks.yaml;
    nodeName = "delta";
    openFirewall = true;
  };
}
