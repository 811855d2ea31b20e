//! Which nodes a development cluster has, where they listen, and where their state lies.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    io::Write as _,
    net::IpAddr,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use ringrift_config::{HostsFile, NodeId, Token};
use tempfile::TempDir;

use super::loopback;

/// The real port numbers: every node has an address of its own.
pub(crate) const PORTS: [u16; 4] = [API_PORT, 8765, 8767, 8080];
const API_PORT: u16 = 8770;

/// Files beside the nodes' folders.
const TOKEN: &str = "token";
const HOSTS: &str = "distributed_hosts.yaml";
/// What a hosts file is called that nobody wrote.
const GENERATED: &str = "generated hosts file";
const SETTINGS: &str = "settings.yaml";

/// A class for newcomers to play with. It takes the place of self-play, so that idle slots are filled with it.
const SAMPLE: &str = r#"# Of this development cluster alone.
runner: plain
job_classes:
  selfplay:
    argv: [/bin/sh, -c, 'echo "$RINGRIFT_JOB_ID plays $1 games of $2"; sleep "$1"; echo "done"', sample, "{num_games}", "{board_type} with {num_players}"]
    params:
      board_type: {type: choice, of: [hex8, square8, square19, hexagonal]}
      num_players: {type: integer, min: 2, max: 4}
      num_games: {type: integer, min: 0, max: 3600, default: 20, aliases: [total_games]}
    env: {}
    working_dir: /
    needs: {memory: 1M}
    limits: {tasks_max: 16}
    grace: 2s
  gpu_selfplay: {enabled: false}
  training: {enabled: false}
  evaluation: {enabled: false}
"#;

/// Voters of a generated cluster: the fewest that survive the loss of one.
const VOTERS: u16 = 3;

/// A prepared directory, with the hosts file and the token in place.
pub(crate) struct Layout {
    dir: PathBuf,
    /// Removes a temporary directory when it is dropped.
    temporary: Option<TempDir>,
    nodes: Vec<(NodeId, IpAddr)>,
    voters: Vec<NodeId>,
    /// Hosts that the file names and that stay down.
    down: usize,
    token: String,
}

impl Layout {
    /// Writes everything that the nodes need under `dir`, or under a temporary directory.
    pub(crate) fn prepare(hosts: Option<&Path>, nodes: u16, dir: Option<&Path>) -> Result<Self> {
        let hosts = match hosts {
            Some(path) => HostsFile::load(path)?,
            None => HostsFile::parse(&generated(nodes), Path::new(GENERATED))?,
        };
        let Some(voters) = hosts.voters.clone().filter(|voters| !voters.is_empty()) else {
            bail!(
                "{}: p2p_voters: missing or empty: without voters no leader can be elected; list 3 to 9 stable hosts",
                hosts.path.display()
            );
        };
        let running: Vec<NodeId> = hosts.hosts.values().filter(|h| h.runs_daemon()).map(|h| h.id.clone()).collect();
        let up = voters.iter().filter(|v| running.contains(v)).count();
        let quorum = voters.len() / 2 + 1;
        if up < quorum {
            bail!(
                "{}: p2p_voters: only {up} of {} voters are `ready` and p2p_enabled, and a leader needs {quorum}",
                hosts.path.display(),
                voters.len()
            );
        }
        let generated_hosts = hosts.path == Path::new(GENERATED);
        if let Some(node) = running.iter().find(|node| [TOKEN, HOSTS, SETTINGS].contains(&node.as_str())) {
            bail!(
                "{}: hosts.{node}: `dev` keeps a file of that name beside the nodes' folders; give the host another",
                hosts.path.display()
            );
        }
        let nodes = running
            .into_iter()
            .enumerate()
            .map(|(i, node)| loopback::address(i).map(|ip| (node, ip)).context("more nodes than loopback addresses"))
            .collect::<Result<Vec<_>>>()?;

        let (dir, temporary) = if let Some(dir) = dir {
            fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
            (dir.canonicalize().with_context(|| format!("cannot use {}", dir.display()))?, None)
        } else {
            let temporary = tempfile::Builder::new().prefix("ringrift-dev-").tempdir()?;
            (temporary.path().to_owned(), Some(temporary))
        };
        let by_node: BTreeMap<NodeId, IpAddr> = nodes.iter().cloned().collect();
        let down = hosts.hosts.len() - nodes.len();
        let hosts_text = hosts.with_loopback(&by_node);
        let hosts_file = dir.join(HOSTS);
        fs::write(&hosts_file, hosts_text).with_context(|| format!("cannot write {}", hosts_file.display()))?;
        // A cluster of somebody's own hosts file may have hundreds of slots: it is filled by nobody.
        let settings_file = dir.join(SETTINGS);
        fs::write(&settings_file, format!("{SAMPLE}jobs_fill: {generated_hosts}\n"))
            .with_context(|| format!("cannot write {}", settings_file.display()))?;
        for (node, _) in &nodes {
            let path = dir.join(node.as_str());
            fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
        }
        let token = existing_or_new_token(&dir.join(TOKEN))?;
        Ok(Self { dir, temporary, nodes, voters, down, token })
    }

    pub(crate) fn nodes(&self) -> impl Iterator<Item = (&NodeId, &IpAddr)> {
        self.nodes.iter().map(|(node, ip)| (node, ip))
    }

    pub(crate) fn addresses(&self) -> Vec<IpAddr> {
        self.nodes.iter().map(|(_, ip)| *ip).collect()
    }

    pub(crate) fn is_voter(&self, node: &NodeId) -> bool {
        self.voters.contains(node)
    }

    /// How many hosts of the file stay down.
    pub(crate) fn down(&self) -> usize {
        self.down
    }

    pub(crate) fn api_url(&self, index: usize) -> String {
        format!("http://{}:{API_PORT}", self.nodes[index].1)
    }

    pub(crate) fn state_dir(&self, node: &NodeId) -> PathBuf {
        self.dir.join(node.as_str())
    }

    pub(crate) fn log(&self, node: &NodeId) -> PathBuf {
        self.state_dir(node).join("log")
    }

    /// Where a node's programs look for models.
    pub(crate) fn models_dir(&self, node: &NodeId) -> PathBuf {
        self.state_dir(node).join("models")
    }

    /// Where the models of all nodes lie, for people.
    pub(crate) fn models_dirs(&self) -> String {
        format!("{}/<node>/models", self.dir.display())
    }

    pub(crate) fn hosts_file(&self) -> PathBuf {
        self.dir.join(HOSTS)
    }

    pub(crate) fn settings_file(&self) -> PathBuf {
        self.dir.join(SETTINGS)
    }

    pub(crate) fn token_file(&self) -> PathBuf {
        self.dir.join(TOKEN)
    }

    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// What is left behind, for the last line.
    pub(crate) fn farewell(&self) -> String {
        match self.temporary {
            Some(_) => String::new(),
            None => format!(" The state is kept in {}.", self.dir.display()),
        }
    }
}

/// A hosts file of `nodes` CPU hosts, the first [`VOTERS`] of which vote.
fn generated(nodes: u16) -> String {
    // Two voters would need both for every decision: worse than one.
    let voters = if nodes < VOTERS { 1 } else { VOTERS };
    let mut text = String::from("p2p_voters:\n");
    for i in 1..=voters {
        let _ = writeln!(text, "  - node-{i}");
    }
    text.push_str("hosts:\n");
    for i in 1..=nodes {
        let role = if i <= voters { "coordinator" } else { "selfplay" };
        let _ = writeln!(
            text,
            "  node-{i}:\n    ssh_host: 127.0.0.1\n    status: ready\n    role: {role}\n    max_parallel_jobs: 2"
        );
    }
    text
}

fn existing_or_new_token(path: &Path) -> Result<String> {
    match fs::read_to_string(path) {
        Ok(text) => {
            Token::parse(text.trim()).with_context(|| format!("{} holds no usable token", path.display()))?;
            Ok(text.trim().to_owned())
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let token = Token::generate().expose().to_owned();
            let mut file = fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(path)
                .with_context(|| format!("cannot create {}", path.display()))?;
            writeln!(file, "{token}")?;
            Ok(token)
        }
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_cluster_has_three_voters_or_one() {
        for (nodes, voters) in [(1, 1), (2, 1), (3, 3), (5, 3), (40, 3)] {
            let hosts = HostsFile::parse(&generated(nodes), Path::new("test")).unwrap();
            assert_eq!(hosts.hosts.len(), usize::from(nodes));
            assert_eq!(hosts.voters.map(|v| v.len()), Some(voters), "{nodes} nodes");
        }
    }

    #[test]
    fn the_token_survives_and_is_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let first = Layout::prepare(None, 3, Some(dir.path())).unwrap();
        let again = Layout::prepare(None, 3, Some(dir.path())).unwrap();
        assert_eq!(first.token(), again.token());
        let mode = fs::metadata(dir.path().join("token")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_file_whose_voters_are_down_is_refused_with_the_numbers() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("hosts.yaml");
        fs::write(
            &file,
            "p2p_voters: [a, b, c]\nhosts:\n  a: {ssh_host: h1, status: ready}\n  b: {ssh_host: h2, status: retired}\n  \
             c: {ssh_host: h3, status: ready, p2p_enabled: false}\n",
        )
        .unwrap();
        let error = Layout::prepare(Some(&file), 5, None).err().unwrap().to_string();
        assert!(error.contains("only 1 of 3 voters") && error.contains("needs 2"), "{error}");
    }

    #[test]
    fn a_file_that_no_cluster_can_be_made_of_is_refused_in_a_sentence() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("hosts.yaml");
        for (text, expected) in [
            ("hosts:\n  a: {ssh_host: h1, status: ready}\n", "p2p_voters: missing or empty"),
            ("p2p_voters: []\nhosts:\n  a: {ssh_host: h1, status: ready}\n", "p2p_voters: missing or empty"),
            (
                "p2p_voters: [token]\nhosts:\n  token: {ssh_host: h1, status: ready}\n",
                "hosts.token: `dev` keeps a file",
            ),
        ] {
            fs::write(&file, text).unwrap();
            let error = Layout::prepare(Some(&file), 5, None).err().unwrap().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
