//! `health`, asked over SSH. The node is this machine with programs of its own in its path.

use std::{fs, os::unix::fs::PermissionsExt as _};

use super::{Place, nobody};

const HOSTS: &str = "\
hosts:
  gpu-1: {ssh_host: here, status: ready, role: mixed, gpu: GH200 96GB, ringrift_path: ~/r, venv_activate: 'source venv/activate', nat_blocked: true}
  gpu-2: {ssh_host: timeout, status: ready, role: gpu_selfplay}
  old: {ssh_host: here, status: retired}
";

/// What the node has: PyTorch once `requirements.txt` is installed, one GPU, a clock that nobody keeps, and a firewall.
const PROGRAMS: [(&str, &str); 6] = [
    ("nvidia-smi", "echo '535.104.05, NVIDIA GH200 480GB, 97871, 31'"),
    (
        "df",
        "printf 'Filesystem 1024-blocks Used Available Capacity Mounted on\\n/dev/x 900000000 1 440000000 1%% /\\n'",
    ),
    (
        "python3",
        "case \"$*\" in\n  *freeze*) echo numpy==1.0 ;;\n  *install*) touch ~/installed ;;\n  *) [ -e ~/installed ] || { echo \"ModuleNotFoundError: \
         No module named 'torch'\"; exit 1; }; printf 'torch=2.3.0\\ntorch_cuda=12.1\\ngpus=1\\n' ;;\nesac",
    ),
    ("timedatectl", "case $1 in show) echo yes ;; *) echo \"$*\" >> ~/clock ;; esac"),
    ("ufw", "echo 'Status: active'"),
    ("sudo", "shift; exec \"$@\""),
];

fn place() -> Place {
    let place = Place::new(HOSTS);
    let node = place.path("node");
    fs::create_dir_all(node.join("bin")).unwrap();
    fs::create_dir_all(node.join("r/venv")).unwrap();
    // The fragment is one of bash, from the home directory.
    fs::create_dir_all(node.join("venv")).unwrap();
    fs::write(node.join("venv/activate"), "ACTIVE=yes\n").unwrap();
    for (name, script) in PROGRAMS {
        let path = node.join("bin").join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let ssh = fs::read_to_string(place.path("ssh")).unwrap();
    let ssh =
        ssh.replace("HOME=$here/node exec", "cd \"$here/node\" && HOME=$here/node PATH=$here/node/bin:$PATH exec");
    fs::write(place.path("ssh"), ssh).unwrap();
    place
}

#[tokio::test]
async fn the_runbooks_lines_are_printed_and_what_can_be_undone_is_repaired() {
    let place = place();
    let api = nobody();
    let ran = place.run(&api, &["health"]).await;
    assert_eq!(ran.out.lines().next(), Some("❌ gpu-1: reachable, pytorch_missing, disk: 450GB free"), "{ran:?}");
    for part in [
        "❌ gpu-2: unreachable (SSH timeout)\n",
        "PyTorch cannot be loaded: ModuleNotFoundError: No module named 'torch' → `source venv/activate && pip install -r",
        "\n0 well, 0 with warnings, 2 not well\n",
    ] {
        assert!(ran.out.contains(part), "{part}: {ran:?}");
    }
    assert_eq!(ran.code, Some(1));

    let dry = place.run(&api, &["health", "--fix", "--dry-run", "--nodes", "gpu-1"]).await;
    assert!(
        dry.out.contains("would do: pip install -r requirements.txt in its Python environment (undone by: pip"),
        "{dry:?}"
    );
    assert!(!place.path("node/installed").exists());
    let ran = place.run(&api, &["health", "--fix", "--nodes", "gpu-1"]).await;
    assert!(
        ran.out.starts_with(
            "✅ gpu-1: reachable, pytorch_ok, cuda_available (1 GPU), disk: 450GB free\n    did: pip install"
        ),
        "{ran:?}"
    );
    assert_eq!(ran.code, Some(0));
    let before = fs::read_to_string(place.path("node/r/requirements.before-ringriftctl.txt")).unwrap();
    assert_eq!(before, "numpy==1.0\n");

    let ran = place.run(&api, &["health", "--nodes", "gpu-1", "--low-disk-gb", "500"]).await;
    assert!(
        ran.out.starts_with("⚠️ gpu-1: reachable, pytorch_ok, cuda_available (1 GPU), disk: 450GB free (low!)\n"),
        "{ran:?}"
    );
    assert_eq!(ran.code, Some(0), "a warning is no failure");
    let json = place.run(&api, &["--json", "health", "--nodes", "gpu-*"]).await;
    assert_eq!((json.code, &json.json()["nodes"][0]["cuda"]), (Some(3), &"12.1".into()), "{json:?}");
    assert_eq!(json.json()["nodes"][1]["reason"], "timeout");
    assert!(json.json()["nodes"][0]["clock_skew_seconds"].as_f64().unwrap().abs() < 30.0);
}

#[tokio::test]
async fn a_clock_that_is_wrong_is_told_and_set_right() {
    let place = place();
    fs::write(place.path("node/installed"), "").unwrap();
    fs::write(place.path("node/bin/date"), "#!/bin/sh\necho $(($(/bin/date +%s) + 90)).5\n").unwrap();
    fs::set_permissions(place.path("node/bin/date"), fs::Permissions::from_mode(0o755)).unwrap();
    let ran = place.run(&nobody(), &["health", "--nodes", "gpu-1", "--fix"]).await;
    assert!(ran.out.contains("⚠️ gpu-1: ") && ran.out.contains(", clock 9"), "{ran:?}");
    assert!(!place.path("node/clock").exists(), "something keeps it already, and is not touched");
    let clock = fs::read_to_string(place.path("node/bin/timedatectl")).unwrap().replace("echo yes", "echo no");
    fs::write(place.path("node/bin/timedatectl"), clock).unwrap();
    let ran = place.run(&nobody(), &["health", "--nodes", "gpu-1", "--fix"]).await;
    assert!(ran.out.contains("did: timedatectl set-ntp true (undone by: timedatectl set-ntp false)"), "{ran:?}");
    assert_eq!(fs::read_to_string(place.path("node/clock")).unwrap(), "set-ntp true\n");
}
