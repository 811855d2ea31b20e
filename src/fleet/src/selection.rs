use globset::{Glob, GlobMatcher};
use ringrift_config::{Host, HostsFile, NodeId, report};

/// Which hosts of the hosts file are meant.
#[derive(Debug, Default)]
pub struct Selection {
    nodes: Vec<GlobMatcher>,
    roles: Vec<String>,
}

/// Nothing, or not what was asked for, is meant.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectionError {
    /// No pattern.
    #[error("`{pattern}` is no pattern: {reason}; write a name, or a pattern such as gpu-*")]
    Pattern {
        /// What was written.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A name that no host has.
    #[error("{0}")]
    Unknown(String),
    /// A role that no host has.
    #[error("no host has the role `{role}`; there are {present}")]
    Role {
        /// What was written.
        role: String,
        /// The roles of the file.
        present: String,
    },
    /// Names and roles exclude each other.
    #[error("no host has both one of these names and one of these roles")]
    Nothing,
}

impl Selection {
    /// Hosts whose name matches one of the patterns, of one of the roles. An empty list excludes nobody.
    pub fn new(nodes: &[String], roles: &[String]) -> Result<Self, SelectionError> {
        let matcher = |pattern: &String| {
            Glob::new(pattern)
                .map(|glob| glob.compile_matcher())
                .map_err(|e| SelectionError::Pattern { pattern: pattern.clone(), reason: e.kind().to_string() })
        };
        Ok(Self { nodes: nodes.iter().map(matcher).collect::<Result<_, _>>()?, roles: roles.to_vec() })
    }

    /// Whether every host is meant.
    pub fn is_all(&self) -> bool {
        self.nodes.is_empty() && self.roles.is_empty()
    }

    /// The hosts that are meant, in the file's order. A pattern or a role that meets no host is an error: it is misspelt.
    pub fn of<'a>(&self, file: &'a HostsFile) -> Result<Vec<&'a Host>, SelectionError> {
        for glob in &self.nodes {
            if !file.hosts.keys().any(|id| glob.is_match(id.as_str())) {
                let name = glob.glob().glob();
                let unknown = match report::find(file, name) {
                    Ok(_) => format!("{} has no host that matches {name}", file.path.display()),
                    Err(unknown) => unknown.to_string(),
                };
                return Err(SelectionError::Unknown(unknown));
            }
        }
        for role in &self.roles {
            if !file.hosts.values().any(|host| host.role.as_str() == role) {
                let mut present: Vec<&str> = file.hosts.values().map(|host| host.role.as_str()).collect();
                present.sort_unstable();
                present.dedup();
                return Err(SelectionError::Role { role: role.clone(), present: present.join(", ") });
            }
        }
        let named = |id: &NodeId| self.nodes.is_empty() || self.nodes.iter().any(|glob| glob.is_match(id.as_str()));
        let hosts: Vec<&Host> = file
            .hosts
            .values()
            .filter(|host| named(&host.id))
            .filter(|host| self.roles.is_empty() || self.roles.iter().any(|role| role == host.role.as_str()))
            .collect();
        if hosts.is_empty() && !self.is_all() { Err(SelectionError::Nothing) } else { Ok(hosts) }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use std::path::Path;

    use super::*;

    const HOSTS: &str = "\
hosts:
  gpu-1: {ssh_host: 10.0.0.1, status: ready, role: gpu_selfplay}
  gpu-2: {ssh_host: 10.0.0.2, status: retired, role: gpu_training}
  hub: {ssh_host: 10.0.0.3, status: ready, role: coordinator}
p2p_voters: [hub]
";

    fn chosen(nodes: &[&str], roles: &[&str]) -> Result<Vec<String>, SelectionError> {
        let file = HostsFile::parse(HOSTS, Path::new("hosts.yaml")).unwrap();
        let strings = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
        let hosts = Selection::new(&strings(nodes), &strings(roles))?.of(&file)?;
        Ok(hosts.into_iter().map(|host| host.id.to_string()).collect())
    }

    #[test]
    fn names_patterns_and_roles_choose_hosts_in_the_files_order() {
        for (nodes, roles, expected) in [
            (vec![], vec![], vec!["gpu-1", "gpu-2", "hub"]),
            (vec!["hub", "gpu-*"], vec![], vec!["gpu-1", "gpu-2", "hub"]),
            (vec!["gpu-?"], vec!["gpu_training"], vec!["gpu-2"]),
            (vec![], vec!["coordinator", "gpu_selfplay"], vec!["gpu-1", "hub"]),
            (vec!["{hub,gpu-1}"], vec![], vec!["gpu-1", "hub"]),
        ] {
            assert_eq!(chosen(&nodes, &roles).unwrap(), expected, "{nodes:?} {roles:?}");
        }
    }

    #[test]
    fn what_meets_no_host_is_named() {
        for (nodes, roles, expected) in [
            (vec!["gpu-1", "gpu-l"], vec![], "hosts.yaml has no host gpu-l"),
            (vec!["cpu-*"], vec![], "hosts.yaml has no host cpu-*"),
            (vec!["gpu-["], vec![], "`gpu-[` is no pattern"),
            (vec![], vec!["gpu"], "no host has the role `gpu`; there are coordinator, gpu_selfplay, gpu_training"),
            (vec!["hub"], vec!["gpu_selfplay"], "no host has both"),
        ] {
            let error = chosen(&nodes, &roles).unwrap_err().to_string();
            assert!(error.contains(expected), "{nodes:?} {roles:?}: {error}");
        }
    }
}
