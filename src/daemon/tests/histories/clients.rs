//! Clients that read and write through any node, and the record of what they asked and were told.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};
use ringrift_api::{CordonRequest, EligibilityChanged, EligibilityState, ErrorCode, NodeList};
use std::sync::Arc;
use todc_utils::Action;
use tokio_util::sync::CancellationToken;

use crate::{
    cluster::TOKEN,
    object::{Operation, Value},
};

/// How long a client waits for its answer.
const ANSWER: Duration = Duration::from_secs(4);

/// A client that cannot reach anybody does not ask more often than this.
const PAUSE: Duration = Duration::from_millis(30);

/// Everything that was asked, in the order in which it happened here.
#[derive(Default)]
pub(crate) struct Record {
    written: Mutex<Vec<Entry>>,
    /// Each write has its own number, which travels as the reason.
    numbers: AtomicU64,
    /// A client without an answer goes on as another one: nobody asks twice at a time.
    processes: AtomicU64,
}

#[derive(Debug, Clone)]
struct Entry {
    process: u64,
    node: String,
    /// `None` marks the call, and what became of it the rest.
    end: Option<Ended>,
}

#[derive(Debug, Clone)]
enum Ended {
    Known(Operation),
    /// It may be done, now or later.
    Unknown(Operation),
    /// It is certain that nothing was done.
    Refused,
}

impl Record {
    fn note(&self, process: u64, node: &str, end: Option<Ended>) {
        self.written.lock().unwrap().push(Entry { process, node: node.to_owned(), end });
    }

    /// How many requests were answered, have no answer, and were refused.
    pub(crate) fn counts(&self) -> (usize, usize, usize) {
        let written = self.written.lock().unwrap();
        let count =
            |which: fn(&Ended) -> bool| written.iter().filter_map(|e| e.end.as_ref()).filter(|e| which(e)).count();
        (
            count(|e| matches!(e, Ended::Known(_))),
            count(|e| matches!(e, Ended::Unknown(_))),
            count(|e| matches!(e, Ended::Refused)),
        )
    }

    /// Each node's history: what was refused is left out, and what has no answer ends when all else is over.
    pub(crate) fn histories(&self) -> BTreeMap<String, Vec<(usize, Action<Operation>)>> {
        let written = self.written.lock().unwrap();
        let mut ends: BTreeMap<u64, Vec<&Ended>> = BTreeMap::new();
        for entry in written.iter() {
            if let Some(end) = &entry.end {
                ends.entry(entry.process).or_default().push(end);
            }
        }
        let mut ends: BTreeMap<u64, _> = ends.into_iter().map(|(process, ends)| (process, ends.into_iter())).collect();
        let mut histories: BTreeMap<String, (Vec<_>, Vec<_>)> = BTreeMap::new();
        for entry in written.iter() {
            let (history, late) = histories.entry(entry.node.clone()).or_default();
            let process = usize::try_from(entry.process).unwrap();
            match &entry.end {
                None => match ends.get_mut(&entry.process).unwrap().next().unwrap() {
                    Ended::Known(operation) => history.push((process, Action::Call(*operation))),
                    Ended::Unknown(operation @ Operation::Set { .. }) => {
                        history.push((process, Action::Call(*operation)));
                        late.push((process, Action::Response(*operation)));
                    }
                    // A read that nobody saw says nothing.
                    Ended::Unknown(Operation::Read(_)) | Ended::Refused => {}
                },
                Some(Ended::Known(operation)) => history.push((process, Action::Response(*operation))),
                Some(Ended::Unknown(_) | Ended::Refused) => {}
            }
        }
        histories.into_iter().map(|(node, (history, late))| (node, [history, late].concat())).collect()
    }

    /// The numbers of all writes, and what is known of each: `Some(true)` if it changed something, `Some(false)` if it did
    /// not, `None` if nobody knows.
    pub(crate) fn writes(&self) -> BTreeMap<u64, Option<bool>> {
        let written = self.written.lock().unwrap();
        let of = |end: &Ended| match end {
            Ended::Known(Operation::Set { number, changed, .. })
            | Ended::Unknown(Operation::Set { number, changed, .. }) => Some((*number, *changed)),
            Ended::Known(Operation::Read(_)) | Ended::Unknown(Operation::Read(_)) | Ended::Refused => None,
        };
        written.iter().filter_map(|e| e.end.as_ref()).filter_map(of).collect()
    }

    fn new_process(&self) -> u64 {
        self.processes.fetch_add(1, Ordering::Relaxed)
    }
}

pub(crate) struct Client {
    process: u64,
    by: String,
    nodes: Vec<ringrift_api::Client>,
    names: Vec<String>,
    record: Arc<Record>,
    rng: StdRng,
}

impl Client {
    pub(crate) fn new(number: usize, urls: &[String], record: Arc<Record>, seed: u64) -> Self {
        let client =
            |url: &String| ringrift_api::Client::new(url, Some(TOKEN.to_owned())).unwrap().with_timeout(ANSWER);
        Self {
            process: record.new_process(),
            by: format!("client {number}"),
            nodes: urls.iter().map(client).collect(),
            names: (1..=urls.len()).map(|i| format!("n{i}")).collect(),
            record,
            rng: StdRng::seed_from_u64(seed),
        }
    }

    pub(crate) async fn run(mut self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let asked = self.rng.random_range(0..self.nodes.len());
            let node = self.names.choose(&mut self.rng).unwrap().clone();
            let answered = if self.rng.random_ratio(1, 2) {
                self.read(asked, &node).await
            } else {
                self.write(asked, &node).await
            };
            let pause = PAUSE.mul_f64(self.rng.random_range(0.1..1.0)) + if answered { Duration::ZERO } else { PAUSE };
            tokio::time::sleep(pause).await;
        }
    }

    /// Every object once, at every node. All of them must answer.
    pub(crate) async fn read_everything_everywhere(mut self) {
        for asked in 0..self.nodes.len() {
            for node in self.names.clone() {
                assert!(self.read(asked, &node).await, "{} does not answer although all is well", self.names[asked]);
            }
        }
    }

    async fn read(&mut self, asked: usize, node: &str) -> bool {
        self.record.note(self.process, node, None);
        let answer = self.nodes[asked].get_json::<NodeList>("/api/nodes?consistent=true").await;
        let found = answer.ok().map(|list| value(&list, node));
        let end = found.map_or(Ended::Refused, |found| Ended::Known(Operation::Read(found)));
        self.record.note(self.process, node, Some(end));
        found.is_some()
    }

    async fn write(&mut self, asked: usize, node: &str) -> bool {
        let number = self.record.numbers.fetch_add(1, Ordering::Relaxed) + 1;
        let (to, deed) = *[
            (EligibilityState::Eligible, "uncordon"),
            (EligibilityState::Cordoned, "cordon"),
            (EligibilityState::Draining, "drain"),
        ]
        .choose(&mut self.rng)
        .unwrap();
        let request = CordonRequest { by: Some(self.by.clone()), reason: Some(number.to_string()) };
        self.record.note(self.process, node, None);
        let answer =
            self.nodes[asked].post_json::<EligibilityChanged>(&format!("/api/nodes/{node}/{deed}"), &request).await;
        let operation = |changed| Operation::Set { to, number, changed };
        let end = match &answer {
            Ok(changed) => Ended::Known(operation(Some(changed.changed))),
            Err(ringrift_api::ClientError::Refused { .. }) => Ended::Refused,
            // These say that nothing was done, and are held to it.
            Err(error) if matches!(error.code(), Some(ErrorCode::NoLeader | ErrorCode::Overloaded)) => Ended::Refused,
            Err(_) => Ended::Unknown(operation(None)),
        };
        let unknown = matches!(end, Ended::Unknown(_));
        self.record.note(self.process, node, Some(end));
        if unknown {
            self.process = self.record.new_process();
        }
        answer.is_ok()
    }
}

/// What a list says of one node.
fn value(list: &NodeList, node: &str) -> Value {
    let entry = list.nodes.iter().find(|entry| entry.node_id.as_str() == node).unwrap();
    let number = entry.eligibility.reason.as_ref().map_or(0, |reason| reason.parse().unwrap());
    (entry.eligibility.state, number)
}
