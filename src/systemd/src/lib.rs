//! The contract with the operating system: sockets that systemd hands over, what the daemon tells systemd about itself,
//! the watchdog, credentials, the journal, and the D-Bus interface that starts units.
//!
//! Every part works without systemd too: no sockets are passed, notifications go nowhere, the supervisor still judges
//! the subsystems (for `/health` and the log), and the log goes to stderr.

pub mod activation;
pub mod credential;
pub mod fault;
pub mod logging;
pub mod manager;
pub mod notify;
pub mod watchdog;

pub use activation::{ActivationError, Listeners, Socket};
pub use credential::credential;
pub use fault::Hang;
pub use logging::{LogTarget, Logging, LoggingError};
pub use notify::{Notifier, Reload};
pub use watchdog::{Heartbeat, SubsystemState, Supervisor};
pub use zbus;
