use crate::{
    command::status::{Row, busy, full},
    paint::Tone,
};

/// A column of the node table. Those that matter least go first when the terminal is narrow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    Node,
    State,
    Role,
    Voter,
    Cpu,
    Memory,
    Disk,
    Gpu,
    Jobs,
    LastSeen,
    Address,
}

/// Blanks between two columns.
pub(super) const GAP: u16 = 2;

impl Column {
    /// In the order in which they stand.
    const ALL: [Self; 11] = [
        Self::Node,
        Self::State,
        Self::Role,
        Self::Voter,
        Self::Cpu,
        Self::Memory,
        Self::Disk,
        Self::Gpu,
        Self::Jobs,
        Self::LastSeen,
        Self::Address,
    ];

    /// In the order in which they go.
    const EXPENDABLE: [Self; 9] = [
        Self::Address,
        Self::Gpu,
        Self::Voter,
        Self::Disk,
        Self::Memory,
        Self::Role,
        Self::LastSeen,
        Self::Cpu,
        Self::Jobs,
    ];

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Node => "NODE",
            Self::State => "STATE",
            Self::Role => "ROLE",
            Self::Voter => "VOTER",
            Self::Cpu => "CPU",
            Self::Memory => "MEM",
            Self::Disk => "DISK",
            Self::Gpu => "GPU",
            Self::Jobs => "JOBS",
            Self::LastSeen => "LAST SEEN",
            Self::Address => "ADDRESS",
        }
    }

    pub(super) fn is_right(self) -> bool {
        match self {
            Self::Cpu | Self::Memory | Self::Disk | Self::Gpu | Self::Jobs | Self::LastSeen => true,
            Self::Node | Self::State | Self::Role | Self::Voter | Self::Address => false,
        }
    }

    pub(super) fn cell(self, row: &Row<'_>) -> (String, Tone) {
        let node = row.node;
        match self {
            Self::Node => (node.node_id.to_string(), Tone::Strong),
            Self::State => (row.state_text(), row.state_tone()),
            Self::Role => (row.role().to_owned(), if row.is_leader { Tone::Good } else { Tone::Plain }),
            Self::Voter => (if row.is_voter { "yes" } else { "-" }.to_owned(), Tone::Plain),
            Self::Cpu => row.percent(node.cpu_percent, busy),
            Self::Memory => row.percent(node.memory_percent, full),
            Self::Disk => row.percent(node.disk_percent, full),
            Self::Gpu if !node.has_gpu => ("-".to_owned(), Tone::Plain),
            Self::Gpu => row.percent(node.gpu_percent, busy),
            Self::Jobs => (row.jobs(), Tone::Plain),
            Self::LastSeen => (row.last_seen_text(), Tone::Plain),
            Self::Address => (row.address(), Tone::Plain),
        }
    }
}

/// The columns that fit into `width`, each with its own, wide enough for all `rows` so that nothing jumps while
/// scrolling. The name and the state always stay.
pub(super) fn fitting(rows: &[Row<'_>], width: u16) -> Vec<(Column, u16)> {
    let needed = |column: Column| {
        let cells = rows.iter().map(|r| column.cell(r).0.chars().count());
        cells.chain([column.title().len()]).max().unwrap_or(0).min(usize::from(u16::MAX)) as u16
    };
    let mut columns: Vec<(Column, u16)> = Column::ALL.into_iter().map(|c| (c, needed(c))).collect();
    let total = |columns: &[(Column, u16)]| {
        columns.iter().map(|(_, w)| u32::from(*w)).sum::<u32>() + u32::from(GAP) * (columns.len() as u32 - 1)
    };
    for expendable in Column::EXPENDABLE {
        if total(&columns) <= u32::from(width) {
            break;
        }
        columns.retain(|(column, _)| *column != expendable);
    }
    columns
}
