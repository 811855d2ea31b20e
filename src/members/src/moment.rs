use std::time::Duration;

/// When an input reaches the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Monotonic time since some start. It alone decides.
    pub at: Duration,
    /// This host's wall clock, in milliseconds since 1970. It is told to others and never compared to decide.
    pub wall_ms: i64,
}
