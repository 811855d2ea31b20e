use clap::{Args, CommandFactory as _, Parser};

use super::super::{Flags, key};

/// Another command that takes the settings.
#[derive(Debug, Parser)]
#[command(name = "daemon")]
struct Cli {
    #[command(flatten)]
    flags: Flags,

    /// Something of its own
    #[arg(long)]
    own: bool,
}

#[test]
fn the_flags_are_sound_and_do_not_take_over_the_command_that_takes_them() {
    let command = Cli::command();
    command.clone().debug_assert();
    assert_eq!(command.get_about().unwrap().to_string(), "Another command that takes the settings");
    assert!(command.get_long_about().is_none());
    let own = command.get_arguments().find(|arg| arg.get_id() == "own").unwrap();
    assert_eq!(own.get_help_heading(), None, "the heading is for the settings alone");
}

#[test]
fn every_setting_has_its_flag_and_the_flag_tells_its_variables() {
    let command = Flags::augment_args(clap::Command::new("test"));
    for key in key::ALL.into_iter().chain([key::SETTINGS_FILE]) {
        let name = key.flag.trim_start_matches("--");
        let arg =
            command.get_arguments().find(|arg| arg.get_long() == Some(name)).unwrap_or_else(|| panic!("no {name}"));
        let help = arg.get_help().unwrap().to_string();
        let told = format!("[env: {}]", key.variables.join(", "));
        assert!(help.ends_with(&told), "--{name}: {help}");
    }
    assert_eq!(command.get_arguments().count(), key::ALL.len() + 1, "and there is no flag besides");
}

#[test]
fn a_bad_flag_is_named_with_its_text() {
    for (arguments, words) in [
        (["--http-port", "abc"], "invalid value 'abc' for '--http-port <PORT>': expected a port 1..65535"),
        (["--health-port", "x"], "invalid value 'x' for '--health-port <PORT>': expected a port 1..65535, or none"),
        (["--heartbeat", "5"], "invalid value '5' for '--heartbeat <DURATION>': expected a duration"),
        (["--voters", "a,-b"], "invalid value '-b' for '--voters <LIST>': expected a node id"),
    ] {
        let error = Cli::try_parse_from(["daemon", arguments[0], arguments[1]]).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn lists_and_none_are_read() {
    let cli = Cli::parse_from([
        "daemon",
        "--voters",
        "a,b",
        "--health-port",
        "none",
        "--bootstrap-seeds",
        "x:1,y:2",
        "--own",
    ]);
    assert_eq!(cli.flags.voters.unwrap().len(), 2);
    assert_eq!(cli.flags.health_port, Some(None));
    assert_eq!(cli.flags.bootstrap_seeds.unwrap(), ["x:1", "y:2"]);
    assert!(cli.own && cli.flags.http_port.is_none());
}

#[test]
fn the_help_teaches() {
    let mut command = Flags::augment_args(clap::Command::new("ringrift-p2p")).term_width(110);
    insta::assert_snapshot!(command.render_long_help());
}
