use std::fmt;

use ringrift_job::Limits;

use crate::plain::cgroup::Delegation;

/// A limit that is not kept as it is on a machine with systemd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limitation {
    /// The limit, as settings spell it.
    pub limit: &'static str,
    /// What is done instead.
    pub instead: &'static str,
    /// Why.
    pub reason: String,
}

impl fmt::Display for Limitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {}: {}", self.limit, self.instead, self.reason)
    }
}

pub(super) fn of(delegation: &Result<Delegation, String>) -> Vec<Limitation> {
    let lacks = |limit: &str| match delegation {
        Ok(delegation) => delegation.missing.contains(&limit),
        Err(_) => true,
    };
    let reason = match delegation {
        Ok(delegation) => format!("{} has no controller for it", delegation.runs.display()),
        Err(reason) => format!("control groups cannot be used: {reason}"),
    };
    let all = Limits::NAMES.into_iter().filter(|limit| lacks(limit));
    all.map(|limit| Limitation { limit, instead: instead(limit), reason: reason.clone() }).collect()
}

fn instead(limit: &str) -> &'static str {
    match limit {
        "cpu_weight" => "kept by the nice value of each thread, and only below 100",
        "allowed_cpus" => "kept by the affinity of each thread, which a program may change",
        "tasks_max" => "not kept by the kernel; the daemon stops a run that it sees above it",
        _ => "not kept",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_that_is_not_kept_is_named() {
        let none = of(&Err("there is no cgroup v2 here".to_owned()));
        assert_eq!(none.iter().map(|limitation| limitation.limit).collect::<Vec<_>>(), Limits::NAMES);
        assert_eq!(
            none[0].to_string(),
            "memory_high is not kept: control groups cannot be used: there is no cgroup v2 here"
        );
        let some = of(&Ok(Delegation { runs: "/g".into(), missing: vec!["io_weight"] }));
        assert_eq!(some.iter().map(|limitation| limitation.limit).collect::<Vec<_>>(), ["io_weight"]);
    }
}
