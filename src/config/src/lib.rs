//! What does the hosts file say? What is this setting, and who set it?

mod edit;
mod finding;
#[cfg(any(fuzzing, test))]
#[doc(hidden)]
pub mod fuzz;
mod hex;
mod hosts;
mod nearest;
mod node_id;
pub mod report;
mod settings;
mod start_plan;
mod token;
mod yaml;

pub use edit::{EditError, HostsDraft};
pub use finding::{Finding, Severity};
pub use hosts::{
    AutoSync, BandwidthOverride, Capability, Gpu, Host, HostsError, HostsFile, PublicPorts, Role, Status, StoragePaths,
};
pub use node_id::{InvalidNodeId, NodeId};
pub use settings::{
    Flags, Limits, NvmlLibrary, Reread, Resolved, RunnerKind, Setting, Settings, SettingsError, Source, TlsFiles,
};
pub use start_plan::{StartError, StartPlan, VotersFrom, start_plan};
pub use token::{Token, TokenError, Tokens};
