{
  config,
  lib,
  options,
  pkgs,
  ...
}:
let
  cfg = config.services.ringrift-p2p;
  functions = import ./lib;
  format = pkgs.formats.yaml { };
  inherit (lib) mkOption types literalExpression;

  # An image holds no secret, and nobody has put a file onto it before it boots for the first time. Every builder of images
  # declares this option, and nobody else.
  unlessImage = file: if (options.image or { }) ? filePath then null else file;

  openTo =
    what: default:
    mkOption {
      type = types.enum [
        "everyone"
        "cluster"
        "nobody"
      ];
      inherit default;
      description = ''
        Who may connect to ${what}: `everyone`, the addresses of the `cluster` and those of
        {option}`services.ringrift-p2p.firewall.trustedSources`, or `nobody`. Only with
        {option}`services.ringrift-p2p.openFirewall`.
      '';
    };
in
{
  options.services.ringrift-p2p = {
    enable = lib.mkEnableOption "this machine as a node of a RingRift cluster";

    package = lib.mkPackageOption pkgs "ringrift-p2p" { };

    hostsFile = mkOption {
      type = types.path;
      example = literalExpression "./distributed_hosts.yaml";
      description = ''
        The file that describes the cluster, the same for all of its nodes. It is read when the configuration is evaluated:
        what the node needs follows from its own entry and from those of the others. It ends up in the Nix store and must hold
        no secret.
      '';
    };

    nodeName = mkOption {
      type = types.str;
      default = config.networking.hostName;
      defaultText = literalExpression "config.networking.hostName";
      example = "gpu-3";
      description = "This machine's name under `hosts:` in {option}`services.ringrift-p2p.hostsFile`.";
    };

    settings = mkOption {
      type = types.submodule {
        freeformType = format.type;
        options = {
          http_port = mkOption {
            type = types.port;
            default = 8770;
            description = "Port of the HTTP API.";
          };
          link_port = mkOption {
            type = types.port;
            default = 8765;
            description = "Port of the links between nodes.";
          };
          models_port = mkOption {
            type = types.either types.port (types.enum [ "none" ]);
            default = 8767;
            description = "Port of the model server, or `none`.";
          };
          health_port = mkOption {
            type = types.either types.port (types.enum [ "none" ]);
            default = 8080;
            description = "Port of `/health` and `/ready` alone, or `none`.";
          };
        };
      };
      default = { };
      example = {
        heartbeat = "200ms";
        models_keep = 5;
      };
      description = ''
        Settings of the daemon: `settings.yaml`. `ringrift-p2p run --help` describes each; here it has its flag's name with
        underscores. It ends up in the Nix store and must hold no secret.
      '';
    };

    jobClasses = mkOption {
      type = types.attrsOf format.type;
      default = { };
      example = {
        selfplay.limits.memory_max = "12G";
        training.enabled = false;
      };
      description = ''
        What jobs run on this node, by class: changes to the classes that are built in, and classes of your own. A request over
        the network names a class and gives values for its parameters, and nothing else.
      '';
    };

    jobPackages = mkOption {
      type = types.listOf types.package;
      default = [ ];
      example = literalExpression "[ (pkgs.python3.withPackages (p: [ p.torch ])) ]";
      description = "Packages whose programs jobs find in their `PATH`.";
    };

    tokenFile = mkOption {
      type = types.nullOr types.path;
      default = unlessImage "/etc/ringrift-p2p/token";
      defaultText = literalExpression ''if options.image ? filePath then null else "/etc/ringrift-p2p/token"'';
      example = "/run/secrets/ringrift-token";
      description = ''
        File with the cluster's token, outside the Nix store. systemd reads it as root and hands it to the daemon as a
        credential. An empty file counts as none. With `null` the token is the system credential `ringrift-p2p.token`, which a
        virtual machine gets from its hypervisor and any machine from {file}`/etc/credstore`. That is the default in the images
        of {option}`system.build.images`.
      '';
    };

    oldTokenFile = mkOption {
      type = types.nullOr types.path;
      default = unlessImage "/etc/ringrift-p2p/token-old";
      defaultText = literalExpression ''if options.image ? filePath then null else "/etc/ringrift-p2p/token-old"'';
      description = ''
        File with the token before, accepted as well while the cluster changes over. `null` is the system credential
        `ringrift-p2p.token-old`.
      '';
    };

    openFirewall = mkOption {
      type = types.bool;
      default = false;
      description = ''
        Whether to open the ports of the links, the models and the API (8765, 8767 and 8770) to the addresses of the cluster,
        and to nobody else. SSH and the health endpoint follow {option}`services.ringrift-p2p.firewall.ssh` and
        {option}`services.ringrift-p2p.firewall.health`.
      '';
    };

    firewall = {
      trustedSources = mkOption {
        type = types.listOf types.str;
        default = [ ];
        example = [
          "203.0.113.7"
          "2001:db8::/48"
        ];
        description = ''
          Addresses and networks besides those of the hosts file that belong to the cluster: the outer address of a network
          whose nodes are translated, an operator's machine, the monitoring.
        '';
      };
      ssh = openTo "SSH" "everyone";
      health = openTo "the health endpoint" "cluster";
    };

    limits = mkOption {
      type = types.attrsOf (
        types.oneOf [
          types.str
          types.int
          types.bool
        ]
      );
      default = { };
      example = {
        MemoryMax = "200G";
        CPUWeight = 50;
      };
      description = ''
        What all jobs together may use: settings of {file}`ringrift.slice`, see {manpage}`systemd.resource-control(5)`. They
        take the place of those that follow from `memory_gb` and `cpus` of the node's entry.
      '';
    };

    nvidia = {
      enable = mkOption {
        type = types.bool;
        default = cfg.node != null && cfg.node.hasNvidia;
        defaultText = literalExpression "whether the node's `gpu` names one of NVIDIA's";
        description = ''
          Whether to install NVIDIA's driver, and to keep it loaded while nothing runs. A virtual GPU needs the driver of
          whoever rents it out, and is not counted. The driver is unfree: `nixpkgs.config.allowUnfree = true`.
        '';
      };
      open = mkOption {
        type = types.bool;
        default = true;
        description = "Whether to use the open kernel modules, which know every GPU since Turing (RTX 20, T4).";
      };
    };

    authorizedKeys = mkOption {
      type = types.listOf types.singleLineStr;
      default = [ ];
      example = [ "ssh-ed25519 AAAAC3Nza… operator" ];
      description = "Public keys of the operators, for the entry's `ssh_user`, or for root.";
    };

    checkConfig = mkOption {
      type = types.bool;
      default = pkgs.stdenv.buildPlatform.canExecute pkgs.stdenv.hostPlatform;
      defaultText = literalExpression "pkgs.stdenv.buildPlatform.canExecute pkgs.stdenv.hostPlatform";
      description = ''
        Whether `ringrift-p2p check-config` must accept hosts file and settings when the system is built. Settings that name
        files of the running machine, such as `tls_cert`, cannot be checked there.
      '';
    };

    cluster = mkOption {
      type = types.raw;
      internal = true;
      default = functions.readHosts cfg.hostsFile;
      description = "What the hosts file says. Set only where the file is not there before it is built.";
    };

    node = mkOption {
      type = types.raw;
      internal = true;
      readOnly = true;
      default =
        let
          host = cfg.cluster.byName.${cfg.nodeName} or null;
        in
        if host == null then null else functions.node host // { inherit host; };
      description = "What follows from the node's own entry; null if it has none.";
    };

    units = mkOption {
      type = types.raw;
      internal = true;
      default = functions.units ../systemd;
      description = "The units and accounts that the package installs.";
    };
  };
}
