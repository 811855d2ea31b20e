{
  lib,
  stdenv,
  rustPlatform,
  versionCheckHook,
}:
let
  manifest = (lib.importTOML ../../Cargo.toml).workspace.package;
  inherit (lib) fileset;
  # The completions and manual pages are made by the programs themselves.
  canRun = stdenv.buildPlatform.canExecute stdenv.hostPlatform;
in
rustPlatform.buildRustPackage {
  pname = "ringrift-p2p";
  inherit (manifest) version;

  src = fileset.toSource {
    root = ../../.;
    fileset = fileset.unions [
      ../../Cargo.toml
      ../../Cargo.lock
      ../../LICENSE-APACHE
      ../../LICENSE-MIT
      ../../clippy.toml
      ../../nixos-modules/example/distributed_hosts.yaml
      ../../nixos-modules/lib/reloaded.txt
      ../install
      ../../rustfmt.toml
      ../../src
      ../../systemd
    ];
  };

  cargoLock.lockFile = ../../Cargo.lock;

  # The crates that decide without touching a socket. The other tests want curl, nginx and a network to themselves; the
  # flake's checks run the program on whole machines.
  cargoTestFlags = [
    "--package=ringrift-config"
    "--package=ringrift-state"
  ];

  # The same files as in every other package of it, at the paths of such a distribution and with these paths inside.
  postInstall = ''
    mv "$out/bin" programs
    bash packaging/install ${lib.optionalString (!canRun) "--not-generated"} "$out" programs
    # For older distributions.
    rm -rf "$out"/share/ringrift-p2p/before-*
    find "$out/lib" "$out/share" -type f -not -name 'ringrift-launch' -exec \
      sed -i -e "s|/usr/bin/ringrift|$out/bin/ringrift|g" -e "s|/usr/lib/ringrift|$out/lib/ringrift|g" {} +
    if grep -rnE '^Exec.*/usr/' "$out/lib/systemd"; then
      echo "a unit starts a program that is not part of this package" >&2
      exit 1
    fi
  '';

  # It starts, and is what it says.
  nativeInstallCheckInputs = [ versionCheckHook ];
  doInstallCheck = true;

  meta = {
    description = "Control plane of a self-play training cluster";
    homepage = manifest.repository;
    license = with lib.licenses; [
      mit
      asl20
    ];
    mainProgram = "ringriftctl";
    platforms = lib.platforms.linux;
  };
}
