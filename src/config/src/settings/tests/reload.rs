use std::collections::BTreeSet;

use super::{super::key, Machine, order::VALUES};

/// Settings for which a switch of NixOS reloads the daemon; for all others it starts it anew.
const RELOADED: &str = include_str!("../../../../../nixos-modules/lib/reloaded.txt");

#[test]
fn a_reload_takes_the_settings_for_which_nixos_does_not_restart_and_no_others() {
    let mut taken = BTreeSet::from([key::JOB_CLASSES]);
    for (name, values) in VALUES {
        let mut machine = Machine::new().with_token();
        let before = machine.settings();
        // One of the values may be the default.
        let reread = values.into_iter().find_map(|value| {
            machine = std::mem::replace(&mut machine, Machine::new()).yaml(&format!("{name}: {value}\n"));
            Some(before.reread(&machine.settings())).filter(|r| !r.changes.is_empty() || !r.need_restart.is_empty())
        });
        if reread.expect(name).need_restart.is_empty() {
            taken.insert(name);
        }
    }
    assert_eq!(taken, RELOADED.lines().collect());
}
