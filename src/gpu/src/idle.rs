use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// From here on a GPU is at work, percent: the driver itself and a desktop make up to a few.
const AT_WORK: u8 = 5;

/// Two looks further apart than this say nothing of the time between them: the driver hung, or the machine slept.
const LONGEST_GAP: Duration = Duration::from_mins(1);

/// Finds GPUs that do nothing although a job was given to them. Pure: it is told the time, and stops nothing itself.
///
/// `J` tells one job from another, by its id and attempt: a new one on the same GPU gets its own time to begin.
#[derive(Debug)]
pub struct GpuIdle<J> {
    threshold: Duration,
    looked: Option<Instant>,
    idle: BTreeMap<String, (J, Instant)>,
}

/// A GPU that has been idle for longer than it may, with a job on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idle<J> {
    /// The UUID of the GPU.
    pub gpu: String,
    /// The job on it.
    pub job: J,
    /// How long it has been idle.
    pub idle_for: Duration,
}

impl<J: Clone + PartialEq> GpuIdle<J> {
    /// GPUs may be idle for `threshold`.
    pub fn new(threshold: Duration) -> Self {
        Self { threshold, looked: None, idle: BTreeMap::new() }
    }

    /// GPUs may be idle for so long from now on.
    pub fn set(&mut self, threshold: Duration) {
        self.threshold = threshold;
    }

    /// Takes in one look: how busy each GPU is in percent, by UUID, and which job each has. Returns the GPUs that have been
    /// idle for too long, again at each look while they are.
    ///
    /// Only what was measured counts. A GPU that is not among `percents`, or whose figure is not known, is not called idle,
    /// and its time begins anew.
    pub fn step(
        &mut self,
        now: Instant,
        percents: &BTreeMap<String, Option<u8>>,
        jobs: &BTreeMap<String, J>,
    ) -> Vec<Idle<J>> {
        let gap = self.looked.replace(now).is_some_and(|before| now.saturating_duration_since(before) > LONGEST_GAP);
        let before = std::mem::take(&mut self.idle);
        for (gpu, job) in jobs {
            let Some(Some(percent)) = percents.get(gpu) else { continue };
            if *percent < AT_WORK {
                let since = before.get(gpu).filter(|(same, _)| same == job && !gap).map_or(now, |(_, since)| *since);
                self.idle.insert(gpu.clone(), (job.clone(), since));
            }
        }
        let for_long = self.idle.iter().filter_map(|(gpu, (job, since))| {
            let idle_for = now.saturating_duration_since(*since);
            (idle_for > self.threshold).then(|| Idle { gpu: gpu.clone(), job: job.clone(), idle_for })
        });
        for_long.collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const THRESHOLD: Duration = Duration::from_mins(10);
    const LOOK: u64 = 5;

    /// Looks at one GPU every five seconds, as `at` says of each second, and returns the seconds at which it was reported.
    fn reported(seconds: u64, at: impl Fn(u64) -> (Option<u8>, Option<u32>)) -> Vec<u64> {
        let (mut idle, start) = (GpuIdle::new(THRESHOLD), Instant::now());
        let mut reported = Vec::new();
        for second in (0..seconds).step_by(LOOK as usize) {
            let (percent, job) = at(second);
            let percents = BTreeMap::from([("gpu".to_owned(), percent)]);
            let jobs = job.map(|job| ("gpu".to_owned(), job)).into_iter().collect();
            if !idle.step(start + Duration::from_secs(second), &percents, &jobs).is_empty() {
                reported.push(second);
            }
        }
        reported
    }

    #[test]
    fn idle_with_a_job_for_longer_than_the_threshold_is_reported_until_it_ends() {
        let reports = reported(1000, |second| (Some(if second < 900 { 0 } else { 80 }), Some(1)));
        assert_eq!(reports, (605..900).step_by(5).collect::<Vec<_>>());
    }

    #[test]
    fn nothing_else_is_reported() {
        assert_eq!(reported(5000, |_| (Some(0), None)), [0; 0], "idle without a job");
        assert_eq!(reported(5000, |_| (Some(AT_WORK), Some(1))), [0; 0], "at work");
        assert_eq!(reported(5000, |_| (None, Some(1))), [0; 0], "never measured");
        assert_eq!(reported(5000, |s| (Some(if s % 600 == 0 { 90 } else { 0 }), Some(1))), [0; 0], "in bursts");
        assert_eq!(reported(5000, |s| (Some(0), Some((s / 600) as u32))), [0; 0], "another job each time");
        assert_eq!(reported(5000, |s| ((s % 300 != 0).then_some(0), Some(1))), [0; 0], "not measured in between");
    }

    #[test]
    fn time_in_which_nobody_looked_does_not_count() {
        let (mut idle, start) = (GpuIdle::new(THRESHOLD), Instant::now());
        let (percents, jobs) = (BTreeMap::from([("gpu".into(), Some(0))]), BTreeMap::from([("gpu".into(), 1)]));
        for hours in 0..10 {
            let at = start + Duration::from_secs(hours * 3600);
            assert_eq!(idle.step(at, &percents, &jobs), [], "an hour after the last look");
        }
    }

    #[test]
    fn each_gpu_is_judged_by_itself() {
        let (mut idle, start) = (GpuIdle::new(THRESHOLD), Instant::now());
        let percents = BTreeMap::from([("a".into(), Some(0)), ("b".into(), Some(99)), ("c".into(), Some(0))]);
        let jobs = BTreeMap::from([("a".into(), "j1"), ("b".into(), "j2")]);
        let mut last = Vec::new();
        for second in (0..=630).step_by(10) {
            last = idle.step(start + Duration::from_secs(second), &percents, &jobs);
        }
        assert_eq!(last, [Idle { gpu: "a".into(), job: "j1", idle_for: Duration::from_secs(630) }]);
    }

    proptest! {
        #[test]
        fn whoever_is_reported_was_seen_idle_with_that_job_at_every_look_of_the_threshold(
            looks in proptest::collection::vec((0_u8..10, 0_u32..2, 1_u64..90, proptest::bool::weighted(0.97)), 1..300),
        ) {
            let (mut idle, mut now) = (GpuIdle::new(Duration::from_mins(2)), Instant::now());
            let mut history: Vec<(Instant, bool, u32)> = Vec::new();
            for (percent, job, gap, is_idle) in looks {
                now += Duration::from_secs(gap);
                let percent = if is_idle { percent.min(AT_WORK - 1) } else { AT_WORK + percent };
                let percents = BTreeMap::from([("gpu".to_owned(), Some(percent))]);
                let found = idle.step(now, &percents, &BTreeMap::from([("gpu".to_owned(), job)]));
                history.push((now, is_idle, job));
                for found in found {
                    prop_assert!(found.idle_for > Duration::from_mins(2));
                    let begin = now.checked_sub(found.idle_for).unwrap();
                    let seen: Vec<_> = history.iter().filter(|(at, _, _)| *at >= begin).collect();
                    prop_assert!(seen.iter().all(|(_, idle, at)| *idle && *at == job));
                    prop_assert!(seen.windows(2).all(|pair| pair[1].0 - pair[0].0 <= LONGEST_GAP));
                    prop_assert_eq!(seen[0].0, begin);
                }
            }
        }
    }
}
