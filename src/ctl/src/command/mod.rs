//! What each command does: one file per noun of the command line.

pub(crate) mod cluster;
pub(crate) mod completions;
pub(crate) mod components;
pub(crate) mod daemons;
pub(crate) mod data;
pub(crate) mod db;
pub(crate) mod doctor;
pub(crate) mod events;
pub(crate) mod health;
pub(crate) mod health_check;
pub(crate) mod hosts;
pub(crate) mod jobs;
pub(crate) mod leader;
pub(crate) mod logs;
pub(crate) mod man;
pub(crate) mod models;
pub(crate) mod monitor;
pub(crate) mod nodes;
pub(crate) mod queue;
pub(crate) mod reload;
pub(crate) mod snapshot;
pub(crate) mod ssh;
pub(crate) mod status;
pub(crate) mod token;
pub(crate) mod update;
pub(crate) mod voters;
