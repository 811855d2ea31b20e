use std::path::PathBuf;

/// How a plain runner works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlainSettings {
    /// Where it keeps what it must find again, and the runs' output; nobody else writes there.
    pub directory: PathBuf,
    /// The program that calls [`crate::shim`], and the arguments that make it do so. `/proc/self/exe` is the program that runs,
    /// also when an upgrade has replaced its file.
    pub shim: Vec<String>,
    /// The output of a run is put aside when it has grown to so many bytes.
    pub log_piece_bytes: u64,
    /// So many pieces of it are kept besides the newest.
    pub log_old_pieces: u32,
    /// The output of so many runs is kept after they were forgotten.
    pub logs_of_forgotten: usize,
    /// Whether control groups are used where they can be had.
    pub cgroups: bool,
}

impl PlainSettings {
    /// In this directory, with this shim.
    pub fn new(directory: PathBuf, shim: Vec<String>) -> Self {
        Self { directory, shim, log_piece_bytes: 16 << 20, log_old_pieces: 3, logs_of_forgotten: 100, cgroups: true }
    }
}
