//! What must hold for every history of jobs.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;
use ringrift_state::{
    Agreed, ClusterState, Command, EntryMeta, EventLog, Job, JobChange, Jobs, NewEvent, NewJob, Origin, Outcome, Phase,
    decode, encode, kind,
};
use support::{ending, job_commands, new_job, on, replay};

/// What must hold in every state.
fn check(state: &ClusterState) {
    for job in state.jobs.live() {
        assert!(job.is_live(), "{job:?}");
        assert!(job.attempts.len() <= Job::MAX_HISTORY && job.avoid.len() <= Job::MAX_AVOID, "{job:?}");
        assert!(job.reason.len() <= Job::MAX_REASON, "{job:?}");
        assert!(job.attempts.iter().all(|past| past.attempt <= job.attempt), "{job:?}");
        if job.assignment().is_some() {
            assert_eq!(state.jobs.waits_for(job), None, "it runs before what it depends on");
            assert!(job.attempts.iter().all(|past| past.attempt < job.attempt), "{job:?}");
        }
        for needed in &job.depends_on {
            assert!(state.jobs.get(needed).is_some(), "{} depends on a job that was forgotten", job.id);
        }
    }
    assert!(state.jobs.ended().all(|job| !job.is_live()));
    let mut gpus = BTreeMap::<_, u32>::new();
    for assignment in state.jobs.live().filter_map(|job| job.assignment()) {
        for gpu in &assignment.gpus {
            *gpus.entry((assignment.holder.place(), gpu)).or_default() += assignment.gpu_share;
        }
    }
    assert!(gpus.values().all(|share| *share <= 100), "{gpus:?}");
    let written = encode(&state.jobs).expect("it can be written");
    assert_eq!(decode::<Jobs>(&written).expect("it can be read"), state.jobs);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_over_stays_over_and_attempts_only_grow(commands in job_commands(90)) {
        let mut agreed = Agreed::default();
        for command in &commands {
            let before = agreed.state.jobs.clone();
            replay(&mut agreed, std::slice::from_ref(command));
            check(&agreed.state);
            for was in before.iter() {
                let Some(is) = agreed.state.jobs.get(&was.id) else { continue };
                prop_assert!(is.attempt >= was.attempt && is.failures >= was.failures);
                prop_assert!(was.is_live() || is == was, "{was:?} became {is:?}");
            }
        }
    }

    #[test]
    fn a_snapshot_of_jobs_and_the_rest_give_what_the_whole_log_gives(
        commands in job_commands(80), cut in any::<prop::sample::Index>(),
    ) {
        let cut = cut.index(commands.len() + 1);
        let mut whole = Agreed::default();
        replay(&mut whole, &commands);
        let mut half = Agreed::default();
        replay(&mut half, &commands[..cut]);
        let mut resumed: Agreed = decode(&encode(&half).unwrap()).unwrap();
        replay(&mut resumed, &commands[cut..]);
        prop_assert_eq!(encode(&resumed).unwrap(), encode(&whole).unwrap());
    }

    #[test]
    fn a_change_of_another_attempt_changes_nothing(commands in job_commands(60), change in support::job_change()) {
        let mut agreed = Agreed::default();
        replay(&mut agreed, &commands);
        let current = agreed.state.jobs.get(change.job()).map_or(0, |job| job.attempt);
        let named = match &change {
            JobChange::Place { attempt, .. } => attempt.wrapping_sub(1),
            JobChange::Started { attempt, .. } | JobChange::Ended { attempt, .. } | JobChange::Refused { attempt, .. }
            | JobChange::Lost { attempt, .. } | JobChange::Recall { attempt, .. } | JobChange::GiveUp { attempt, .. } => *attempt,
        };
        prop_assume!(named != current);
        let before = agreed.state.clone();
        let meta = EntryMeta { term: 9, index: agreed.index + 1 };
        let outcome = agreed.apply(meta, &Command::ChangeJobs { changes: vec![change], at_ms: 1 }).unwrap();
        prop_assert_eq!(outcome, Outcome::Unchanged);
        prop_assert_eq!(agreed.state, before);
    }

    #[test]
    fn a_batch_is_its_changes_one_by_one(commands in job_commands(40), changes in prop::collection::vec(support::job_change(), 0..12)) {
        let mut at_once = Agreed::default();
        replay(&mut at_once, &commands);
        let mut in_turn = at_once.clone();
        let meta = EntryMeta { term: 9, index: at_once.index + 1 };
        in_turn.index = at_once.index;
        at_once.apply(meta, &Command::ChangeJobs { changes: changes.clone(), at_ms: 1 }).unwrap();
        for change in changes {
            in_turn.state.apply(meta, &Command::ChangeJobs { changes: vec![change], at_ms: 1 });
        }
        let phases = |state: &ClusterState| state.jobs.iter().map(|job| (job.id.clone(), job.phase.clone())).collect::<Vec<_>>();
        prop_assert_eq!(phases(&at_once.state), phases(&in_turn.state));
    }
}

#[test]
fn a_hundred_thousand_jobs_leave_a_bounded_state_and_a_readable_event_log() {
    let mut state = ClusterState::default();
    let mut index = 0;
    let mut apply = |state: &mut ClusterState, command: Command| {
        index += 1;
        assert_eq!(state.apply(EntryMeta { term: 1, index }, &command), Outcome::Done);
    };
    let long = "x".repeat(5000);
    let asked: NewJob = NewJob { id: "training-asked".parse().unwrap(), by: long.clone(), ..new_job(0) };
    apply(&mut state, Command::SubmitJobs { jobs: vec![asked.clone()], hard_limit: 1, at_ms: 0 });
    apply(&mut state, Command::CancelJobs { jobs: [asked.id.clone()].into(), by: long.clone(), at_ms: 0 });
    for round in 0..100u32 {
        let ids: Vec<_> = (0..1000).map(|n| format!("selfplay-{round}-{n}").parse().unwrap()).collect();
        let fill = |id: &ringrift_job::JobId| NewJob { id: id.clone(), origin: Origin::Fill, ..new_job(0) };
        apply(&mut state, Command::SubmitJobs { jobs: ids.iter().map(fill).collect(), hard_limit: 0, at_ms: 0 });
        let each = |change: &dyn Fn(&ringrift_job::JobId, usize) -> JobChange| Command::ChangeJobs {
            changes: ids.iter().enumerate().map(|(n, id)| change(id, n)).collect(),
            at_ms: 0,
        };
        let place = |id: &_, n| JobChange::Place {
            job: Clone::clone(id),
            attempt: 1,
            assignment: on(&format!("node-{}", n % 50)),
            slots: 20,
        };
        apply(&mut state, each(&place));
        apply(&mut state, each(&|id, _| JobChange::Started { job: id.clone(), attempt: 1, since_ms: 5 }));
        let how = |n: usize| {
            if n.is_multiple_of(5) { ringrift_job::How::OutOfMemory } else { ringrift_job::How::Exited { code: 0 } }
        };
        apply(&mut state, each(&|id, n| JobChange::Ended { job: id.clone(), attempt: 1, ending: ending(how(n)) }));
    }
    assert_eq!((state.jobs.live().len(), state.jobs.ended().len()), (0, Jobs::MAX_ENDED / 2 + 1));
    let kept: BTreeSet<_> =
        state.jobs.ended().filter(|job| job.origin == Origin::Fill).map(|job| job.changed_index).collect();
    assert_eq!(kept.len(), 2, "the newest are kept: those of the last batch and a few of the one before");
    let asked: &Arc<Job> = state.jobs.get(&asked.id).expect("what people asked for is not pushed out");
    assert!(asked.by.len() <= Job::MAX_BY && asked.reason.len() <= Job::MAX_REASON);
    let failed: Vec<&NewEvent> =
        state.events.iter().map(|event| &event.event).filter(|e| e.kind == kind::JOB_FAILED).collect();
    assert_eq!(failed.len(), 900, "eight of a batch are told singly, the rest as one");
    assert!(
        state.events.len() < EventLog::MAX && state.events.iter().all(|event| event.event.kind != kind::JOB_STARTED)
    );
    let size = encode(&state).unwrap().len();
    assert!(size < 2 << 20, "{size} bytes");
    assert!(matches!(asked.phase, Phase::Ended { .. }));
}
