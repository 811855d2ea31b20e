use std::{collections::BTreeSet, time::Duration};

use ringrift_config::NodeId;

/// News wait this long for more of them.
const GATHER: Duration = Duration::from_millis(10);
/// The least time between two sendings: whatever happens, news cost each node this many messages at most.
const PAUSE: Duration = Duration::from_millis(50);

/// News that this node heard first and must pass on at once.
#[derive(Debug, Default)]
pub(crate) struct Rumours {
    about: BTreeSet<NodeId>,
    /// Nodes that must hear them in any case: the accused.
    to: BTreeSet<NodeId>,
    send_at: Option<Duration>,
    last: Option<Duration>,
}

impl Rumours {
    /// Something changed about `about`.
    pub(crate) fn add(&mut self, now: Duration, about: &NodeId) {
        self.about.insert(about.clone());
        let earliest = self.last.map_or(Duration::ZERO, |last| last + PAUSE);
        self.send_at.get_or_insert((now + GATHER).max(earliest));
    }

    /// The next sending goes to `node` as well.
    pub(crate) fn tell(&mut self, node: &NodeId) {
        self.to.insert(node.clone());
    }

    pub(crate) fn send_at(&self) -> Option<Duration> {
        self.send_at
    }

    /// Whom the news are about, and who must hear them, once it is time.
    pub(crate) fn take_due(&mut self, now: Duration) -> Option<(BTreeSet<NodeId>, BTreeSet<NodeId>)> {
        self.send_at.filter(|at| *at <= now)?;
        self.send_at = None;
        self.last = Some(now);
        Some((std::mem::take(&mut self.about), std::mem::take(&mut self.to)))
    }
}

/// How many others hear a rumour from each node that passes it on: ln n + 2. A random one then misses fewer than
/// e^-(ln n + 2) of all nodes, that is 0.14 nodes; the exchanges of the next round reach those.
pub(crate) fn fan_out(nodes: usize) -> usize {
    (nodes.max(1) as f64).ln().ceil() as usize + 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_gather_and_keep_a_pause() {
        let ms = Duration::from_millis;
        let node: NodeId = "a".parse().unwrap();
        let mut rumours = Rumours::default();
        rumours.add(ms(1000), &node);
        rumours.add(ms(1005), &node);
        assert_eq!(rumours.send_at(), Some(ms(1010)));
        assert_eq!(rumours.take_due(ms(1009)), None);
        assert_eq!(rumours.take_due(ms(1010)), Some((BTreeSet::from([node.clone()]), BTreeSet::new())));
        rumours.add(ms(1011), &node);
        assert_eq!(rumours.send_at(), Some(ms(1060)));
    }

    #[test]
    fn fan_out_grows_with_the_logarithm() {
        assert_eq!([1, 5, 43, 1000].map(fan_out), [2, 4, 6, 9]);
    }
}
