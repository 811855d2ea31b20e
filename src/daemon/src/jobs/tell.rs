//! What the leader is told of this node's jobs: what is new at once, and what it has not acted on again and again.

use std::time::{Duration, Instant};

use http::Method;
use ringrift_jobs::report::{JobReport, JobReports, NetReport, ReportTaken};
use tokio::task::JoinHandle;

use super::Jobs;
use crate::{ask::ask, node::Shared};

/// Time for the leader to take a report.
const REPORT_WITHIN: Duration = Duration::from_secs(10);
/// A report that the leader has not acted on is repeated after so long.
const REPEAT_AFTER: Duration = Duration::from_secs(2);
/// Whoever does not hear of the first of so many nets does not miss the last.
const MAX_NETS: usize = 32;

#[derive(Debug, Default)]
pub(super) struct Teller {
    /// Nets of which the leader has not heard.
    nets: Vec<NetReport>,
    /// Whether one of them is new. Those that did not arrive are no reason to hurry.
    caught: bool,
    /// A report on its way; it answers with the nets in it that did not arrive.
    telling: Option<JoinHandle<Vec<NetReport>>>,
    told: Vec<JobReport>,
    told_at: Option<Instant>,
}

impl Teller {
    /// A net has caught something.
    pub(super) fn note(&mut self, net: &str, message: &str) {
        if self.nets.len() < MAX_NETS {
            self.nets.push(NetReport { net: net.to_owned(), message: message.to_owned() });
            self.caught = true;
        }
    }

    /// Tells the leader, unless it was told the same a moment ago.
    pub(super) async fn tell(&mut self, shared: &Shared, jobs: &Jobs, reports: Vec<JobReport>) {
        if let Some(telling) = self.telling.take_if(|telling| telling.is_finished()) {
            let mut back = telling.await.unwrap_or_default();
            back.append(&mut self.nets);
            self.nets = back;
            self.nets.truncate(MAX_NETS);
        }
        let nothing = reports.is_empty() && self.nets.is_empty();
        let again = self.told_at.is_none_or(|at| at.elapsed() >= REPEAT_AFTER);
        let news = self.caught || reports != self.told;
        if self.telling.is_some() || nothing || !(news || again) {
            return;
        }
        self.caught = false;
        self.told.clone_from(&reports);
        self.told_at = Some(Instant::now());
        let body = JobReports { node: shared.node().clone(), jobs: reports, nets: std::mem::take(&mut self.nets) };
        let (shared, jobs) = (shared.clone(), jobs.clone());
        self.telling = Some(tokio::spawn(async move {
            let told = ask::<ReportTaken>(&shared, Method::POST, "/api/jobs/report", &body, REPORT_WITHIN).await;
            // What the leader agreed on may be here by now.
            jobs.look_now();
            match told {
                Ok(_) => Vec::new(),
                Err(error) => {
                    tracing::debug!(%error, "the leader was not told how the jobs here are; it is tried again");
                    body.nets
                }
            }
        }));
    }
}
