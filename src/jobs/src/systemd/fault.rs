use ringrift_job::{Kind, RunId};
use ringrift_systemd::zbus::{self, fdo};

use crate::RunnerError;

/// Where the rule lies that lets the daemon do what it does.
const RULE: &str = "/usr/share/polkit-1/rules.d/50-ringrift-p2p.rules";
/// polkit before 126 cannot tell what that rule asks of it.
const OLDER_RULES: &str = "/usr/share/ringrift-p2p/before-polkit-*";

/// No connection to systemd.
pub(super) fn no_bus(error: &zbus::Error) -> RunnerError {
    RunnerError::Unavailable(format!(
        "systemd cannot be reached over the system bus: {error}; expected dbus at /run/dbus/system_bus_socket and systemd as \
         process 1 (a container without them runs jobs as plain processes)"
    ))
}

/// The template is not installed.
pub(super) fn no_template(kind: Kind) -> RunnerError {
    RunnerError::Unavailable(format!(
        "there is no unit template ringrift-{kind}@.service; install systemd/usr/lib/systemd/system of this program, all of it, \
         and run `systemctl daemon-reload`"
    ))
}

/// A call about a run that failed.
pub(super) fn of_call(deed: &'static str, run: &RunId, error: &zbus::Error) -> RunnerError {
    let failed = |reason: String| RunnerError::Failed { deed, run: run.clone(), reason };
    match error {
        zbus::Error::FDO(fault) => match &**fault {
            fdo::Error::AccessDenied(said) | fdo::Error::InteractiveAuthorizationRequired(said) => {
                RunnerError::Denied {
                    deed,
                    run: run.clone(),
                    reason: format!(
                        "polkit says {said:?}; expected the rule {RULE}, and the daemon in ringrift-p2p.service as user \
                         ringrift-p2p; for polkit before 126 one of {OLDER_RULES}"
                    ),
                }
            }
            fault => failed(fault.to_string()),
        },
        zbus::Error::InputOutput(_) => no_bus(error),
        error if is_no_such_unit(error) => no_template(run.kind),
        zbus::Error::MethodError(name, said, _) => {
            failed(said.as_ref().map_or_else(|| name.to_string(), |said| format!("{said} ({name})")))
        }
        error => failed(error.to_string()),
    }
}

/// A call about a unit that systemd does not have.
pub(super) fn is_no_such_unit(error: &zbus::Error) -> bool {
    matches!(error, zbus::Error::MethodError(name, _, _) if name.as_str() == "org.freedesktop.systemd1.NoSuchUnit")
        || matches!(error, zbus::Error::FDO(fault) if matches!(**fault, fdo::Error::UnknownObject(_)))
}

#[cfg(test)]
mod tests {
    use std::{io, sync::Arc};

    use super::*;

    #[test]
    fn what_is_missing_is_told_apart_and_what_helps_is_named() {
        let run = crate::systemd::tests::launch("a").run;
        let said = |error: zbus::Error| of_call("start", &run, &error).to_string();
        let denied = said(fdo::Error::AccessDenied("Interactive authentication required.".to_owned()).into());
        assert!(denied.starts_with("not allowed to start a.1: polkit says") && denied.contains(RULE), "{denied}");
        let no_bus = said(zbus::Error::InputOutput(Arc::new(io::ErrorKind::ConnectionRefused.into())));
        assert!(no_bus.contains("/run/dbus/system_bus_socket"), "{no_bus}");
        let no_template = no_template(run.kind).to_string();
        assert!(no_template.contains("ringrift-selfplay@.service"), "{no_template}");
        assert_eq!(
            said(fdo::Error::Failed("No.".to_owned()).into()),
            "cannot start a.1: org.freedesktop.DBus.Error.Failed: No."
        );
    }
}
