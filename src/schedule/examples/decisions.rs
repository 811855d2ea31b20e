//! What a decision costs: places 10,000 queued jobs on so many nodes, then looks on while all of them run.
//!
//! `cargo run --release -p ringrift-schedule --example decisions`

use std::sync::Arc;
use std::time::Duration;

use ringrift_config::Capability;
use ringrift_job::{Classes, GameConfig, Limits};
use ringrift_schedule::{FillPolicy, GpuView, NodeView, Presence, Scheduler, Settings, View};
use ringrift_state::{ClusterState, Command, Eligibility, EntryMeta, JobChange, NewJob, Origin};

const JOBS: usize = 10_000;

/// Of this thread: what else the machine does is not counted.
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn node(at: usize, slots: u32, classes: &Classes) -> Option<NodeView> {
    let gpus = if at.is_multiple_of(2) { 0 } else { 4 };
    Some(NodeView {
        id: format!("node-{at}").parse().ok()?,
        presence: Presence::Alive,
        eligibility: Eligibility::Eligible,
        ready: true,
        capabilities: vec![Capability::Selfplay, Capability::Training],
        slots,
        load: 0.0,
        refuses: None,
        fill: true,
        offer: classes.iter().map(|class| (class.name.clone(), class.needs.clone())).collect(),
        gpus: (0..gpus).map(|index| GpuView { index, vram_bytes: 24 << 30, usable: true }).collect(),
        memory_bytes: 0,
        models: GameConfig::all().collect(),
    })
}

fn job(at: usize, classes: &Classes) -> Option<NewJob> {
    let class = classes.get(if at.is_multiple_of(20) { "gpu_selfplay" } else { "selfplay" })?;
    Some(NewJob {
        id: format!("{}-{at}", class.name).parse().ok()?,
        class: class.name.clone(),
        kind: class.kind,
        params: [].into_iter().collect(),
        game: GameConfig::all().nth(at % 12),
        priority: i32::from(at.is_multiple_of(3)),
        depends_on: Vec::new(),
        timeout_s: 0,
        max_attempts: 3,
        pinned: None,
        origin: Origin::Work,
        by: String::new(),
        limits: Limits::default(),
    })
}

fn main() {
    let classes = Classes::default();
    for count in [42, 1000] {
        let slots = JOBS as u32 / count as u32 + 1;
        let nodes: Vec<NodeView> = (0..count).filter_map(|at| node(at, slots, &classes)).collect();
        let fill = FillPolicy {
            enabled: true,
            classes: classes.get("selfplay").map(Arc::clone).into_iter().collect(),
            ..FillPolicy::default()
        };
        let settings = Settings { fill, ..Settings::default() };
        let (mut state, mut index) = (ClusterState::default(), 0);
        let mut apply = |state: &mut ClusterState, command: &Command| {
            index += 1;
            state.apply(EntryMeta { term: 1, index }, command);
        };
        let all: Vec<NewJob> = (0..JOBS).filter_map(|at| job(at, &classes)).collect();
        for jobs in all.chunks(NewJob::MAX_BATCH) {
            apply(&mut state, &Command::SubmitJobs { jobs: jobs.to_vec(), hard_limit: u32::MAX, at_ms: 0 });
        }
        let mut scheduler = Scheduler::new(1);
        let (mut now, mut deciding, mut applying, mut placed, mut steps) = (0, Duration::ZERO, Duration::ZERO, 0, 0);
        let mut idle = Vec::new();
        while idle.len() < 20 {
            now += 500;
            let view = View {
                jobs: &state.jobs,
                nodes: &nodes,
                led_for: Duration::from_hours(1),
                underserved: &[],
                settings: &settings,
            };
            let begun = processor_time();
            let decisions = scheduler.step(Duration::from_millis(now), &view);
            let took = processor_time().saturating_sub(begun);
            if decisions.is_empty() {
                idle.push(took);
                continue;
            }
            deciding += took;
            steps += 1;
            placed += decisions.changes.iter().filter(|change| matches!(change, JobChange::Place { .. })).count();
            let begun = processor_time();
            if !decisions.submit.is_empty() {
                apply(&mut state, &Command::SubmitJobs { jobs: decisions.submit, hard_limit: 0, at_ms: 0 });
            }
            let started = |job: &Arc<ringrift_state::Job>| {
                let started = JobChange::Started { job: job.id.clone(), attempt: job.attempt, since_ms: 0 };
                (job.assignment().is_some()).then_some(started)
            };
            apply(&mut state, &Command::ChangeJobs { changes: decisions.changes, at_ms: 0 });
            let changes = state.jobs.live().filter_map(started).collect::<Vec<_>>();
            for changes in changes.chunks(JobChange::MAX_BATCH) {
                apply(&mut state, &Command::ChangeJobs { changes: changes.to_vec(), at_ms: 0 });
            }
            applying += processor_time().saturating_sub(begun);
        }
        idle.sort();
        println!(
            "{count} nodes: {placed} placements in {steps} steps, {:.1} µs each to decide and {:.1} µs to apply; a step with \
             {} jobs there and nothing to do {:.2} ms (median of {})",
            deciding.as_secs_f64() * 1e6 / placed as f64,
            applying.as_secs_f64() * 1e6 / placed as f64,
            state.jobs.live().len(),
            idle[idle.len() / 2].as_secs_f64() * 1e3,
            idle.len(),
        );
    }
}
