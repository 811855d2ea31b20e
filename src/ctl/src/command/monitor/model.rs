use std::{cmp::Ordering, time::Duration};

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ringrift_api::{ClientError, Liveness, Status};
use tokio::time::Instant;

use crate::command::status::Row;

/// What the view shows, and what the keys have changed about it. Knows no terminal and no network.
#[derive(Debug)]
pub(super) struct Model {
    /// The newest answer, and when it came.
    pub(super) status: Option<(Status, Instant)>,
    /// Why the last look had no answer.
    pub(super) error: Option<ClientError>,
    pub(super) sort: Sort,
    pub(super) reversed: bool,
    /// The first node that is shown.
    pub(super) top: usize,
    /// How many nodes fit; set by whoever draws.
    pub(super) page: usize,
    pub(super) help: bool,
    pub(super) url: String,
    pub(super) interval: Duration,
}

/// What a key asks for beyond the view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    None,
    LookNow,
    Quit,
}

/// By what the nodes are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    State,
    Name,
    Cpu,
    Memory,
    Disk,
    Jobs,
    LastSeen,
}

impl Sort {
    pub(super) const ALL: [Self; 7] =
        [Self::State, Self::Name, Self::Cpu, Self::Memory, Self::Disk, Self::Jobs, Self::LastSeen];

    /// The key that chooses it.
    pub(super) fn key(self) -> char {
        match self {
            Self::State => 's',
            Self::Name => 'n',
            Self::Cpu => 'c',
            Self::Memory => 'm',
            Self::Disk => 'd',
            Self::Jobs => 'j',
            Self::LastSeen => 'l',
        }
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Name => "name",
            Self::Cpu => "CPU",
            Self::Memory => "memory",
            Self::Disk => "disk",
            Self::Jobs => "jobs",
            Self::LastSeen => "last seen",
        }
    }

    /// Loads and ages begin with the largest, states with what is wrong.
    fn compare(self, a: &Row<'_>, b: &Row<'_>) -> Ordering {
        let by = |f: fn(&Row<'_>) -> f64| f(b).total_cmp(&f(a));
        match self {
            Self::State => trouble(a.state).cmp(&trouble(b.state)),
            Self::Name => Ordering::Equal,
            Self::Cpu => by(|r| r.node.cpu_percent),
            Self::Memory => by(|r| r.node.memory_percent),
            Self::Disk => by(|r| r.node.disk_percent),
            Self::Jobs => b.node.active_job_count.cmp(&a.node.active_job_count),
            Self::LastSeen => by(|r| r.last_seen.unwrap_or(0.0)),
        }
    }
}

/// The order in which an operator wants to see states.
fn trouble(state: Liveness) -> u8 {
    match state {
        Liveness::Suspect => 0,
        Liveness::Dead => 1,
        Liveness::Unseen => 2,
        Liveness::Left => 3,
        Liveness::Alive => 4,
    }
}

impl Model {
    pub(super) fn new(url: String, interval: Duration) -> Self {
        Self {
            status: None,
            error: None,
            sort: Sort::State,
            reversed: false,
            top: 0,
            page: 1,
            help: false,
            url,
            interval,
        }
    }

    /// Takes the outcome of a look. The last answer stays in sight when there is no new one.
    pub(super) fn looked(&mut self, outcome: Result<Status, ClientError>, now: Instant) {
        match outcome {
            Ok(status) => {
                self.status = Some((status, now));
                self.error = None;
            }
            Err(error) => self.error = Some(error),
        }
    }

    pub(super) fn key(&mut self, key: KeyEvent) -> Action {
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return if key.code == KeyCode::Char('c') { Action::Quit } else { Action::None };
        }
        if self.help {
            self.help = false;
            return if key.code == KeyCode::Char('q') { Action::Quit } else { Action::None };
        }
        let page = self.page.max(1);
        match key.code {
            KeyCode::Char('q') | KeyCode::Esc => return Action::Quit,
            KeyCode::Char(' ') | KeyCode::F(5) => return Action::LookNow,
            KeyCode::Char('?' | 'h') => self.help = true,
            KeyCode::Char('r') => self.reversed = !self.reversed,
            KeyCode::Down => self.top += 1,
            KeyCode::Up => self.top = self.top.saturating_sub(1),
            KeyCode::PageDown => self.top += page,
            KeyCode::PageUp => self.top = self.top.saturating_sub(page),
            KeyCode::Home => self.top = 0,
            KeyCode::End => self.top = usize::MAX,
            KeyCode::Char(c) => {
                if let Some(sort) = Sort::ALL.into_iter().find(|s| s.key() == c) {
                    self.sort = sort;
                    self.top = 0;
                }
            }
            _ => {}
        }
        Action::None
    }

    /// Sorts; nodes that are equal stand by name, whatever the direction.
    pub(super) fn sort<'a>(&self, mut rows: Vec<Row<'a>>) -> Vec<Row<'a>> {
        rows.sort_by(|a, b| {
            let names = a.node.node_id.cmp(&b.node.node_id);
            match (self.sort, self.reversed) {
                (Sort::Name, false) => names,
                (Sort::Name, true) => names.reverse(),
                (sort, false) => sort.compare(a, b).then(names),
                (sort, true) => sort.compare(a, b).reverse().then(names),
            }
        });
        rows
    }

    /// Keeps the last page full, for `count` nodes of which `page` fit.
    pub(super) fn fit(&mut self, count: usize, page: usize) {
        self.page = page;
        self.top = self.top.min(count.saturating_sub(page));
    }
}
