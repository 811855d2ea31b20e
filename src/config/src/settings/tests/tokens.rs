use std::os::unix::fs::PermissionsExt as _;

use super::{Machine, OTHER_TOKEN, TOKEN, effective, text};

fn token(machine: &Machine) -> Option<String> {
    machine.settings().tokens.value.map(|tokens| tokens.primary.expose().to_owned())
}

/// Makes a file private, as a token's should be.
fn private(machine: &Machine, name: &str) -> String {
    let path = machine.path(name);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    text(&path)
}

#[test]
fn the_first_source_of_a_token_counts() {
    let word = |n: u8| format!("token-number-{n}-................................");
    let machine = (1..=4).fold(Machine::new(), |machine, n| machine.file(&format!("t{n}"), &(word(n) + "\n")));
    std::fs::create_dir(machine.path("credentials")).unwrap();
    let machine = machine.file("credentials/token", &word(5));
    assert_eq!(token(&machine), None);

    let credentials = text(&machine.path("credentials"));
    let machine = machine.env("CREDENTIALS_DIRECTORY", credentials);
    assert_eq!(token(&machine), Some(word(5)));
    assert_eq!(effective(&machine, "token"), ("set".to_owned(), "systemd credential credentials/token".to_owned()));
    let machine = machine.yaml("token_file: t4\n");
    assert_eq!(token(&machine), Some(word(4)));
    let path = private(&machine, "t3");
    let machine = machine.env("RINGRIFT_CLUSTER_AUTH_TOKEN_FILE", path);
    assert_eq!(token(&machine), Some(word(3)));
    let machine = machine.env("RINGRIFT_CLUSTER_AUTH_TOKEN", word(2));
    assert_eq!(token(&machine), Some(word(2)));
    let path = private(&machine, "t1");
    let machine = machine.flag("--token-file", path);
    assert_eq!(token(&machine), Some(word(1)));
    assert_eq!(effective(&machine, "token"), ("set".to_owned(), "--token-file".to_owned()));
}

#[test]
fn an_old_token_is_accepted_beside_the_new_one() {
    let machine = Machine::new().with_token().file("old", OTHER_TOKEN);
    let path = text(&machine.path("old"));
    for machine in [
        Machine::new().with_token().env("RINGRIFT_CLUSTER_AUTH_TOKEN_OLD", OTHER_TOKEN),
        Machine::new().with_token().env("RINGRIFT_CLUSTER_AUTH_TOKEN_OLD_FILE", &path),
        Machine::new().with_token().yaml(&format!("old_token_file: {path}\n")),
        Machine::new().with_token().flag("--old-token-file", &path),
        Machine::new().with_token().file("token-old", OTHER_TOKEN).credentials_here(),
    ] {
        let tokens = machine.settings().tokens.value.unwrap();
        assert!(tokens.accepts(TOKEN) && tokens.accepts(OTHER_TOKEN));
        assert_eq!(effective(&machine, "token").0, "set, and an old one");
    }
    assert_eq!(
        Machine::new().env("RINGRIFT_CLUSTER_AUTH_TOKEN_OLD", OTHER_TOKEN).error(),
        "RINGRIFT_CLUSTER_AUTH_TOKEN_OLD: there is an old token and no token in force; during a change the new token is given as \
         the token, the one before as the old one"
    );
}

impl Machine {
    fn credentials_here(self) -> Self {
        let folder = text(self.dir.path());
        self.env("CREDENTIALS_DIRECTORY", folder)
    }
}

#[test]
fn a_token_that_is_no_good_is_named_and_never_shown() {
    for (machine, error) in [
        (
            Machine::new().env("RINGRIFT_CLUSTER_AUTH_TOKEN", "secret"),
            "RINGRIFT_CLUSTER_AUTH_TOKEN: the token has 6 bytes, at least 32 are needed; `ringriftctl token new` makes one",
        ),
        (
            Machine::new().file("token", "short\n").credentials_here(),
            "systemd credential token: the token has 5 bytes, at least 32 are needed; `ringriftctl token new` makes one",
        ),
        (
            Machine::new().file("t", "two words\n").yaml("token_file: t\n"),
            "settings.yaml:1: the token must be one line of visible ASCII characters without blanks",
        ),
        (
            Machine::new().yaml("token_file: absent\n"),
            "cannot read absent (from settings.yaml:1): No such file or directory (os error 2)",
        ),
    ] {
        assert_eq!(machine.error(), error);
    }
}

#[test]
fn an_empty_credential_is_one_that_nobody_provides() {
    let machine = Machine::new().file("token", "").file("token-old", "").credentials_here();
    assert_eq!(token(&machine), None);
    assert_eq!(effective(&machine, "token"), ("none".to_owned(), "default".to_owned()));
}

#[test]
fn no_source_is_skipped_because_it_is_no_good() {
    let machine = Machine::new().with_token().flag("--token-file", "/nonexistent/token");
    assert!(machine.error().starts_with("cannot read /nonexistent/token (from --token-file)"));
}

#[test]
fn a_token_that_everybody_can_read_is_pointed_out() {
    let machine = Machine::new().file("t", TOKEN).yaml("token_file: t\n");
    private(&machine, "t");
    assert!(machine.warnings().is_empty());
    std::fs::set_permissions(machine.path("t"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let warnings = machine.warnings();
    assert!(
        warnings[0].ends_with("t: everybody on this machine can read the cluster token; chmod 600 it"),
        "{warnings:?}"
    );
}

#[test]
fn without_a_token_nothing_but_loopback_is_served() {
    for (machine, address, source) in [
        (Machine::new(), "127.0.0.1", "default"),
        (Machine::new().with_token(), "0.0.0.0", "default"),
        (Machine::new().switch("--insecure"), "0.0.0.0", "default"),
        (Machine::new().flag("--bind-addr", "127.0.0.7"), "127.0.0.7", "--bind-addr"),
        (Machine::new().flag("--bind-addr", "::1"), "::1", "--bind-addr"),
        (Machine::new().switch("--insecure").flag("--bind-addr", "10.0.0.1"), "10.0.0.1", "--bind-addr"),
    ] {
        assert_eq!(effective(&machine, "bind_addr"), (address.to_owned(), source.to_owned()));
    }
    for address in ["0.0.0.0", "100.64.0.1", "::"] {
        let error = Machine::new().env("RINGRIFT_P2P_BIND_ADDR", address).error();
        assert!(
            error
                .starts_with(&format!("bind_addr is {address} (RINGRIFT_P2P_BIND_ADDR) and there is no cluster token"))
                && error.contains("--token-file")
                && error.contains("--insecure"),
            "{error}"
        );
    }
}

#[test]
fn insecure_beside_a_token_is_pointed_out() {
    let machine = Machine::new().with_token().switch("--insecure");
    assert_eq!(machine.warnings(), ["insecure (--insecure) changes nothing: there is a cluster token"]);
}

#[test]
fn no_secret_is_shown_anywhere() {
    let machine = Machine::new().with_token().env("RINGRIFT_CLUSTER_AUTH_TOKEN_OLD", OTHER_TOKEN);
    let settings = machine.settings();
    let shown = format!("{settings:?} {:?} {:?}", settings.effective(), machine.warnings());
    assert!(!shown.contains(TOKEN) && !shown.contains(OTHER_TOKEN));
}
