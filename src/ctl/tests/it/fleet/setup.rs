//! `ssh setup` and `ssh check`. Keys are made by the real ssh-keygen.

use std::{fs, os::unix::fs::PermissionsExt as _};

use super::{Place, nobody};

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJfGH0NnPpHzdTRDYwWbxSnDSnLPQBnOZ9LpYkxYlUJk";

fn hosts() -> String {
    format!(
        "hosts:\n  gpu-1: {{ssh_host: here, ssh_port: 2222, ssh_user: op, status: ready, ssh_host_key: {KEY}}}\n  \
         gpu-2: {{ssh_host: denied, ssh_key: ~/.ssh/id_cluster, status: ready}}\n  gone: {{ssh_host: here, status: retired}}\n"
    )
}

#[tokio::test]
async fn setup_makes_the_key_puts_it_there_and_says_where_it_could_not() {
    let place = Place::new(&hosts());
    let (api, ssh) = (nobody(), |name: &str| place.path(".ssh").join(name));
    let dry = place.run(&api, &["ssh", "setup", "--dry-run"]).await;
    assert_eq!(
        dry.out,
        "would make the key DIR/.ssh/id_cluster\nwould record the host key of here port 2222 out of the hosts file\n\
         would trust the host key that gpu-2 shows at denied port 22\nwould put the public key on gpu-1\n\
         would put the public key on gpu-2\nwould write DIR/.ssh/ringrift_config, and include it in config\n"
    );
    assert!(!place.path(".ssh").exists());
    let asked = place.run(&api, &["ssh", "setup"]).await;
    assert_eq!(asked.code, Some(1));
    assert!(asked.err.contains("nothing was done") && !place.path(".ssh").exists(), "{asked:?}");

    let ran = place.run(&api, &["ssh", "setup", "--yes"]).await;
    insta::assert_snapshot!("ssh_setup", ran.out);
    assert_eq!(ran.code, Some(3));
    let public = fs::read_to_string(ssh("id_cluster.pub")).unwrap();
    assert!(public.trim().ends_with("ringrift-cluster"));
    assert_eq!(fs::metadata(ssh("id_cluster")).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_to_string(place.path("node/.ssh/authorized_keys")).unwrap(), public);
    assert_eq!(fs::read_to_string(ssh("known_hosts")).unwrap(), format!("[here]:2222 {KEY}\n"));
    assert_eq!(fs::read_to_string(ssh("config")).unwrap(), "Include ringrift_config\n\n");
    let config = fs::read_to_string(ssh("ringrift_config")).unwrap();
    assert!(config.contains("Host gpu-1\n    HostName here\n    Port 2222\n    User op\n"), "{config}");

    // Once more: nothing is left to be done.
    let again = place.run(&api, &["ssh", "setup", "--yes", "--node", "gpu-1"]).await;
    assert!(again.out.starts_with("✓ gpu-1: here port 2222: ok\n"), "{again:?}");
    assert_eq!(again.code, Some(0));
    assert_eq!(fs::read_to_string(place.path("node/.ssh/authorized_keys")).unwrap(), public);
    assert_eq!(fs::read_to_string(ssh("ringrift_config")).unwrap(), config);
}

#[tokio::test]
async fn check_finds_keys_that_others_can_read() {
    let place = Place::new(&hosts());
    fs::create_dir(place.path(".ssh")).unwrap();
    fs::write(place.path(".ssh/id_cluster"), "").unwrap();
    for (name, mode) in [(".ssh", 0o700), (".ssh/id_cluster", 0o644)] {
        fs::set_permissions(place.path(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    let ran = place.run(&nobody(), &["ssh", "check", "--node", "gpu-2"]).await;
    assert!(ran.out.starts_with("✗ DIR/.ssh/id_cluster has mode 644: `chmod 600 DIR/.ssh/id_cluster`\n"), "{ran:?}");
    assert_eq!(ran.code, Some(1));
}
