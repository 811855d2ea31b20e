//! What each command does: one file per noun of the command line.

pub(crate) mod completions;
pub(crate) mod events;
pub(crate) mod health;
pub(crate) mod hosts;
pub(crate) mod leader;
pub(crate) mod man;
pub(crate) mod monitor;
pub(crate) mod nodes;
pub(crate) mod reload;
pub(crate) mod snapshot;
pub(crate) mod status;
pub(crate) mod token;
pub(crate) mod voters;
