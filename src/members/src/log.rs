use tracing::{error, info, warn};

use crate::{Event, State};

/// Writes an event to the log. Each line names the peer.
pub(crate) fn log(event: &Event) {
    match event {
        Event::Changed { node: peer, from, to: State::Suspect, accuser } => {
            info!(%peer, %from, accuser = accuser.as_ref().map(tracing::field::display), "{peer} does not answer");
        }
        Event::Changed { node: peer, from, to: State::Dead, accuser } => {
            warn!(%peer, %from, accuser = accuser.as_ref().map(tracing::field::display), "{peer} is dead");
        }
        Event::Changed { node: peer, from, to, accuser: _ } => info!(%peer, %from, "{peer} is {to}"),
        Event::Restarted { node: peer, instance } => info!(%peer, instance, "{peer} was restarted"),
        Event::Refuted { accuser: Some(peer), state } => warn!(%peer, "{peer} took this node for {state}; it objects"),
        Event::Refuted { accuser: None, state } => warn!("somebody took this node for {state}; it objects"),
        Event::Conflict { node: peer, other_instance } => {
            error!(%peer, other_instance, "another running program calls itself {peer} too: stop one of them");
        }
        Event::ClockSkew { node: peer, offset_ms } => {
            let seconds = *offset_ms as f64 / 1000.0;
            warn!(%peer, offset_ms, "the clock of {peer} is off by {seconds:.1} s");
        }
        Event::ClockRight { node: peer } => info!(%peer, "the clock of {peer} is right again"),
        Event::Garbage { node: peer, error } => warn!(%peer, "{peer} sent what is no message: {error}"),
        Event::BadFacts { node: peer, error } => warn!(%peer, "the facts of {peer} cannot be used: {error}"),
        Event::StoodStill { gap } => warn!("this node stood still for {gap:.1?}; it judges nobody for a while"),
        Event::TableFull { node: peer } => warn!(%peer, "no place for {peer}: the table of members is full"),
    }
}
