//! NixOS and git checkouts.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use super::{Site, program, run};
use crate::{ctl::ran, fleet::nobody};

/// What the flake has is the file `next` of the node's folder.
const NIXOS_REBUILD: &str = r#"here=$(dirname "$0")/..
echo "$* with $NIX_SSHOPTS" >> "$here/rebuilt"
node=${3#*#}
export ROOT="$here/nodes/$node" NODE=$node
[ -e "$ROOT/next" ] || { printf 'building…\nerror: attribute is missing\n       at flake.nix:1\n' >&2; exit 1; }
"$(cat "$ROOT/next")/bin/switch-to-configuration" switch"#;

impl Site {
    /// A system of NixOS in the node's store, with a daemon of this version.
    fn system(&self, node: &str, hash: &str, version: &str) -> PathBuf {
        let system = self.node(node, &format!("nix/store/{hash}-nixos-system-{node}-26.05"));
        fs::create_dir_all(system.join("bin")).unwrap();
        let switch = format!(
            "ln -sfn {} \"$ROOT/run/current-system\"\n[ \"$(cat \"$ROOT/program\")\" = {version} ] || {{ echo {version} > \"$ROOT/program\"; \
             daemon-anew; }}",
            system.display()
        );
        program(&system.join("bin/switch-to-configuration"), &switch);
        system
    }

    fn becomes_nixos(&self, node: &str) {
        fs::write(self.node(node, "etc/NIXOS"), "").unwrap();
        fs::remove_file(self.node(node, "version")).unwrap();
        symlink(self.system(node, "aaaaaaaaaaaa", "0.1.0"), self.node(node, "run/current-system")).unwrap();
        program(&self.path("bin/nixos-rebuild"), NIXOS_REBUILD);
        program(&self.path("bin/nix-env"), "echo \"$NODE $*\" >> \"$ROOT/../../profiles\"");
    }

    /// Only a checkout, and what it is cloned from.
    fn becomes_checkout(&self, node: &str) -> PathBuf {
        fs::remove_file(self.node(node, "version")).unwrap();
        self.gets_checkout(node)
    }

    /// A checkout of the branch `main` beside what the node has.
    fn gets_checkout(&self, node: &str) -> PathBuf {
        let origin = self.path("origin");
        if !origin.exists() {
            fs::create_dir_all(origin.join("ai")).unwrap();
            git(&origin, &["init", "--quiet", "--initial-branch=main"]);
            commit(&origin, "one");
        }
        git(&origin, &["clone", "--quiet", ".", &self.node(node, "home/r").display().to_string()]);
        origin
    }
}

fn git(folder: &Path, args: &[&str]) -> String {
    let folder = folder.display().to_string();
    let as_somebody = ["-C", &folder, "-c", "user.name=a", "-c", "user.email=a@example.org"];
    run("git", &[&as_somebody, args].concat())
}

fn commit(origin: &Path, text: &str) -> String {
    fs::write(origin.join("ai/requirements.txt"), format!("# {text}\n")).unwrap();
    git(origin, &["add", "."]);
    git(origin, &["commit", "--quiet", "-m", text]);
    git(origin, &["rev-parse", "HEAD"])
}

#[tokio::test]
async fn a_machine_of_nixos_gets_what_the_flake_has_for_it_and_goes_back_to_its_system() {
    let site = Site::new(&["alpha", "beta", "gamma"], &["gpu-1"], &[]).await;
    site.becomes_nixos("gpu-1");
    let ran = site.run(&["update", "--node", "gpu-1"]).await;
    assert!(
        ran.out.contains("✗ gpu-1: left alone, it is NixOS, and no --flake was given\n") && ran.code == Some(1),
        "{ran:?}"
    );

    let ran = site.run(&["update", "--flake", ".", "--node", "gpu-1"]).await;
    assert!(ran.out.contains("nixos-rebuild: error: attribute is missing"), "{ran:?}");
    let next = site.system("gpu-1", "bbbbbbbbbbbb", "0.2.0");
    fs::write(site.node("gpu-1", "next"), next.display().to_string()).unwrap();
    let ran = site.run(&["update", "--flake", ".", "--node", "gpu-1"]).await;
    assert!(ran.out.starts_with("✓ gpu-1: 0.1.0 (system aaaaaaaaaa) → 0.2.0 (system bbbbbbbbbb)\n"), "{ran:?}");
    let rebuilt = site.noted("rebuilt");
    assert!(rebuilt[1].starts_with("switch --flake .#gpu-1 --target-host op@root-gpu-1 --sudo with "), "{rebuilt:?}");
    for option in ["-o StrictHostKeyChecking=yes", "-o BatchMode=yes", "-p 22"] {
        assert!(rebuilt[1].contains(option), "{option}: {rebuilt:?}");
    }
    let again = site.run(&["update", "--flake", ".", "--node", "gpu-1"]).await;
    assert!(again.out.starts_with("✓ gpu-1: 0.2.0 (system bbbbbbbbbb), nothing to do\n"), "{again:?}");

    let back = site.run(&["update", "--rollback"]).await;
    assert!(back.out.contains("✓ gpu-1: 0.2.0 (system bbbbbbbbbb) → 0.1.0 (system aaaaaaaaaa)\n"), "{back:?}");
    let profiles = site.noted("profiles");
    assert!(
        profiles[0].starts_with("gpu-1 --profile ") && profiles[0].ends_with("aaaaaaaaaaaa-nixos-system-gpu-1-26.05"),
        "{profiles:?}"
    );
    assert_eq!((back.code, site.has("gpu-1", "program")), (Some(0), "0.1.0".to_owned()));
}

#[tokio::test]
async fn a_system_that_was_collected_is_not_gone_back_to() {
    let site = Site::new(&["alpha", "beta", "gamma"], &["gpu-1"], &[]).await;
    site.becomes_nixos("gpu-1");
    let next = site.system("gpu-1", "bbbbbbbbbbbb", "0.2.0");
    fs::write(site.node("gpu-1", "next"), next.display().to_string()).unwrap();
    assert_eq!(site.run(&["update", "--flake", ".", "--node", "gpu-1"]).await.code, Some(0));
    fs::remove_dir_all(site.node("gpu-1", "nix/store/aaaaaaaaaaaa-nixos-system-gpu-1-26.05")).unwrap();
    let back = site.run(&["update", "--rollback"]).await;
    assert!(back.out.contains("is not there any more") && back.code == Some(1), "{back:?}");
    assert_eq!((site.has("gpu-1", "program"), site.records().len()), ("0.2.0".to_owned(), 1));
}

#[tokio::test]
async fn a_checkout_follows_its_branch_or_goes_where_it_is_told_and_back_to_its_branch() {
    let site = Site::new(&["alpha", "beta", "gamma"], &["gpu-1"], &[]).await;
    let origin = site.becomes_checkout("gpu-1");
    let checkout = site.node("gpu-1", "home/r");
    let one = git(&origin, &["rev-parse", "HEAD"]);
    let two = commit(&origin, "two");
    git(&origin, &["tag", "v2"]);
    let three = commit(&origin, "three");

    let ran = site.run(&["update", "--node", "gpu-1"]).await;
    assert!(ran.out.starts_with(&format!("✓ gpu-1: {} (main) → {} (main)\n", &one[..10], &three[..10])), "{ran:?}");
    assert_eq!(site.noted("restarted").len(), 0, "the daemon is not of the checkout");
    assert_eq!(
        site.noted("pip"),
        ["gpu-1 -m pip freeze", "gpu-1 -m pip install -q -r requirements.txt"],
        "the requirements are installed"
    );
    let back = site.run(&["update", "--rollback"]).await;
    assert_eq!((back.code, git(&checkout, &["rev-parse", "main"])), (Some(0), one.clone()), "{back:?}");
    assert_eq!(site.noted("pip")[2], "gpu-1 -m pip install -q -r requirements.before-update.txt");

    let ran = site.run(&["update", "--way", "git", "--to", "v2", "--node", "gpu-1"]).await;
    assert!(ran.out.starts_with(&format!("✓ gpu-1: {} (main) → {}\n", &one[..10], &two[..10])), "{ran:?}");
    let ran = site.run(&["update", "--to", "v9", "--node", "gpu-1"]).await;
    assert!(ran.out.contains("it has no tag, branch or commit v9") && ran.code == Some(1), "{ran:?}");
    // The one that failed changed nothing: what was before the last that did is gone back to.
    let back = site.run(&["update", "--rollback"]).await;
    assert!(back.out.contains(&format!("✓ gpu-1: {} → {} (main)\n", &two[..10], &one[..10])), "{back:?}");
    assert_eq!(back.code, Some(0));
}

#[tokio::test]
async fn a_checkout_with_changes_of_its_own_is_not_touched() {
    let site = Site::new(&["alpha", "beta", "gamma"], &["gpu-1"], &[]).await;
    let origin = site.becomes_checkout("gpu-1");
    commit(&origin, "two");
    let file = site.node("gpu-1", "home/r/ai/requirements.txt");
    fs::write(&file, "mine\n").unwrap();
    let ran = site.run(&["update", "--node", "gpu-1"]).await;
    assert!(
        ran.out.contains("its checkout has changes of its own: M ai/requirements.txt") && ran.code == Some(1),
        "{ran:?}"
    );
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine\n");
}

#[tokio::test]
async fn a_host_without_a_daemon_is_updated_where_no_daemon_answers() {
    let site = Site::new(&["alpha"], &["old-1"], &[]).await;
    let origin = site.becomes_checkout("old-1");
    commit(&origin, "two");
    let hosts = fs::read_to_string(site.path("hosts.yaml")).unwrap();
    let hosts = hosts.replace("root-old-1, ssh_user: op", "root-old-1, p2p_enabled: false");
    fs::write(site.path("hosts.yaml"), hosts).unwrap();
    fs::write(site.node("old-1", "pid"), "0\n").unwrap();
    let ran = site.run_by(&nobody(), &["update", "--way", "git", "--node", "old-1"]).await;
    assert!(ran.out.ends_with("Summary: 1 updated\n") && ran.code == Some(0), "{ran:?}");
}

#[tokio::test]
async fn each_command_of_the_chapter_does_what_it_says() {
    let operations =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/operations.md")).unwrap();
    let (_, chapter) = operations.split_once("\n## Update the program\n").unwrap();
    let chapter = chapter.split("\n## ").next().unwrap();
    let commands: Vec<&str> = chapter.lines().filter_map(|line| line.strip_prefix("$ ringriftctl ")).collect();
    assert_eq!(commands.len(), 6, "{commands:?}");

    let site = Site::new(&["alpha", "beta", "gamma"], &["gpu-1", "gpu-2"], &[]).await;
    site.package("0.2.0");
    let origin = site.gets_checkout("gpu-1");
    site.gets_checkout("gpu-2");
    let two = commit(&origin, "two");
    git(&origin, &["tag", "v2"]);
    let nixos = Site::new(&["alpha", "beta", "gamma"], &["nix-1"], &[]).await;
    nixos.becomes_nixos("nix-1");
    fs::write(nixos.node("nix-1", "next"), nixos.system("nix-1", "bbbbbbbbbbbb", "0.2.0").display().to_string())
        .unwrap();

    let versions = || ["alpha", "gpu-1", "gpu-2"].map(|node| site.has(node, "version"));
    let commit_of = |node: &str| git(&site.node(node, "home/r"), &["rev-parse", "HEAD"]);
    let one = commit_of("gpu-1");
    for command in commands {
        let words: Vec<&str> = command.split(' ').map(|word| word.trim_matches('\'')).collect();
        let here = if command.contains("--flake") { &nixos } else { &site };
        let done = ran(here.command(&here.fake.url(), &words).current_dir(here.path("")), "").await;
        assert_eq!(done.code, Some(0), "{command}: {done:?}");
        match command {
            _ if command.contains("--dry-run") => assert_eq!(versions(), ["0.1.0"; 3]),
            _ if command.contains("--node gpu-1") => assert_eq!(versions(), ["0.1.0", "0.2.0", "0.1.0"]),
            _ if command.contains("--batch 8") => {
                assert_eq!(versions(), ["0.2.0"; 3]);
                for line in chapter.lines().filter(|line| line.starts_with('✓')) {
                    assert!(done.out.contains(line), "{line}: {done:?}");
                }
            }
            _ if command.contains("--flake") => assert_eq!(nixos.has("nix-1", "program"), "0.2.0"),
            _ if command.contains("--way git") => {
                assert_eq!(["gpu-1", "gpu-2"].map(commit_of), [two.clone(), two.clone()]);
            }
            _ => {
                assert!(command.contains("--rollback"), "{command}");
                assert_eq!(["gpu-1", "gpu-2"].map(commit_of), [one.clone(), one.clone()]);
                assert_eq!(versions(), ["0.1.0", "0.2.0", "0.2.0"], "a node goes back by its last update");
            }
        }
    }
    assert_eq!(site.run(&["update", "--rollback", "--way", "debian", "--node", "gpu-*"]).await.code, Some(0));
    assert_eq!((versions(), site.records().len()), (["0.1.0"; 3].map(str::to_owned), 0));
}
