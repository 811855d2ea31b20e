//! Listening sockets that systemd opened for us.
//!
//! One `.socket` unit carries one `FileDescriptorName=`, so there is one unit per port, and the order in which they
//! arrive varies: sockets are told apart by name (`sd_listen_fds_with_names(3)`).

use std::{
    env,
    net::TcpListener,
    os::fd::{FromRawFd as _, IntoRawFd as _, OwnedFd, RawFd},
    process,
};

use libsystemd::activation::{IsType as _, receive_descriptors_with_names};
use rustix::net::{SocketType, sockopt};

/// A port of the daemon that systemd may hold open for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Socket {
    /// The HTTP API, 8770 unless set otherwise.
    Api,
    /// Links between nodes, 8765 unless set otherwise.
    Link,
    /// The health endpoint, 8080 unless set otherwise.
    Health,
    /// The model server, 8767 unless set otherwise.
    Models,
}

impl Socket {
    /// Every socket that has a `.socket` unit.
    pub const ALL: [Self; 4] = [Self::Api, Self::Link, Self::Health, Self::Models];

    /// The `FileDescriptorName=` in its `.socket` unit.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Link => "link",
            Self::Health => "health",
            Self::Models => "models",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|socket| socket.name() == name)
    }
}

/// Why the sockets that systemd passed cannot be used. The daemon must not start then: it would serve on another port than
/// the one that clients are queueing on.
#[derive(Debug, thiserror::Error)]
pub enum ActivationError {
    /// `$LISTEN_FDS` and its companions are malformed, or name descriptors that are not open.
    #[error("systemd's socket passing cannot be read: {0}")]
    Environment(String),
    /// A `.socket` unit with a `FileDescriptorName=` that this program does not know.
    #[error(
        "systemd passed a socket named `{name}` (descriptor {fd}); a .socket unit must say FileDescriptorName=api, link, health or models"
    )]
    UnknownName {
        /// The name as passed.
        name: String,
        /// Its descriptor number.
        fd: RawFd,
    },
    /// The name is right, the kind of descriptor is not.
    #[error(
        "the socket named `{name}` (descriptor {fd}) is {found}; its .socket unit must say ListenStream= with an IP address or a port, and Accept=no"
    )]
    WrongType {
        /// The name as passed.
        name: String,
        /// Its descriptor number.
        fd: RawFd,
        /// What it is instead.
        found: &'static str,
    },
    /// A system call on a passed socket failed.
    #[error("the socket named `{name}` (descriptor {fd}) cannot be used: {source}")]
    Io {
        /// The name as passed.
        name: String,
        /// Its descriptor number.
        fd: RawFd,
        /// What the kernel said.
        source: std::io::Error,
    },
}

/// The sockets that were passed at start. Whoever takes one owns it; what is never taken is closed with this value.
#[derive(Debug, Default)]
pub struct Listeners {
    passed: Vec<(Socket, TcpListener)>,
}

impl Listeners {
    /// Adopts the passed sockets and clears `$LISTEN_*`, so that no child believes they are meant for it.
    ///
    /// Empty when systemd passed none, for example because the daemon was started by hand.
    /// All are close-on-exec and non-blocking afterwards. Call it once, first thing in `main`, before any thread is
    /// started: it changes the environment, and a second call finds nothing.
    pub fn from_environment() -> Result<Self, ActivationError> {
        let expected = passed_count();
        let received =
            receive_descriptors_with_names(true).map_err(|error| ActivationError::Environment(error.to_string()))?;
        // libsystemd pairs descriptors with names and drops whatever has no partner, which would leave clients queueing on
        // a socket that nobody accepts from.
        if let Some(expected) = expected
            && expected != received.len()
        {
            return Err(ActivationError::Environment(format!(
                "$LISTEN_FDS says {expected} sockets, $LISTEN_FDNAMES names {}",
                received.len()
            )));
        }
        let mut passed = Vec::with_capacity(received.len());
        for (descriptor, name) in received {
            let is_inet = descriptor.is_inet();
            let fd = descriptor.into_raw_fd();
            let socket =
                Socket::from_name(&name).ok_or_else(|| ActivationError::UnknownName { name: name.clone(), fd })?;
            if !is_inet {
                return Err(ActivationError::WrongType { name, fd, found: "not an internet socket" });
            }
            passed.push((socket, adopt(fd, &name)?));
        }
        Ok(Self { passed })
    }

    /// Takes every listener passed under this name: none when systemd holds no such socket, several when its unit lists
    /// several `ListenStream=`.
    pub fn take(&mut self, socket: Socket) -> Vec<TcpListener> {
        self.passed.extract_if(.., |(name, _)| *name == socket).map(|(_, listener)| listener).collect()
    }

    /// True when nothing was passed, or all of it was taken.
    pub fn is_empty(&self) -> bool {
        self.passed.is_empty()
    }
}

/// How many descriptors systemd says it passed to this very process; none when it says nothing.
fn passed_count() -> Option<usize> {
    let pid: u32 = env::var("LISTEN_PID").ok()?.parse().ok()?;
    (pid == process::id()).then(|| env::var("LISTEN_FDS").ok()?.parse().ok()).flatten()
}

fn adopt(fd: RawFd, name: &str) -> Result<TcpListener, ActivationError> {
    // SAFETY: systemd opened this descriptor for this process ($LISTEN_PID was checked) and libsystemd has just set a flag
    // on it, so it is open; `from_environment` clears the environment, so nobody else adopts it again.
    #[expect(unsafe_code, reason = "a descriptor number from the environment has no safe owner yet")]
    let owned = unsafe { OwnedFd::from_raw_fd(fd) };
    let wrong = |found| ActivationError::WrongType { name: name.to_owned(), fd, found };
    let io = |source: std::io::Error| ActivationError::Io { name: name.to_owned(), fd, source };
    if sockopt::socket_type(&owned).map_err(|e| io(e.into()))? != SocketType::STREAM {
        return Err(wrong("a datagram socket"));
    }
    if !sockopt::socket_acceptconn(&owned).map_err(|e| io(e.into()))? {
        return Err(wrong("a connection, not a listener"));
    }
    let listener = TcpListener::from(owned);
    // tokio refuses to adopt a blocking socket.
    listener.set_nonblocking(true).map_err(io)?;
    Ok(listener)
}
