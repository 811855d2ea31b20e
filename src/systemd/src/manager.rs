//! The part of systemd's D-Bus interface that starts, limits and watches units (`org.freedesktop.systemd1(5)`).
//!
//! Properties are asked for each time: systemd computes most of these when it is asked, and never announces a change of a
//! counter.

use serde::Deserialize;
use zbus::{Connection, ObjectPath, OwnedObjectPath, Type, Variant, proxy, proxy::CacheProperties};

/// systemd itself.
#[proxy(
    interface = "org.freedesktop.systemd1.Manager",
    default_service = "org.freedesktop.systemd1",
    default_path = "/org/freedesktop/systemd1"
)]
pub trait Manager {
    /// Queues the start of a unit; the reply comes when the job is queued, not when it is done. `mode` is `replace` or `fail`.
    fn start_unit(&self, name: &str, mode: &str) -> zbus::Result<OwnedObjectPath>;

    /// Queues the stop of a unit, by its own `KillMode=` and `TimeoutStopSec=`.
    fn stop_unit(&self, name: &str, mode: &str) -> zbus::Result<OwnedObjectPath>;

    /// Sends a signal to `main`, `control` or `all` processes of a unit.
    fn kill_unit(&self, name: &str, whom: &str, signal: i32) -> zbus::Result<()>;

    /// Forgets that a unit failed, so that it can be unloaded.
    fn reset_failed_unit(&self, name: &str) -> zbus::Result<()>;

    /// Sets properties of a unit; loads it when it is not loaded. With `runtime` they last until the next boot at most.
    fn set_unit_properties(&self, name: &str, runtime: bool, properties: &[(&str, Variant<'_>)]) -> zbus::Result<()>;

    /// The loaded units whose state is one of `states` (all when empty) and whose name matches one of `patterns`.
    fn list_units_by_patterns(&self, states: &[&str], patterns: &[&str]) -> zbus::Result<Vec<ListedUnit>>;

    /// The object of a unit that is loaded.
    fn get_unit(&self, name: &str) -> zbus::Result<OwnedObjectPath>;

    /// The object of a unit, which is loaded if need be; also when there is no such file, which its `LoadState` then tells.
    fn load_unit(&self, name: &str) -> zbus::Result<OwnedObjectPath>;

    /// Asks for signals, which systemd does not send while nobody has.
    fn subscribe(&self) -> zbus::Result<()>;

    /// A queued job was done, cancelled or failed.
    #[zbus(signal)]
    fn job_removed(&self, id: u32, job: ObjectPath<'_>, unit: &str, result: &str) -> zbus::Result<()>;

    /// A unit was unloaded.
    #[zbus(signal)]
    fn unit_removed(&self, unit: &str, path: ObjectPath<'_>) -> zbus::Result<()>;

    /// systemd's version, such as `257.9-1~deb13u1`.
    #[zbus(property)]
    fn version(&self) -> zbus::Result<String>;
}

/// A loaded unit of any type.
#[proxy(
    interface = "org.freedesktop.systemd1.Unit",
    default_service = "org.freedesktop.systemd1",
    assume_defaults = false
)]
pub trait Unit {
    /// `loaded`, `not-found`, `bad-setting`, `error` or `masked`.
    #[zbus(property)]
    fn load_state(&self) -> zbus::Result<String>;

    /// `active`, `reloading`, `inactive`, `failed`, `activating` or `deactivating`.
    #[zbus(property)]
    fn active_state(&self) -> zbus::Result<String>;
}

/// A loaded service.
#[proxy(
    interface = "org.freedesktop.systemd1.Service",
    default_service = "org.freedesktop.systemd1",
    assume_defaults = false
)]
pub trait Service {
    /// The processes of its control group: the group, the number, the command line.
    fn get_processes(&self) -> zbus::Result<Vec<(String, u32, String)>>;

    /// `success`, `exit-code`, `signal`, `core-dump`, `timeout`, `oom-kill`, `resources` …
    #[zbus(property)]
    fn result(&self) -> zbus::Result<String>;

    /// What the service says of itself.
    #[zbus(property)]
    fn status_text(&self) -> zbus::Result<String>;

    /// The main process; 0 when there is none.
    #[zbus(property, name = "MainPID")]
    fn main_pid(&self) -> zbus::Result<u32>;

    /// How the main process ended, as `si_code` of `waitid(2)`; 0 while it has not.
    #[zbus(property)]
    fn exec_main_code(&self) -> zbus::Result<i32>;

    /// The main process's exit status or signal.
    #[zbus(property)]
    fn exec_main_status(&self) -> zbus::Result<i32>;

    /// When the main process was started by the wall clock, in microseconds since the epoch; 0 when it never was.
    #[zbus(property)]
    fn exec_main_start_timestamp(&self) -> zbus::Result<u64>;

    /// The same by `CLOCK_MONOTONIC`, in microseconds.
    #[zbus(property)]
    fn exec_main_start_timestamp_monotonic(&self) -> zbus::Result<u64>;

    /// When the main process ended by `CLOCK_MONOTONIC`, in microseconds; 0 while it has not.
    #[zbus(property)]
    fn exec_main_exit_timestamp_monotonic(&self) -> zbus::Result<u64>;

    /// From SIGTERM to SIGKILL, in microseconds.
    #[zbus(property, name = "TimeoutStopUSec")]
    fn timeout_stop_usec(&self) -> zbus::Result<u64>;

    /// Processor time, in nanoseconds; the largest number when it is not known, as with the next three.
    #[zbus(property, name = "CPUUsageNSec")]
    fn cpu_usage_nsec(&self) -> zbus::Result<u64>;

    /// Memory now, in bytes.
    #[zbus(property)]
    fn memory_current(&self) -> zbus::Result<u64>;

    /// The most memory at once, in bytes. systemd before 255 does not have it.
    #[zbus(property)]
    fn memory_peak(&self) -> zbus::Result<u64>;

    /// Processes and threads now.
    #[zbus(property)]
    fn tasks_current(&self) -> zbus::Result<u64>;
}

/// An entry of [`ManagerProxy::list_units_by_patterns`].
#[derive(Debug, Clone, Deserialize, Type)]
pub struct ListedUnit {
    /// Its name.
    pub name: String,
    /// For people.
    pub description: String,
    /// As [`UnitProxy::load_state`].
    pub load_state: String,
    /// As [`UnitProxy::active_state`].
    pub active_state: String,
    /// The same, finer.
    pub sub_state: String,
    /// A unit that it follows, or nothing.
    pub following: String,
    /// Its object.
    pub path: OwnedObjectPath,
    /// The job that is queued for it; 0 when there is none.
    pub job: u32,
    /// That job's type.
    pub job_type: String,
    /// That job's object.
    pub job_path: OwnedObjectPath,
}

impl ListedUnit {
    /// Its properties as a service.
    pub async fn service(&self, connection: &Connection) -> zbus::Result<ServiceProxy<'static>> {
        service(connection, self.path.clone()).await
    }
}

/// The properties of the service with this object.
pub async fn service(connection: &Connection, path: OwnedObjectPath) -> zbus::Result<ServiceProxy<'static>> {
    ServiceProxy::builder(connection).path(path).cache_properties(CacheProperties::No).build().await
}

/// The properties of the unit with this object.
pub async fn unit(connection: &Connection, path: OwnedObjectPath) -> zbus::Result<UnitProxy<'static>> {
    UnitProxy::builder(connection).path(path).cache_properties(CacheProperties::No).build().await
}

/// systemd on this bus.
pub async fn manager(connection: &Connection) -> zbus::Result<ManagerProxy<'static>> {
    ManagerProxy::builder(connection).cache_properties(CacheProperties::No).build().await
}
