use std::fmt;

/// The longest name.
const MAX_BYTES: usize = 128;

/// What a cluster's id says: `LINEAGE` at formation, `LINEAGE-rN-SALT` after its Nth recovery from a lost majority.
///
/// The lineage is chosen at random when a cluster forms and stays through recoveries, so that a node which follows the
/// cluster knows a recovered one from a foreign one. The salt tells two recoveries apart that operators made of the same
/// cluster without knowing of each other: neither succeeds the other, and nodes of one refuse the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterId {
    lineage: String,
    recoveries: u32,
    salt: String,
}

impl ClusterId {
    /// Reads an id. A text without the suffix of a recovery is an id that was never recovered.
    pub fn parse(text: &str) -> Self {
        let recovery = text.rsplit_once('-').and_then(|(head, salt)| {
            let (lineage, number) = head.rsplit_once("-r")?;
            let digits = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) && !number.starts_with('0');
            let recoveries = if digits { number.parse().ok()? } else { return None };
            Some(Self { lineage: lineage.to_owned(), recoveries, salt: salt.to_owned() })
        });
        recovery.unwrap_or_else(|| Self { lineage: text.to_owned(), recoveries: 0, salt: String::new() })
    }

    /// The id of the cluster after one more recovery; `salt` is a short random text of letters and digits.
    #[must_use]
    pub fn recovered(&self, salt: &str) -> Self {
        Self { lineage: self.lineage.clone(), recoveries: self.recoveries.saturating_add(1), salt: salt.to_owned() }
    }

    /// How often the cluster came back from a lost majority.
    pub fn recoveries(&self) -> u32 {
        self.recoveries
    }

    /// Whether a cluster called `now` takes the name `next`: its first one, or that of a later recovery.
    ///
    /// Another one can stand in a log after the name that counts: a leader that has not applied what a leader before it called the cluster
    /// calls it something else.
    pub fn takes(now: &str, next: &str) -> bool {
        let fits = (1..=MAX_BYTES).contains(&next.len());
        fits && (now.is_empty() || Self::parse(next).succeeds(&Self::parse(now)))
    }

    /// Whether this is a later recovery of the cluster `old`.
    pub fn succeeds(&self, old: &Self) -> bool {
        self.lineage == old.lineage && self.recoveries > old.recoveries
    }
}

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.recoveries {
            0 => f.write_str(&self.lineage),
            n => write!(f, "{}-r{n}-{}", self.lineage, self.salt),
        }
    }
}
