//! The life of jobs: submitted, placed, run, ended, tried again, moved, cancelled, restored.

mod support;

use ringrift_job::{Bytes, How, JobId, Limits, ParamValue};
use ringrift_state::{
    Agreed, Assignment, Command, Eligibility, EntryMeta, Fill, Holder, Job, JobChange, JobOutcome, Jobs, NewJob,
    Origin, Outcome, Phase, kind,
};
use serde_json::json;
use support::{ending, id, ids, job, new_job, on};

/// A cluster to which commands are given.
#[derive(Default)]
struct Cluster {
    agreed: Agreed,
}

impl Cluster {
    fn apply(&mut self, command: &Command) -> Outcome {
        let meta = EntryMeta { term: 3, index: self.agreed.index + 1 };
        self.agreed.apply(meta, command).expect("the next index")
    }

    fn submit(&mut self, jobs: Vec<NewJob>) -> Outcome {
        self.apply(&Command::SubmitJobs { jobs, hard_limit: 6, at_ms: 1000 })
    }

    fn change(&mut self, change: JobChange) -> Outcome {
        self.apply(&Command::ChangeJobs { changes: vec![change], at_ms: 2000 })
    }

    fn done(&mut self, change: &JobChange) {
        assert_eq!(self.change(change.clone()), Outcome::Done, "{change:?}");
    }

    fn cancel(&mut self, number: u8) {
        let cancel = Command::CancelJobs { jobs: [job(number)].into(), by: "eve".into(), at_ms: 3000 };
        assert_eq!(self.apply(&cancel), Outcome::Done);
    }

    fn place(&mut self, number: u8, attempt: u32, node: &str) -> Outcome {
        self.change(JobChange::Place { job: job(number), attempt, assignment: on(node), slots: 2 })
    }

    /// The job runs on the node.
    fn run(&mut self, number: u8, attempt: u32, node: &str) {
        assert_eq!(self.place(number, attempt, node), Outcome::Done);
        self.done(&JobChange::Started { job: job(number), attempt, since_ms: 1500 });
    }

    fn end(&mut self, number: u8, attempt: u32, how: How) {
        self.done(&JobChange::Ended { job: job(number), attempt, ending: ending(how) });
    }

    fn job(&self, number: u8) -> &Job {
        self.agreed.state.jobs.get(&job(number)).expect("it is known")
    }

    fn outcome(&self, number: u8) -> Option<JobOutcome> {
        match self.job(number).phase {
            Phase::Ended { outcome, .. } => Some(outcome),
            _ => None,
        }
    }

    fn kinds(&self) -> Vec<&str> {
        self.agreed.state.events.iter().map(|event| event.event.kind.as_str()).collect()
    }
}

fn with(number: u8, change: impl FnOnce(&mut NewJob)) -> NewJob {
    let mut job = new_job(number);
    change(&mut job);
    job
}

fn reason(outcome: Outcome) -> String {
    match outcome {
        Outcome::Refused { reason } => reason,
        other => panic!("not refused: {other:?}"),
    }
}

const FAILS: How = How::Exited { code: 2 };
const SUCCEEDS: How = How::Exited { code: 0 };

#[test]
fn a_job_that_fails_is_tried_again_and_its_events_say_so() {
    let mut cluster = Cluster::default();
    assert_eq!(cluster.submit(vec![new_job(1)]), Outcome::Done);
    cluster.run(1, 1, "a");
    cluster.end(1, 1, FAILS);
    assert_eq!((cluster.job(1).phase.clone(), cluster.job(1).failures, cluster.job(1).retry), (Phase::Pending, 1, 1));
    assert_eq!(cluster.job(1).reason, "attempt 1 on a exited with status 2; it is tried again");
    cluster.run(1, 2, "b");
    cluster.end(1, 2, SUCCEEDS);
    assert_eq!(cluster.outcome(1), Some(JobOutcome::Succeeded));
    let holders: Vec<String> = cluster.job(1).attempts.iter().map(|past| past.holder.to_string()).collect();
    assert_eq!(holders, ["a", "b"]);
    let events: Vec<_> = cluster.agreed.state.events.iter().map(|event| event.to_json()).collect();
    insta::assert_snapshot!("job_events", format!("{:#}", json!(events)));
}

#[test]
fn the_last_attempt_decides_how_a_job_ended() {
    for (how, outcome) in [
        (FAILS, JobOutcome::Failed),
        (How::OutOfMemory, JobOutcome::Failed),
        (How::Stopped, JobOutcome::Failed),
        (How::TimedOut, JobOutcome::TimedOut),
        (How::Vanished, JobOutcome::Lost),
        (SUCCEEDS, JobOutcome::Succeeded),
    ] {
        let mut cluster = Cluster::default();
        cluster.submit(vec![with(1, |job| job.max_attempts = 1)]);
        cluster.run(1, 1, "a");
        cluster.end(1, 1, how.clone());
        assert_eq!(cluster.outcome(1), Some(outcome), "{how:?}");
    }
}

#[test]
fn a_lost_job_goes_elsewhere_and_its_old_run_counts_no_more() {
    let mut cluster = Cluster::default();
    cluster.submit(vec![new_job(1)]);
    cluster.run(1, 1, "a");
    cluster.done(&JobChange::Lost { job: job(1), attempt: 1, reason: "a has been dead for 61 s".into() });
    assert_eq!(cluster.place(1, 1, "b"), Outcome::Unchanged, "an attempt is not begun twice");
    cluster.run(1, 2, "b");
    let before = cluster.agreed.state.clone();
    for late in [
        JobChange::Started { job: job(1), attempt: 1, since_ms: 9 },
        JobChange::Ended { job: job(1), attempt: 1, ending: ending(SUCCEEDS) },
        JobChange::Refused { job: job(1), attempt: 1, reason: String::new() },
    ] {
        assert_eq!(cluster.change(late), Outcome::Unchanged);
    }
    assert_eq!(cluster.agreed.state, before);
    assert!(cluster.kinds().contains(&kind::JOB_MOVED));
}

#[test]
fn a_node_that_gives_a_job_back_is_avoided_and_no_attempt_is_counted() {
    let mut cluster = Cluster::default();
    cluster.submit(vec![with(1, |job| job.max_attempts = 1)]);
    cluster.place(1, 1, "a");
    cluster.done(&JobChange::Refused { job: job(1), attempt: 1, reason: "its disk is full".into() });
    cluster.place(1, 2, "b");
    cluster.end(1, 2, How::NotStarted { reason: "no such program".into() });
    let job = cluster.job(1);
    assert_eq!((&job.avoid, job.failures, job.retry, job.is_pending()), (&ids(&["a", "b"]), 0, 2, true));
    // One that had begun counts.
    cluster.run(1, 3, "c");
    cluster.done(&JobChange::Refused { job: support::job(1), attempt: 3, reason: "its GPU idled for 600 s".into() });
    assert_eq!(cluster.outcome(1), Some(JobOutcome::Failed));
}

#[test]
fn a_recalled_job_goes_elsewhere_once_it_has_stopped() {
    let mut cluster = Cluster::default();
    cluster.submit(vec![with(1, |job| job.max_attempts = 1), with(2, |job| job.origin = Origin::Fill)]);
    for number in [1, 2] {
        cluster.run(number, 1, "a");
        cluster.done(&JobChange::Recall { job: job(number), attempt: 1, reason: "a is drained".into() });
        assert!(!cluster.job(number).is_wanted() && cluster.job(number).run().is_some());
        cluster.end(number, 1, How::Stopped);
    }
    assert_eq!((cluster.job(1).failures, cluster.job(1).is_pending(), &cluster.job(1).recall), (0, true, &None));
    assert_eq!(cluster.outcome(2), Some(JobOutcome::Cancelled), "another one is made for another slot");
}

#[test]
fn cancelling_waits_for_the_run_to_stop() {
    let mut cluster = Cluster::default();
    cluster.submit(vec![new_job(1), new_job(2), new_job(3), new_job(4)]);
    cluster.run(2, 1, "a");
    cluster.run(3, 1, "a");
    let pull = Holder::Pull { worker: "w1".into(), node: None };
    let assignment = Assignment { holder: pull, gpus: vec![], gpu_share: 0, memory: 0 };
    cluster.done(&JobChange::Place { job: job(4), attempt: 1, assignment, slots: 0 });
    (1..=4).for_each(|number| cluster.cancel(number));
    let outcomes = |cluster: &Cluster| [1, 2, 3, 4].map(|number| cluster.outcome(number));
    // Nobody can stop a pull worker; its attempt is fenced instead.
    assert_eq!(outcomes(&cluster), [Some(JobOutcome::Cancelled), None, None, Some(JobOutcome::Cancelled)]);
    cluster.end(2, 1, How::Signalled { signal: 15 });
    // It was done before the news came.
    cluster.end(3, 1, SUCCEEDS);
    assert_eq!(outcomes(&cluster)[1..3], [Some(JobOutcome::Cancelled), Some(JobOutcome::Succeeded)]);
    let again = Command::CancelJobs { jobs: (1..=4).map(job).collect(), by: String::new(), at_ms: 0 };
    assert_eq!(cluster.apply(&again), Outcome::Unchanged);
}

#[test]
fn what_depends_on_a_failed_job_fails_with_it() {
    let mut cluster = Cluster::default();
    let needs =
        |number: u8, needed: &[u8]| with(number, |new| new.depends_on = needed.iter().map(|n| job(*n)).collect());
    cluster.submit(vec![
        with(1, |job| job.max_attempts = 1),
        needs(2, &[1]),
        needs(3, &[2]),
        new_job(4),
        needs(5, &[4]),
    ]);
    assert_eq!(cluster.place(2, 1, "a"), Outcome::Unchanged, "not before what it depends on");
    cluster.run(1, 1, "a");
    cluster.end(1, 1, FAILS);
    assert_eq!(
        [2, 3, 5].map(|number| cluster.outcome(number)),
        [Some(JobOutcome::Failed), Some(JobOutcome::Failed), None]
    );
    assert_eq!(cluster.job(3).reason, "it depends on selfplay-2, which is failed");
    cluster.run(4, 1, "a");
    cluster.end(4, 1, SUCCEEDS);
    assert_eq!(cluster.place(5, 1, "a"), Outcome::Done);
    let refusal = reason(cluster.submit(vec![needs(6, &[1])]));
    assert_eq!(refusal, "selfplay-6 depends on selfplay-1, which is failed");
}

#[test]
fn a_batch_is_taken_whole_or_not_at_all() {
    let mut cluster = Cluster::default();
    let long = ParamValue::Text("x".repeat(NewJob::MAX_PARAMS));
    for (bad, why) in [
        (with(2, |new| new.depends_on = vec![job(3)]), "there is no such job"),
        (with(2, |new| new.depends_on = vec![job(2)]), "there is no such job"),
        (with(2, |new| new.max_attempts = 0), "expected 1 to 20"),
        (with(2, |new| new.params = [("a".to_owned(), long)].into_iter().collect()), "bytes; at most 4096"),
        (with(2, |new| new.depends_on = vec![job(1); 33]), "at most 32"),
    ] {
        let refusal = reason(cluster.submit(vec![new_job(1), bad, new_job(3)]));
        assert!(refusal.contains(why), "{refusal}");
        assert!(cluster.agreed.state.jobs.is_empty() && cluster.kinds().is_empty());
    }
    assert_eq!(cluster.submit((1..=3).map(new_job).collect()), Outcome::Done);
    assert_eq!(
        cluster.submit((1..=3).map(new_job).collect()),
        Outcome::Unchanged,
        "a repeated request is the same jobs"
    );
    let full = reason(cluster.submit((4..=7).map(new_job).collect()));
    assert!(full.starts_with(Jobs::FULL), "{full}");
    // What fills slots is not counted and not refused.
    assert_eq!(cluster.submit((4..=7).map(|n| with(n, |job| job.origin = Origin::Fill)).collect()), Outcome::Done);
    assert_eq!(cluster.submit((8..=10).map(new_job).collect()), Outcome::Done);
    assert_eq!(cluster.agreed.state.jobs.counts().queued, 6);
    assert_eq!(cluster.kinds(), [kind::JOB_SUBMITTED; 2]);
}

#[test]
fn a_late_placement_cannot_fill_a_node_beyond_what_it_has() {
    let mut cluster = Cluster::default();
    cluster.submit((1..=6).map(new_job).collect());
    let on_gpus = |number: u8, gpus: &[u32], gpu_share: u32| JobChange::Place {
        job: job(number),
        attempt: 1,
        assignment: Assignment { gpus: gpus.to_vec(), gpu_share, ..on("g") },
        slots: 4,
    };
    cluster.done(&on_gpus(1, &[0, 1], 100));
    cluster.done(&on_gpus(2, &[2], 60));
    assert_eq!(cluster.change(on_gpus(3, &[1], 1)), Outcome::Unchanged, "the GPU is somebody else's");
    assert_eq!(cluster.change(on_gpus(3, &[2], 50)), Outcome::Unchanged, "so much is not left of it");
    assert_eq!(cluster.change(on_gpus(3, &[3, 3], 50)), Outcome::Unchanged);
    cluster.done(&on_gpus(3, &[2], 40));
    cluster.done(&on_gpus(4, &[], 0));
    assert_eq!(cluster.change(on_gpus(5, &[], 0)), Outcome::Unchanged, "it has no slot");
    // What ends in the same batch makes room in it.
    let ended = JobChange::Ended { job: job(1), attempt: 1, ending: ending(SUCCEEDS) };
    let changes = vec![on_gpus(6, &[0], 100), ended, on_gpus(5, &[0], 100)];
    cluster.apply(&Command::ChangeJobs { changes, at_ms: 0 });
    assert!(cluster.job(6).is_pending() && cluster.job(5).assignment().is_some());

    let drain = Command::SetEligibility {
        node: id("a"),
        eligibility: Eligibility::Draining,
        by: String::new(),
        reason: String::new(),
        at_ms: 0,
    };
    cluster.apply(&drain);
    assert_eq!(cluster.place(6, 1, "a"), Outcome::Unchanged, "a drained node gets nothing");
    assert_eq!(cluster.agreed.state.jobs.held_by(&id("g")).count(), 4);
}

#[test]
fn limits_change_while_it_runs() {
    let mut cluster = Cluster::default();
    cluster.submit(vec![new_job(1)]);
    cluster.run(1, 1, "a");
    let limit = |job: JobId, max: u64| Command::LimitJob {
        job,
        limits: Limits { memory_max: Some(Bytes(max)), ..Limits::default() },
        by: "ada".into(),
        at_ms: 0,
    };
    assert_eq!(cluster.apply(&limit(job(1), 5)), Outcome::Done);
    assert_eq!(cluster.apply(&limit(job(1), 5)), Outcome::Unchanged);
    assert_eq!(cluster.job(1).limits.memory_max, Some(Bytes(5)));
    assert_eq!(reason(cluster.apply(&limit(job(1), 0))), "memory_max is 0: nothing could run");
    reason(cluster.apply(&limit(job(2), 5)));
}

#[test]
fn a_restore_brings_back_what_was_forgotten_and_nothing_runs_twice() {
    let mut old = Cluster::default();
    let needs_1 = with(4, |new| new.depends_on = vec![job(1)]);
    let filled = with(6, |job| job.origin = Origin::Fill);
    old.submit(vec![new_job(1), new_job(2), new_job(3), needs_1, new_job(5), filled]);
    old.run(1, 1, "a");
    old.end(1, 1, SUCCEEDS);
    old.run(2, 1, "a");
    old.run(5, 1, "b");
    old.cancel(5);
    let fill = Fill { enabled: false, weights: [].into(), by: "ada".into(), at_ms: 0 };
    old.apply(&Command::SetFill { fill: Some(fill.clone()), at_ms: 0 });
    let saved = old.agreed.state.clone();

    // The same cluster, later: what it knows is newer.
    old.end(2, 1, SUCCEEDS);
    old.run(3, 1, "a");
    let before = old.agreed.state.jobs.clone();
    let restore = |state: &ringrift_state::ClusterState| Command::Restore {
        state: Box::new(state.clone().for_restore()),
        source: String::new(),
        by: "ops".into(),
        at_ms: 0,
    };
    old.apply(&restore(&saved));
    assert_eq!(old.agreed.state.jobs, before);

    // A new cluster: all comes back that had not ended, fenced from the runs of then.
    let mut new = Cluster::default();
    new.apply(&restore(&saved));
    for number in [2, 3, 4] {
        assert!(new.job(number).is_pending() && new.job(number).attempt >= 1000, "{:?}", new.job(number));
    }
    assert_eq!(new.outcome(1), Some(JobOutcome::Succeeded), "what others depend on");
    assert_eq!(new.outcome(5), Some(JobOutcome::Cancelled));
    assert_eq!(new.agreed.state.jobs.get(&job(6)), None, "what filled slots does not come back");
    assert_eq!(new.agreed.state.fill, Some(fill));
    let stale = JobChange::Ended { job: job(2), attempt: 1, ending: ending(SUCCEEDS) };
    assert_eq!(new.change(stale), Outcome::Unchanged);
    let attempt = new.job(2).attempt + 1;
    assert_eq!(new.place(2, attempt, "a"), Outcome::Done);
}
