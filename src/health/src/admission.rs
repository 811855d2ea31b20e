use crate::Resources;

/// Points that a figure must fall below its threshold before jobs are taken again: otherwise each job that ends lets one
/// in that fills the host again.
const HYSTERESIS: f64 = 2.0;

/// From where on a host takes no job, in percent of the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thresholds {
    /// Of memory, or of the container's share of it.
    pub memory_critical: u8,
    /// Of the filesystem with the data.
    pub disk_critical: u8,
}

/// Whether a host takes one more job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It does.
    Admit,
    /// It does not.
    Refuse {
        /// A sentence for people.
        reason: String,
    },
}

/// Decides whether this host takes jobs, before anything on it dies of a full disk or of full memory. Pure: what runs
/// already is not touched, and nothing is deleted.
#[derive(Debug, Clone)]
pub struct Admission {
    thresholds: Thresholds,
    memory_full: bool,
    disk_full: bool,
}

impl Admission {
    /// Nothing is full yet.
    pub fn new(thresholds: Thresholds) -> Self {
        Self { thresholds, memory_full: false, disk_full: false }
    }

    /// Other thresholds from now on. What is full stays so until it has fallen far enough below them.
    pub fn set(&mut self, thresholds: Thresholds) {
        self.thresholds = thresholds;
    }

    /// Judges the newest figures.
    pub fn step(&mut self, resources: &Resources) -> Verdict {
        if resources.cpu_count == 0 {
            return Verdict::Refuse { reason: "the load of this host was not measured yet".to_owned() };
        }
        let Thresholds { memory_critical, disk_critical } = self.thresholds;
        let memory = full(&mut self.memory_full, "memory", resources.memory_percent, memory_critical);
        let disk = full(&mut self.disk_full, "disk", resources.disk_percent, disk_critical);
        let reasons: Vec<String> = memory.into_iter().chain(disk).collect();
        if reasons.is_empty() { Verdict::Admit } else { Verdict::Refuse { reason: reasons.join("; ") } }
    }
}

/// A sentence if this is full, or was and has not fallen far enough.
fn full(was: &mut bool, name: &str, percent: f64, critical: u8) -> Option<String> {
    let from = f64::from(critical);
    let below = if *was { from - HYSTERESIS } else { from };
    *was = percent >= below;
    was.then(|| {
        format!(
            "{name} at {percent:.1} %: no job is taken from {from:.0} % on, until it is below {:.0} %",
            from - HYSTERESIS
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission() -> Admission {
        Admission::new(Thresholds { memory_critical: 80, disk_critical: 96 })
    }

    fn at(memory_percent: f64, disk_percent: f64) -> Resources {
        Resources { cpu_count: 4, memory_percent, disk_percent, ..Resources::default() }
    }

    #[test]
    fn a_full_host_takes_no_job_until_it_has_fallen_two_points() {
        let mut admission = admission();
        for (memory, disk, refused) in [
            (79.9, 95.9, vec![]),
            (80.0, 50.0, vec!["memory"]),
            (78.0, 50.0, vec!["memory"]),
            (77.9, 50.0, vec![]),
            (79.9, 50.0, vec![]),
            (50.0, 96.0, vec!["disk"]),
            (81.0, 94.5, vec!["memory", "disk"]),
            (78.5, 93.9, vec!["memory"]),
            (10.0, 10.0, vec![]),
        ] {
            let reason = match admission.step(&at(memory, disk)) {
                Verdict::Admit => String::new(),
                Verdict::Refuse { reason } => reason,
            };
            let named: Vec<&str> = ["memory", "disk"].into_iter().filter(|name| reason.contains(name)).collect();
            assert_eq!(named, refused, "memory {memory} %, disk {disk} %: {reason}");
        }
    }

    #[test]
    fn the_reason_is_a_sentence_with_the_figures() {
        let Verdict::Refuse { reason } = admission().step(&at(83.46, 10.0)) else { panic!("it is full") };
        assert_eq!(reason, "memory at 83.5 %: no job is taken from 80 % on, until it is below 78 %");
    }

    #[test]
    fn a_busy_cpu_is_no_reason_and_a_host_that_was_not_measured_is_one() {
        let busy = Resources { cpu_percent: 100.0, ..at(10.0, 10.0) };
        assert_eq!(admission().step(&busy), Verdict::Admit);
        assert!(matches!(admission().step(&Resources::default()), Verdict::Refuse { .. }));
    }
}
