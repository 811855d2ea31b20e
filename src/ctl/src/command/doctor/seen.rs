//! What is seen from here: which daemons answer, what the hosts file says, and what a login shows.

use std::collections::BTreeMap;

use ringrift_api::Status;
use ringrift_config::{Host, HostsFile, NodeId};
use ringrift_fleet::Unreached;

use super::{Finding, Rank};
use crate::command::{
    cluster::Looked,
    health_check::{About, Examined, Mark},
};

pub(super) fn daemons(looked: &Looked, findings: &mut Vec<Finding>) {
    if let Err(failure) = &looked.status {
        findings.push(Finding {
            rank: Rank::NoDaemon,
            warning: false,
            what: "the daemon that was to be asked does not answer".to_owned(),
            evidence: failure.message.clone(),
            remedy: "`systemctl status ringrift-p2p` there, or ask another node with --api".to_owned(),
        });
    }
    for (host, state, remedy) in &looked.down {
        findings.push(Finding {
            rank: Rank::NodeDown,
            warning: false,
            what: format!("{} does not take part", host.id),
            evidence: state.clone(),
            remedy: remedy.clone(),
        });
    }
}

/// What the file itself deserves to be warned of.
pub(super) fn hosts_file(file: &HostsFile, findings: &mut Vec<Finding>) {
    let found = file.check();
    let Some(first) = found.first() else { return };
    let more = if found.len() > 1 { format!(", and {} more", found.len() - 1) } else { String::new() };
    findings.push(Finding {
        rank: Rank::HostsFile,
        warning: true,
        what: "the hosts file deserves a look".to_owned(),
        evidence: format!("{first}{more}"),
        remedy: "`ringriftctl hosts check`".to_owned(),
    });
}

/// Nodes whose daemon tells the others another address than the hosts file does.
pub(super) fn addresses(status: &Status, looked: &Looked, findings: &mut Vec<Finding>) {
    for host in looked.running.iter().filter(|host| !host.dials_out_only()) {
        let told = status.nodes.iter().find(|node| node.node_id == host.id).map(|node| node.host.as_str());
        let (Some(told), Some(expected)) = (told.filter(|told| !told.is_empty()), host.dial_host()) else { continue };
        if told != expected {
            findings.push(Finding {
                rank: Rank::Address,
                warning: false,
                what: format!("{} may have the wrong address", host.id),
                evidence: format!("it advertises {told}, and the hosts file says {expected}"),
                remedy: format!(
                    "correct the hosts file or advertise_host, then `ringriftctl cluster restart --node {}`",
                    host.id
                ),
            });
        }
    }
}

/// Daemons that run, and that the one that was asked does not see.
pub(super) fn not_joined(
    status: &Status,
    looked: &Looked,
    logins: &BTreeMap<&NodeId, Result<Examined, Unreached>>,
    findings: &mut Vec<Finding>,
) {
    let alive = |id: &NodeId| *id == status.node_id || status.peers.get(id).is_some_and(|peer| peer.is_alive);
    for host in looked.running.iter().filter(|host| !alive(&host.id)) {
        let said = match logins.get(&host.id) {
            Some(Ok(Examined { warning: Some(warning), .. })) => format!("; its last warning: {}", warning.trim()),
            _ => String::new(),
        };
        let id = &host.id;
        findings.push(Finding {
            rank: Rank::NotJoined,
            warning: false,
            what: format!("{id} runs, and has not joined"),
            evidence: format!("{} does not see it{said}", status.node_id),
            remedy: format!(
                "does it have the token and the hosts file of the others (`ringriftctl hosts distribute --node {id}`), and are \
                 its ports open (`ringriftctl health --node {id}`)? `ringriftctl logs --node {id}` says what it tries"
            ),
        });
    }
}

/// What a login showed.
pub(super) fn over_ssh(
    host: &Host,
    login: &Result<Examined, Unreached>,
    looked: &Looked,
    revision: &str,
    findings: &mut Vec<Finding>,
) {
    let runs = looked.running.iter().any(|running| running.id == host.id);
    let id = &host.id;
    let examined = match login {
        Ok(examined) => examined,
        // Of one that is down this is told already.
        Err(_) if looked.down.iter().any(|(down, ..)| down.id == *id) => return,
        Err(unreached) => {
            findings.push(Finding {
                rank: Rank::Ssh,
                warning: true,
                what: format!("{id} is not reached over SSH"),
                evidence: unreached.to_string(),
                remedy: unreached.fault().remedy(host),
            });
            return;
        }
    };
    if examined.hosts_file.as_deref().is_some_and(|found| found != revision) {
        findings.push(Finding {
            rank: Rank::HostsFileDiffers,
            warning: true,
            what: format!("{id} has another hosts file"),
            evidence: "the file there has other bytes than the one here".to_owned(),
            remedy: format!("`ringriftctl hosts distribute --node {id}`, if the one here is right"),
        });
    }
    for found in &examined.findings {
        let rank = match found.about {
            // Nothing listens where nothing runs.
            About::Firewall if !runs => continue,
            About::Firewall => Rank::Firewall,
            About::Clock => Rank::Clock,
            About::Disk => Rank::Warning,
            About::Jobs => Rank::Fitness,
        };
        findings.push(Finding {
            rank,
            warning: found.mark != Mark::Bad,
            what: match found.about {
                About::Firewall => format!("ports of {id}, or on the way back from it, are closed"),
                About::Clock => format!("the clock of {id} is wrong"),
                About::Disk => format!("the disk of {id} is nearly full"),
                About::Jobs => format!("{id} may not be fit for its jobs"),
            },
            evidence: found.text.clone(),
            remedy: found.remedy.clone(),
        });
    }
}
