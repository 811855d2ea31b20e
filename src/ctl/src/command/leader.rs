use clap::{Args, Subcommand};
use ringrift_api::{LeaderTransferred, Status, TransferRequest};
use ringrift_config::NodeId;
use serde_json::json;

use super::status;
use crate::{
    context::{Context, Fetched},
    failure::Failure,
    report::Report,
};

/// What to do with the leadership.
#[derive(Debug, Default, Subcommand)]
pub(crate) enum LeaderCommand {
    /// Show who leads; the default
    #[default]
    Show,
    /// Hand the leadership to another voter, and wait until it leads
    #[command(after_help = "Example:\n  ringriftctl leader transfer --to backbone-2")]
    Transfer(Transfer),
}

/// To whom.
#[derive(Debug, Args)]
pub(crate) struct Transfer {
    /// The voter that shall lead; without it, the one whose log is most complete
    #[arg(long, value_name = "NODE")]
    to: Option<NodeId>,
}

pub(crate) async fn run(context: &Context, command: LeaderCommand) -> Result<Report, Failure> {
    let client = context.client(None)?;
    match command {
        LeaderCommand::Show => {
            let status: Status = client.get_json("/status").await?;
            let leader = status.leader_id.as_ref().map_or("none", |l| l.as_str());
            let (_, quorum) = status::quorum(&status);
            let text = format!("Leader: {leader}\nTerm: {}\nQuorum: {quorum}\n", status.term);
            let json = json!({
                "leader_id": status.leader_id,
                "term": status.term,
                "voter_quorum_ok": status.voter_quorum_ok,
                "node_id": status.node_id,
            });
            Ok(Report::ok(text, json).exit(status::exit(&status)))
        }
        LeaderCommand::Transfer(Transfer { to }) => {
            let answer: Fetched<LeaderTransferred> =
                client.post_json("/api/leader/transfer", &TransferRequest { to }).await?;
            let LeaderTransferred { from, leader_id, term, .. } = &answer.typed;
            let text = if from == leader_id {
                format!("{leader_id} leads already, in term {term}.\n")
            } else {
                format!("{leader_id} leads now, in term {term}; before it {from} did.\n")
            };
            Ok(Report::ok(text, answer.raw))
        }
    }
}
