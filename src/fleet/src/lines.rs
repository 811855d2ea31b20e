use std::{
    cell::Cell,
    io::{IsTerminal as _, Write as _},
    time::{Duration, Instant},
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// What is shown while nodes are worked on, on standard error: in a terminal a line for each of them that lives as long as its
/// work, and a count; elsewhere one plain line at each end.
#[derive(Debug)]
pub struct Lines {
    kind: Kind,
    of: usize,
    done: Cell<usize>,
}

#[derive(Debug)]
enum Kind {
    Live { all: MultiProgress, count: ProgressBar },
    Plain,
    Silent,
}

/// The line of one node.
#[derive(Debug)]
pub struct Line<'a> {
    lines: &'a Lines,
    node: String,
    bar: Option<ProgressBar>,
    began: Instant,
}

/// How often a line shows that it lives.
const TICK: Duration = Duration::from_millis(120);

impl Lines {
    /// For so many nodes.
    pub fn new(doing: &str, of: usize) -> Self {
        let kind = if std::io::stderr().is_terminal() {
            let all = MultiProgress::new();
            let count = all.add(ProgressBar::new(of as u64));
            count.set_style(style("{msg}  {wide_bar}  {pos}/{len}"));
            count.set_message(doing.to_owned());
            Kind::Live { all, count }
        } else {
            Kind::Plain
        };
        Self { kind, of, done: Cell::new(0) }
    }

    /// Shows nothing.
    pub fn silent() -> Self {
        Self { kind: Kind::Silent, of: 0, done: Cell::new(0) }
    }

    /// It is a node's turn.
    pub fn begin(&self, node: &str) -> Line<'_> {
        let bar = match &self.kind {
            Kind::Live { all, count } => {
                let bar = all.insert_before(count, ProgressBar::new_spinner());
                bar.set_style(style("{spinner} {prefix}  {msg}  {elapsed}"));
                bar.set_prefix(node.to_owned());
                bar.enable_steady_tick(TICK);
                Some(bar)
            }
            Kind::Plain | Kind::Silent => None,
        };
        Line { lines: self, node: node.to_owned(), bar, began: Instant::now() }
    }
}

impl Line<'_> {
    /// What is done with the node now.
    pub fn says(&self, doing: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(doing.to_owned());
        }
    }

    /// What became of it.
    pub fn end(self, told: &str) {
        let lines = self.lines;
        lines.done.set(lines.done.get() + 1);
        match &lines.kind {
            Kind::Live { count, .. } => count.inc(1),
            Kind::Plain => {
                let seconds = self.began.elapsed().as_secs_f64();
                // Nobody is left to tell if this fails.
                let _ = writeln!(
                    std::io::stderr(),
                    "{}/{} {}: {told} ({seconds:.1} s)",
                    lines.done.get(),
                    lines.of,
                    self.node
                );
            }
            Kind::Silent => {}
        }
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        if let Kind::Live { count, .. } = &self.kind {
            count.finish_and_clear();
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
