//! Models for a host that runs no daemon, by the real rsync and an ssh that stays on this machine.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use ringrift_api::DistributionPhase;
use ringrift_blob::Digest;
use tempfile::TempDir;

use crate::{
    ctl::{Ran, command, folder, ran},
    fake::{Answer, Fake},
    models::{entry, list},
};

const NAME: &str = "canonical_hex8_2p.pth";
const BYTES: &[u8] = b"PK\x03\x04 the weights";

/// An ssh that refuses the tailnet's address and runs what it is told here; `spoil` changes what has arrived before it is looked at.
const SSH: &str = r#"#!/bin/sh
while [ $# -gt 0 ]; do
  case $1 in
    -o | -p | -i | -l) shift 2 ;;
    --) shift ;;
    -*) shift ;;
    *) break ;;
  esac
done
destination=$1
shift
echo "$destination $*" >> "$LOG"
case $destination in *100.64.0.9*) echo 'Connection timed out' >&2; exit 255 ;; esac
case "$*" in *sha256sum*) [ -z "$SPOIL" ] || printf x >> "$SPOIL" ;; esac
exec sh -c "$*"
"#;

struct Place {
    dir: TempDir,
    fake: Fake,
}

impl Place {
    /// One current model, a copy of it here, and a host without a daemon.
    async fn new() -> Self {
        let dir = folder();
        let path = |name: &str| dir.path().join(name);
        for name in ["here", "bin", "there o'clock"] {
            fs::create_dir(path(name)).unwrap();
        }
        fs::write(path("here").join(NAME), BYTES).unwrap();
        fs::write(path("bin/ssh"), SSH).unwrap();
        fs::set_permissions(path("bin/ssh"), fs::Permissions::from_mode(0o755)).unwrap();
        let hosts = format!(
            "hosts:\n  old-box:\n    ssh_host: 192.0.2.7\n    ssh_port: 2222\n    ssh_user: op\n    tailscale_ip: 100.64.0.9\n    \
             status: ready\n    p2p_enabled: false\n    role: selfplay\n    ringrift_path: {:?}\n  \
             gpu-1:\n    ssh_host: 192.0.2.8\n    status: ready\n    role: selfplay\n",
            path("there o'clock").display().to_string()
        );
        fs::write(path("hosts.yaml"), hosts).unwrap();
        let model = entry("hex8_2p", Digest::of(BYTES), DistributionPhase::Complete);
        let fake = Fake::start(move |_| Answer::json(&list(vec![model.clone()]))).await;
        Self { dir, fake }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn there(&self) -> PathBuf {
        self.path("there o'clock/models")
    }

    async fn copy(&self, host: &str, spoil: Option<&Path>) -> Ran {
        let path = format!("{}:/usr/bin:/bin", self.path("bin").display());
        let mut command = command();
        command
            .env("PATH", path)
            .env("LOG", self.path("log"))
            .env("SPOIL", spoil.map(Path::to_path_buf).unwrap_or_default())
            .args(["--api", &self.fake.url(), "--hosts"])
            .arg(self.path("hosts.yaml"))
            .args(["models", "distribute", "--all-canonical", "--host", host, "--over-ssh", "--from"])
            .arg(self.path("here"));
        ran(&mut command, "").await
    }
}

#[tokio::test]
async fn the_model_gets_there_with_its_sidecar_and_link_by_the_endpoint_that_answers() {
    let place = Place::new().await;
    let ran = place.copy("old-box", None).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(fs::read(place.there().join(NAME)).unwrap(), BYTES);
    let sidecar = fs::read_to_string(place.there().join(format!("{NAME}.sha256"))).unwrap();
    assert_eq!(sidecar, format!("{}  {NAME}\n", Digest::of(BYTES)));
    assert_eq!(fs::read_link(place.there().join("ringrift_best_hex8_2p.pth")).unwrap(), Path::new(NAME));
    assert_eq!(fs::read_dir(place.there()).unwrap().count(), 3, "no temporary file stays");
    let log = fs::read_to_string(place.path("log")).unwrap();
    assert!(log.starts_with("op@100.64.0.9 ") && log.contains("op@192.0.2.7 "), "{log}");
}

#[tokio::test]
async fn other_bytes_never_get_the_name() {
    let place = Place::new().await;
    fs::create_dir(place.there()).unwrap();
    fs::write(place.there().join(NAME), "the version before").unwrap();
    let arriving = place.there().join(format!(".{NAME}.ringrift-new"));
    let ran = place.copy("old-box", Some(&arriving)).await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.out.contains("other bytes arrived"), "{ran:?}");
    assert_eq!(fs::read_to_string(place.there().join(NAME)).unwrap(), "the version before");
    assert!(!arriving.exists());

    fs::write(place.path("here").join(NAME), "not current").unwrap();
    let ran = place.copy("old-box", None).await;
    assert_eq!(ran.code, Some(1));
    assert!(ran.out.contains("is current: run this on a node that has it"), "{ran:?}");
}

#[tokio::test]
async fn a_host_with_a_daemon_is_refused_and_one_that_is_down_is_named() {
    let place = Place::new().await;
    let ran = place.copy("gpu-1", None).await;
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("gpu-1 runs the daemon"), "{ran:?}");
    fs::write(place.path("bin/ssh"), "#!/bin/sh\necho 'No route to host' >&2\nexit 255\n").unwrap();
    let ran = place.copy("old-box", None).await;
    assert_eq!(ran.code, Some(3), "{ran:?}");
    for part in ["op@100.64.0.9 port 22", "op@192.0.2.7 port 2222", "No route to host"] {
        assert!(ran.err.contains(part), "{part}: {ran:?}");
    }
}
