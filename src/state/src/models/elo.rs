use serde::{Deserialize, Serialize};

/// A rating. Finite, so that equal states stay equal after they were written and read.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Elo(f64);

/// Why a number is not an [`Elo`].
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("{0} is not an Elo rating: a number from -100000 to 100000")]
pub struct InvalidElo(pub f64);

impl Elo {
    /// No scale in use comes near it.
    const LIMIT: f64 = 100_000.0;

    /// The number.
    pub const fn get(self) -> f64 {
        self.0
    }
}

// Neither NaN nor a second zero gets in.
impl Eq for Elo {}

impl TryFrom<f64> for Elo {
    type Error = InvalidElo;

    fn try_from(number: f64) -> Result<Self, Self::Error> {
        if number.abs() <= Self::LIMIT { Ok(Self(number + 0.0)) } else { Err(InvalidElo(number)) }
    }
}

impl From<Elo> for f64 {
    fn from(elo: Elo) -> Self {
        elo.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_is_no_rating() {
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 100_000.5] {
            assert!(Elo::try_from(bad).is_err(), "{bad}");
        }
        assert_eq!(Elo::try_from(-0.0).unwrap().get().to_bits(), 0.0f64.to_bits());
        assert_eq!(Elo::try_from(1512.5).unwrap().get().to_bits(), 1512.5f64.to_bits());
    }
}
