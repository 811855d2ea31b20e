# The daemon and its sockets. The units are the package's; here is only what differs on NixOS.
{ config, lib, ... }:
let
  cfg = config.services.ringrift-p2p;
  inherit (cfg) settings;

  # systemd holds the ports open, so a socket unit must say the same as the settings.
  sockets = {
    ringrift-p2p-api = {
      port = settings.http_port;
      default = 8770;
    };
    ringrift-p2p-link = {
      port = settings.link_port;
      default = 8765;
    };
    ringrift-p2p-models = {
      port = settings.models_port;
      default = 8767;
    };
    ringrift-p2p-health = {
      port = settings.health_port;
      default = 8080;
    };
  };
  open = lib.filterAttrs (_: socket: socket.port != "none") sockets;
  closed = lib.filterAttrs (_: socket: socket.port == "none") sockets;

  credential = id: file: "${id}:${if file == null then "ringrift-p2p.${id}" else file}";
in
{
  config = lib.mkIf cfg.enable {
    environment.systemPackages = [ cfg.package ];
    systemd.packages = [ cfg.package ];
    systemd.tmpfiles.packages = [ cfg.package ];
    # Its rule is in the package: the daemon may start its own jobs, and nothing else.
    security.polkit.enable = true;

    systemd.services.ringrift-p2p = {
      # The daemon dials out by itself and must not wait for a first connection.
      wantedBy = [ "multi-user.target" ];
      # A switch restarts it in one step, while its sockets stay open. Otherwise it would stop the sockets' service and leave
      # it to the next connection to start it.
      stopIfChanged = false;
      notSocketActivated = true;
      # The empty one forgets the package's.
      serviceConfig.LoadCredential = [
        ""
        (credential "token" cfg.tokenFile)
        (credential "token-old" cfg.oldTokenFile)
      ];
    };

    systemd.sockets =
      lib.mapAttrs (
        _: socket:
        {
          wantedBy = [ "sockets.target" ];
        }
        // lib.optionalAttrs (socket.port != socket.default) {
          listenStreams = [
            ""
            (toString socket.port)
          ];
        }
      ) open
      // lib.mapAttrs (_: _: { enable = false; }) closed;
  };
}
