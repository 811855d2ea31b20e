//! Arbitrary commands and states.

#![allow(dead_code, reason = "each test file uses its part")]

use std::collections::BTreeSet;

use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;
use ringrift_blob::{Blob, Digest, ModelName};
use ringrift_config::NodeId;
use ringrift_job::{Bytes, Ending, GameConfig, How, JobId, Kind, Limits, ParamValue, Usage};
use ringrift_state::{
    Agreed, Assignment, ClusterState, Command, Eligibility, Elo, EntryMeta, Fill, Holder, JobChange, JobOutcome,
    NewEvent, NewJob, Origin, Update,
};
use serde_json::Value;

pub(crate) fn id(text: &str) -> NodeId {
    text.parse().expect("a node id")
}

pub(crate) fn ids(texts: &[&str]) -> BTreeSet<NodeId> {
    texts.iter().map(|text| id(text)).collect()
}

pub(crate) fn model(config: &str) -> ModelName {
    ModelName::canonical(config).expect("a configuration")
}

/// Different for each number, with so many chunks. Nobody has such bytes; nobody looks for them here.
pub(crate) fn blob(number: u64, chunks: usize) -> Blob {
    let digest = |part: usize| Digest::of(format!("{number} {chunks} {part}").as_bytes());
    Blob {
        sha256: digest(0),
        size: (chunks as u64 - 1) * 4096 + 8,
        chunk_size: 4096,
        chunks: (1..=chunks).map(digest).collect(),
    }
}

pub(crate) fn promote(config: &str, number: u64) -> Command {
    Command::PromoteModel {
        name: model(config),
        blob: blob(number, 2),
        elo: Some(Elo::try_from(1500.0 + number as f64).expect("a rating")),
        source: id("trainer"),
        by: "ada".into(),
        force: false,
        over: None,
        at_ms: 1_700_000_000_250,
    }
}

/// Few nodes, so that commands meet.
pub(crate) fn node() -> impl Strategy<Value = NodeId> + Clone {
    (0..12u8).prop_map(|n| id(&format!("node-{n}")))
}

pub(crate) fn nodes() -> impl Strategy<Value = BTreeSet<NodeId>> + Clone {
    btree_set(node(), 0..6)
}

fn eligibility() -> impl Strategy<Value = Eligibility> + Clone {
    prop_oneof![Just(Eligibility::Eligible), Just(Eligibility::Cordoned), Just(Eligibility::Draining)]
}

fn value() -> impl Strategy<Value = Value> + Clone {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1e300..1e300f64).prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            btree_map("[a-z]{1,6}", inner, 0..4).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

pub(crate) fn new_event() -> impl Strategy<Value = NewEvent> + Clone {
    ("[A-Z_]{1,20}", prop::option::of(node()), ".{0,60}", any::<u64>(), btree_map("[a-z_]{1,8}", value(), 0..4))
        .prop_map(|(kind, node, message, at_ms, details)| NewEvent { kind, node, message, at_ms, details })
}

/// Few models and few versions, so that commands meet; some of the versions are none.
fn about_models() -> BoxedStrategy<Command> {
    let name = prop_oneof![Just("hex8_2p"), Just("square8_4p"), Just("x")].prop_map(model);
    let bytes = (0..6u64, 1..4usize).prop_map(|(number, chunks)| blob(number, chunks));
    let broken = bytes.clone().prop_map(|blob| Blob { size: blob.size + (1 << 20), ..blob });
    let elo = prop::option::of((-4000.0..4000.0f64).prop_map(|elo| Elo::try_from(elo).expect("a rating")));
    let text = "[ -~äß]{0,12}";
    // The generations are those of short histories, so that some fit.
    let over = prop_oneof![3 => Just(None), 2 => (0..40u64).prop_map(Some)];
    prop_oneof![
        4 => (name.clone(), prop_oneof![9 => bytes.clone(), 1 => broken], elo, node(), text, any::<(bool, u64)>(), over).prop_map(
            |(name, blob, elo, source, by, (force, at_ms), over)| {
                Command::PromoteModel { name, blob, elo, source, by, force, over, at_ms }
            }
        ),
        1 => (name.clone(), text, any::<u64>()).prop_map(|(name, by, at_ms)| Command::RemoveModel { name, by, at_ms }),
        2 => (name.clone(), bytes.clone(), text, any::<u64>()).prop_map(|(name, blob, by, at_ms)| {
            Command::RollBackModel { name, sha256: blob.sha256, by, at_ms }
        }),
        1 => (prop::option::of(name.clone()), text, any::<(bool, u64)>()).prop_map(|(name, by, (force, at_ms))| {
            Command::StartDistribution { name, by, force, at_ms }
        }),
        3 => (name, bytes, 0..40u64, nodes(), btree_map(node(), text, 0..4), any::<(u64, u64)>()).prop_map(
            |(name, blob, generation, succeeded, failed, (duration_ms, at_ms))| Command::DistributionEnded {
                name, sha256: blob.sha256, generation, succeeded, failed, duration_ms, at_ms,
            }
        ),
    ]
    // On the heap: one in the other, they would not fit a test's stack.
    .boxed()
}

pub(crate) fn job(number: u8) -> JobId {
    format!("selfplay-{number}").parse().expect("a job id")
}

/// A job that somebody submitted, without dependencies.
pub(crate) fn new_job(number: u8) -> NewJob {
    NewJob {
        id: job(number),
        class: "selfplay".parse().expect("a class"),
        kind: Kind::Selfplay,
        params: [("num_games".to_owned(), ParamValue::Integer(7))].into_iter().collect(),
        game: "hex8_2p".parse().ok(),
        priority: 50,
        depends_on: Vec::new(),
        timeout_s: 0,
        max_attempts: 3,
        pinned: None,
        origin: Origin::Operator,
        by: "ada".into(),
        limits: Limits::default(),
    }
}

pub(crate) fn on(node: &str) -> Assignment {
    Assignment { holder: Holder::Node(id(node)), gpus: vec![], gpu_share: 0, memory: 1 << 30 }
}

pub(crate) fn ending(how: How) -> Ending {
    Ending { how, ran_ms: 1500, usage: Usage::default() }
}

/// Few jobs, so that commands meet.
fn any_new_job() -> impl Strategy<Value = NewJob> + Clone {
    let origin = prop_oneof![3 => Just(Origin::Operator), 1 => Just(Origin::Work), 1 => Just(Origin::Fill)];
    let depends_on = vec((0..8u8).prop_map(job), 0..2);
    (0..8u8, depends_on, -5..5i32, 0..4u32, prop::option::of(node()), origin, "[ -~äß]{0,12}").prop_map(
        |(number, depends_on, priority, max_attempts, pinned, origin, by)| NewJob {
            depends_on,
            priority,
            max_attempts,
            pinned,
            origin,
            by,
            ..new_job(number)
        },
    )
}

fn any_assignment() -> impl Strategy<Value = Assignment> + Clone {
    let holder = prop_oneof![
        4 => node().prop_map(Holder::Node),
        1 => ("[a-z]{1,3}", prop::option::of(node())).prop_map(|(worker, node)| Holder::Pull { worker, node }),
    ];
    (holder, vec(0..2u32, 0..3), 0..=100u32, any::<u64>()).prop_map(|(holder, gpus, gpu_share, memory)| Assignment {
        holder,
        gpus,
        gpu_share,
        memory,
    })
}

fn any_ending() -> impl Strategy<Value = Ending> + Clone {
    let how = prop_oneof![
        2 => Just(How::Exited { code: 0 }),
        1 => (1..9i32).prop_map(|code| How::Exited { code }),
        1 => (1..9i32).prop_map(|signal| How::Signalled { signal }),
        1 => Just(How::OutOfMemory),
        1 => Just(How::TimedOut),
        1 => Just(How::Stopped),
        1 => "[a-z]{0,9}".prop_map(|reason| How::NotStarted { reason }),
        1 => Just(How::Vanished),
    ];
    how.prop_map(ending)
}

pub(crate) fn job_change() -> impl Strategy<Value = JobChange> + Clone {
    let text = "[ -~äß]{0,12}";
    let which = ((0..8u8).prop_map(job), prop_oneof![6 => 0..4u32, 1 => any::<u32>()]);
    prop_oneof![
        6 => (which.clone(), any_assignment(), 0..4u32).prop_map(|((job, attempt), assignment, slots)| {
            JobChange::Place { job, attempt, assignment, slots }
        }),
        3 => (which.clone(), any::<u64>()).prop_map(|((job, attempt), since_ms)| JobChange::Started { job, attempt, since_ms }),
        4 => (which.clone(), any_ending()).prop_map(|((job, attempt), ending)| JobChange::Ended { job, attempt, ending }),
        2 => (which.clone(), text).prop_map(|((job, attempt), reason)| JobChange::Refused { job, attempt, reason }),
        2 => (which.clone(), text).prop_map(|((job, attempt), reason)| JobChange::Lost { job, attempt, reason }),
        1 => (which.clone(), text).prop_map(|((job, attempt), reason)| JobChange::Recall { job, attempt, reason }),
        1 => (which, prop::sample::select(&JobOutcome::ALL[..]), text).prop_map(|((job, attempt), outcome, reason)| {
            JobChange::GiveUp { job, attempt, outcome, reason }
        }),
    ]
}

fn about_jobs() -> BoxedStrategy<Command> {
    let text = "[ -~äß]{0,12}";
    let limits = prop::option::of(0..3u64).prop_map(|max| Limits { memory_max: max.map(Bytes), ..Limits::default() });
    let weights = btree_map(prop::sample::select(GameConfig::all().collect::<Vec<_>>()), 0..9u32, 0..3);
    prop_oneof![
        4 => (vec(any_new_job(), 0..4), prop_oneof![1 => 0..4u32, 4 => Just(500u32)], any::<u64>())
            .prop_map(|(jobs, hard_limit, at_ms)| Command::SubmitJobs { jobs, hard_limit, at_ms }),
        9 => (vec(job_change(), 0..6), any::<u64>()).prop_map(|(changes, at_ms)| Command::ChangeJobs { changes, at_ms }),
        1 => (btree_set((0..8u8).prop_map(job), 0..3), text, any::<u64>())
            .prop_map(|(jobs, by, at_ms)| Command::CancelJobs { jobs, by, at_ms }),
        1 => ((0..8u8).prop_map(job), limits, text, any::<u64>())
            .prop_map(|(job, limits, by, at_ms)| Command::LimitJob { job, limits, by, at_ms }),
        1 => (prop::option::of((any::<bool>(), weights, text)), any::<u64>()).prop_map(|(fill, at_ms)| Command::SetFill {
            fill: fill.map(|(enabled, weights, by)| Fill { enabled, weights, by, at_ms }),
            at_ms,
        }),
    ]
    .boxed()
}

/// A command that holds no other state or command.
fn simple() -> impl Strategy<Value = Command> + Clone {
    let text = "[ -~äß]{0,12}";
    let hash = "[0-9a-f]{64}";
    let cluster =
        prop_oneof![Just("c-1".to_owned()), Just("c-1-r1-x".to_owned()), Just("c-1-r2-y".to_owned()), "[a-z]{0,3}"];
    prop_oneof![
        4 => (node(), eligibility(), text, text, any::<u64>()).prop_map(|(node, eligibility, by, reason, at_ms)| {
            Command::SetEligibility { node, eligibility, by, reason, at_ms }
        }),
        4 => new_event().prop_map(|event| Command::Record { event }),
        2 => (nodes(), nodes(), hash, text, any::<u64>()).prop_map(|(voters, replaced, revision, by, at_ms)| {
            Command::AdoptVoters { voters, replaced, revision, by, at_ms }
        }),
        4 => about_models(),
        8 => about_jobs(),
        1 => (cluster, nodes(), hash, text, any::<u64>()).prop_map(|(cluster_id, voters, revision, by, at_ms)| {
            Command::FormCluster { cluster_id, voters, revision, by, at_ms }
        }),
    ]
}

fn once(inner: impl Strategy<Value = Command> + Clone) -> impl Strategy<Value = Command> + Clone {
    ("[a-f]{0,1}", inner).prop_map(|(request_id, inner)| Command::Once { request_id, inner: Box::new(inner) })
}

pub(crate) fn command() -> impl Strategy<Value = Command> + Clone {
    let flat = prop_oneof![5 => simple(), 2 => once(simple())];
    let restore = (vec(flat.clone(), 0..20), "[ -~]{0,12}", any::<u64>()).prop_map(|(commands, source, at_ms)| {
        let state = Box::new(after(&commands).state);
        Command::Restore { state, source, by: "ops".to_owned(), at_ms }
    });
    prop_oneof![20 => flat.clone(), 1 => restore, 1 => once(once(flat))]
}

/// Histories of jobs alone, long enough that some of them end.
pub(crate) fn job_commands(most: usize) -> impl Strategy<Value = Vec<Command>> {
    let cordon = (node(), eligibility()).prop_map(|(node, eligibility)| Command::SetEligibility {
        node,
        eligibility,
        by: String::new(),
        reason: String::new(),
        at_ms: 0,
    });
    let restore = vec(about_jobs(), 0..20).prop_map(|commands| {
        let state = Box::new(after(&commands).state);
        Command::Restore { state, source: String::new(), by: String::new(), at_ms: 0 }
    });
    vec(prop_oneof![30 => about_jobs(), 1 => cordon, 1 => restore], 0..most)
}

pub(crate) fn commands(most: usize) -> impl Strategy<Value = Vec<Command>> {
    vec(command(), 0..most)
}

/// What is agreed after these commands, in the entries 1, 2, 3 …
pub(crate) fn after(commands: &[Command]) -> Agreed {
    let mut agreed = Agreed::default();
    replay(&mut agreed, commands);
    agreed
}

pub(crate) fn replay(agreed: &mut Agreed, commands: &[Command]) {
    for command in commands {
        let meta = EntryMeta { term: 1 + agreed.index / 7, index: agreed.index + 1 };
        agreed.apply(meta, command).expect("the next index");
    }
}

pub(crate) fn state_after(commands: &[Command]) -> ClusterState {
    after(commands).state
}

pub(crate) fn update() -> impl Strategy<Value = Update> {
    let meta = (any::<u64>(), any::<u64>()).prop_map(|(term, index)| EntryMeta { term, index });
    prop_oneof![
        commands(20).prop_map(|commands| Update::Snapshot(after(&commands).into())),
        (meta.clone(), command()).prop_map(|(meta, command)| Update::Entry { meta, command }),
        meta.prop_map(Update::Blank),
    ]
}
