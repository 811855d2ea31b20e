//! The Raft library's own tests of a log store and a state machine.

use openraft::{
    StorageError,
    testing::log::{StoreBuilder, Suite},
};
use tempfile::TempDir;

use crate::{
    machine::Machine,
    store::{Log, Store},
    types::{Types, Voter},
};

impl From<u64> for Voter {
    fn from(n: u64) -> Self {
        Self(format!("n{n}").parse().unwrap())
    }
}

/// Makes stores that write as in production, or as in simulated time.
struct Builder {
    inline: bool,
}

impl StoreBuilder<Types, Log, Machine, TempDir> for Builder {
    async fn build(&self) -> Result<(TempDir, Log, Machine), StorageError<Types>> {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), &"n0".parse().unwrap(), self.inline).unwrap();
        let (machine, _) = Machine::new(store.clone());
        Ok((dir, Log(store), machine))
    }
}

#[tokio::test]
async fn the_store_keeps_rafts_contract() {
    Suite::test_all(Builder { inline: false }).await.unwrap();
}

#[tokio::test]
async fn the_store_of_simulated_time_keeps_rafts_contract() {
    Suite::test_all(Builder { inline: true }).await.unwrap();
}
