//! What is done to the daemons.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tokio::time::sleep;

use crate::{VOTERS, cluster::Cluster};

/// So large is the disk that is filled: a node that is not full needs a few megabytes.
const DISK: &str = "size=48m";

/// Gives a directory a disk of its own, in this process's own mount namespace.
pub(crate) fn small_disk(dir: &Path) {
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", DISK, "tmpfs"]).arg(dir).status().unwrap();
    assert!(mounted.success(), "cannot mount a tmpfs on {}", dir.display());
}

pub(crate) struct Faults<'a> {
    cluster: &'a mut Cluster,
    rng: StdRng,
    down: BTreeSet<usize>,
    frozen: BTreeSet<usize>,
    done: BTreeMap<&'static str, u32>,
}

impl<'a> Faults<'a> {
    pub(crate) fn new(cluster: &'a mut Cluster, seed: u64) -> Self {
        Self {
            cluster,
            rng: StdRng::seed_from_u64(seed),
            down: BTreeSet::new(),
            frozen: BTreeSet::new(),
            done: BTreeMap::new(),
        }
    }

    /// Does the next thing, and lets it last.
    pub(crate) async fn next(&mut self) {
        let what = match self.rng.random_range(0..14) {
            0 | 1 => self.kill_or_start(),
            2 | 3 => self.freeze_or_thaw(),
            4 => self.cut_off_one(),
            5 => self.split(),
            6 => self.bridge(),
            7 => self.one_way(),
            8 => self.fill_or_free(),
            9 | 10 => self.thaw_all(),
            _ => self.heal(),
        };
        *self.done.entry(what).or_default() += 1;
        self.start_those_that_ended();
        sleep(Duration::from_millis(self.rng.random_range(100..2500))).await;
    }

    /// Everything works again.
    pub(crate) async fn mend(&mut self) {
        self.heal();
        self.free();
        self.thaw_all();
        for node in std::mem::take(&mut self.down) {
            self.cluster.start_node(node);
        }
        // One that ran into its full disk ends when it notices.
        for _ in 0..20 {
            self.start_those_that_ended();
            sleep(Duration::from_millis(100)).await;
        }
    }

    pub(crate) fn summary(&self) -> String {
        let mut text = String::from("faults:");
        for (what, times) in &self.done {
            let _ = write!(text, " {what} {times},");
        }
        text.trim_end_matches(',').to_owned()
    }

    fn any(&mut self) -> usize {
        self.rng.random_range(0..VOTERS)
    }

    /// At most two of five are away at once for long: that the cluster stands still without a majority is no news.
    fn kill_or_start(&mut self) -> &'static str {
        let node = self.any();
        if self.down.remove(&node) {
            self.cluster.start_node(node);
            return "start";
        }
        if self.down.len() == 2 {
            let node = self.down.pop_first().unwrap();
            self.cluster.start_node(node);
            return "start";
        }
        self.frozen.remove(&node);
        self.cluster.kill(node);
        self.down.insert(node);
        "kill"
    }

    fn freeze_or_thaw(&mut self) -> &'static str {
        let node = self.any();
        if self.frozen.remove(&node) {
            self.cluster.signal(node, "CONT");
            return "thaw";
        }
        if self.down.contains(&node) {
            return "nothing";
        }
        self.cluster.signal(node, "STOP");
        self.frozen.insert(node);
        "freeze"
    }

    fn thaw_all(&mut self) -> &'static str {
        for node in std::mem::take(&mut self.frozen) {
            self.cluster.signal(node, "CONT");
        }
        "thaw"
    }

    fn cut_off_one(&mut self) -> &'static str {
        let one = self.any();
        self.cut(|from, to| from == one || to == one);
        "cut off one"
    }

    fn split(&mut self) -> &'static str {
        let sides: Vec<bool> = (0..VOTERS).map(|_| self.rng.random()).collect();
        self.cut(|from, to| sides[from] != sides[to]);
        "split"
    }

    /// Two halves that only one node reaches both of.
    fn bridge(&mut self) -> &'static str {
        let first = self.any();
        let place = |node: usize| (node + VOTERS - first) % VOTERS;
        self.cut(|from, to| {
            let (from, to) = (place(from), place(to));
            (1..=2).contains(&from) && to > 2 || (1..=2).contains(&to) && from > 2
        });
        "bridge"
    }

    fn one_way(&mut self) -> &'static str {
        let one = self.any();
        self.cut(|from, _| from == one);
        "one way"
    }

    fn heal(&mut self) -> &'static str {
        self.cut(|_, _| false);
        "heal"
    }

    /// Nothing passes any more from one node to another where `lost` says so; everything else does.
    fn cut(&self, lost: impl Fn(usize, usize) -> bool) {
        let mut rules = String::from(
            "table inet cut\ndelete table inet cut\ntable inet cut {\nchain input {\ntype filter hook input priority 0;\n",
        );
        for from in 0..VOTERS {
            for to in (0..VOTERS).filter(|to| *to != from && lost(from, *to)) {
                let (from, to) = (self.cluster.nodes[from].ip, self.cluster.nodes[to].ip);
                let _ = writeln!(rules, "ip saddr {from} ip daddr {to} drop");
            }
        }
        rules.push_str("}\n}\n");
        let mut nft = Command::new("nft").args(["-f", "-"]).stdin(Stdio::piped()).spawn().unwrap();
        nft.stdin.take().unwrap().write_all(rules.as_bytes()).unwrap();
        assert!(nft.wait().unwrap().success(), "nft did not take:\n{rules}");
    }

    fn ballast(&self) -> PathBuf {
        self.cluster.nodes[VOTERS - 1].dir.join("ballast")
    }

    fn free(&mut self) {
        let _ = fs::remove_file(self.ballast());
    }

    /// The last node's disk.
    fn fill_or_free(&mut self) -> &'static str {
        let ballast = self.ballast();
        if ballast.exists() {
            self.free();
            return "free the disk";
        }
        let mut file = fs::File::create(ballast).unwrap();
        // Until there is no room for more.
        while file.write_all(&[0; 1 << 13]).is_ok() {}
        while file.write_all(&[0; 1 << 8]).is_ok() {}
        "fill the disk"
    }

    /// As a supervisor would: a daemon that ends, because its disk is full or it was cut off for good, is started again.
    fn start_those_that_ended(&mut self) {
        for node in 0..VOTERS {
            if !self.down.contains(&node) && self.cluster.has_ended(node) {
                *self.done.entry("ended by itself").or_default() += 1;
                self.cluster.start_node(node);
            }
        }
    }
}
