//! The redb file.
//!
//! - `meta`: `format` (u64, little-endian, written in every version), `node`, `standing`, `vote`, `committed`, `purged`
//! - `log`: an entry under its index
//! - `snapshot`: the newest one under `current`

use std::{
    collections::BTreeSet,
    fs,
    io::{self, ErrorKind},
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use redb::{Database, DatabaseError, Durability, ReadableDatabase, ReadableTable, StorageError, TableDefinition};
use ringrift_config::NodeId;
use ringrift_state::{Agreed, decode, encode};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::Mirror;
use crate::{
    error::StartError,
    record::{LogPos, Record, SnapshotHead, VoteRecord},
};

/// The format that this program writes, and the newest that it reads. It grows when an older program could no longer read
/// the file rightly; a new field with a default needs no new format.
pub(crate) const FORMAT: u64 = 1;

const NAME: &str = "consensus.redb";
const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
const LOG: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("log");
const SNAPSHOT: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("snapshot");

/// Pages that redb keeps in memory. The log is in memory anyway; this is for the inner pages.
const CACHE_BYTES: usize = 1 << 20;

/// How this node came into its cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(tag = "standing", rename_all = "snake_case")]
pub(crate) enum Standing {
    /// It has promised nothing to anybody, as far as its disk knows.
    #[default]
    Fresh,
    /// It founds the cluster, together with the others.
    Founder {
        /// The founding voters.
        genesis: BTreeSet<NodeId>,
    },
    /// It found a cluster that exists, with nothing on its own disk. It may be a voter that lost its disk, and with it
    /// promises that it gave: it must not vote before it holds all that they could have been about.
    Joining {
        /// Which cluster.
        cluster: String,
    },
    /// It takes part.
    Member,
}

/// A snapshot: the state, and where in the log it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StateImage {
    pub(crate) head: SnapshotHead,
    pub(crate) agreed: Agreed,
}

/// Something to write. Changes are written in order, all or nothing.
pub(crate) enum Change {
    Vote(VoteRecord),
    Append(Vec<(u64, Vec<u8>)>),
    /// Removes the entries from this index on.
    Truncate(u64),
    /// Removes the entries up to this one.
    Purge(LogPos),
    Committed(Option<LogPos>),
    Snapshot(Bytes),
    Standing(Standing),
}

/// The open file. Nobody else can open it meanwhile.
pub(crate) struct File {
    db: Database,
    path: PathBuf,
}

impl File {
    /// Opens the file of `node` in `dir` and reads all of it, or makes an empty one.
    pub(crate) fn open(dir: &Path, node: &NodeId) -> Result<(Self, Mirror), StartError> {
        let path = Self::path_in(dir);
        #[cfg(test)]
        if let Some(disk) = crate::tests::storage::at(dir) {
            return Self::open_on(&disk, path, node);
        }
        let io = |error| StartError::Io { path: path.clone(), error };
        fs::create_dir_all(dir).map_err(io)?;
        match fs::metadata(&path) {
            Ok(found) if found.len() == 0 => return Err(damaged(&path, "it is empty")),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => make(dir, &path, node)?,
            Err(error) => return Err(io(error)),
        }
        let db = database(&path, |builder| builder.open(&path))?;
        Self { db, path }.read_by(node)
    }

    fn read_by(self, node: &NodeId) -> Result<(Self, Mirror), StartError> {
        let mirror = self.guarded(|file| file.read(node))?;
        Ok((self, mirror))
    }

    /// The same on a simulated disk.
    #[cfg(test)]
    fn open_on(disk: &crate::tests::storage::Disk, path: PathBuf, node: &NodeId) -> Result<(Self, Mirror), StartError> {
        let fresh = disk.is_empty();
        let db = database(&path, |builder| builder.create_with_backend(disk.open()))?;
        if fresh {
            begin(&db, node).map_err(|e| StartError::Io { path: path.clone(), error: io::Error::other(e) })?;
        }
        Self { db, path }.read_by(node)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the file lies in a voter's directory.
    pub(crate) fn path_in(dir: &Path) -> PathBuf {
        dir.join(NAME)
    }

    /// Writes the changes, and returns when they are on disk.
    pub(crate) fn commit(&self, changes: &[Change]) -> io::Result<()> {
        // What redb finds wrong with its own file while it writes, it may say by a panic.
        catch_unwind(AssertUnwindSafe(|| self.write(changes)))
            .unwrap_or_else(|_| Err(redb::Error::Corrupted("panicked while writing".into())))
            .map_err(io::Error::other)
    }

    fn write(&self, changes: &[Change]) -> Result<(), redb::Error> {
        let mut txn = self.db.begin_write()?;
        txn.set_durability(Durability::Immediate)?;
        {
            let mut meta = txn.open_table(META)?;
            let mut log = txn.open_table(LOG)?;
            for change in changes {
                match change {
                    Change::Vote(vote) => drop(meta.insert("vote", &*bytes(vote)?)?),
                    Change::Committed(at) => drop(meta.insert("committed", &*bytes(at)?)?),
                    Change::Standing(standing) => drop(meta.insert("standing", &*bytes(standing)?)?),
                    Change::Append(entries) => {
                        for (index, entry) in entries {
                            log.insert(index, &**entry)?;
                        }
                    }
                    Change::Truncate(from) => log.retain_in(*from.., |_, _| false)?,
                    Change::Purge(upto) => {
                        log.retain_in(..=upto.index, |_, _| false)?;
                        meta.insert("purged", &*bytes(upto)?)?;
                    }
                    Change::Snapshot(image) => drop(txn.open_table(SNAPSHOT)?.insert("current", &**image)?),
                }
            }
        }
        txn.commit()?;
        Ok(())
    }

    /// What a start would read, for [`crate::fuzz`].
    #[cfg(any(fuzzing, test))]
    pub(crate) fn read_all(db: Database, node: &NodeId) -> Result<Mirror, StartError> {
        Self { db, path: NAME.into() }.read(node)
    }

    fn read(&self, node: &NodeId) -> Result<Mirror, StartError> {
        let bad = |what: String| damaged(&self.path, what);
        let txn = self.db.begin_read().map_err(|e| bad(e.to_string()))?;
        let meta = txn.open_table(META).map_err(|e| bad(format!("its table of contents: {e}")))?;
        let get = |key: &str| -> Result<Option<Vec<u8>>, StartError> {
            let found = meta.get(key).map_err(|e| bad(format!("{key}: {e}")))?;
            Ok(found.map(|value| value.value().to_vec()))
        };
        let format = get("format")?.ok_or_else(|| bad("its format version is missing".into()))?;
        let format = <[u8; 8]>::try_from(&*format).map_err(|_| bad("its format version has no 8 bytes".into()))?;
        match u64::from_le_bytes(format) {
            FORMAT => {}
            found if found > FORMAT => {
                return Err(StartError::Newer { path: self.path.clone(), found, known: FORMAT });
            }
            found => return Err(bad(format!("format version {found} never existed"))),
        }
        let owner = get("node")?.ok_or_else(|| bad("its node's name is missing".into()))?;
        if owner != node.as_str().as_bytes() {
            let found = String::from_utf8_lossy(&owner).into_owned();
            return Err(StartError::OtherNode { path: self.path.clone(), found, node: node.clone() });
        }

        let mut mirror = Mirror::default();
        mirror.vote = self.decoded::<VoteRecord>("the vote", get("vote")?)?.map(Into::into);
        mirror.committed =
            self.decoded::<Option<LogPos>>("the commit index", get("committed")?)?.flatten().map(Into::into);
        mirror.purged = self.decoded::<LogPos>("the purge point", get("purged")?)?.map(Into::into);
        mirror.standing = self.decoded("the standing", get("standing")?)?.unwrap_or_default();
        let log = txn.open_table(LOG).map_err(|e| bad(format!("the log: {e}")))?;
        for row in log.iter().map_err(|e| bad(format!("the log: {e}")))? {
            let (key, value) = row.map_err(|e| bad(format!("the log: {e}")))?;
            let (index, value) = (key.value(), value.value());
            let record: Record =
                decode(value).map_err(|e| bad(format!("log entry {index} cannot be decoded ({e})")))?;
            if record.index != index {
                return Err(bad(format!("log entry {index} says that it is entry {}", record.index)));
            }
            mirror.push(record.into(), value.len());
        }
        let snapshots = txn.open_table(SNAPSHOT).map_err(|e| bad(format!("the snapshot: {e}")))?;
        if let Some(image) = snapshots.get("current").map_err(|e| bad(format!("the snapshot: {e}")))? {
            let bytes = Bytes::copy_from_slice(image.value());
            let image: StateImage = decode(&bytes).map_err(|e| bad(format!("the snapshot cannot be decoded ({e})")))?;
            mirror.snapshot = Some((image.into(), bytes));
        }
        mirror.check().map_err(|e| bad(e.to_string()))?;
        Ok(mirror)
    }

    fn decoded<T: DeserializeOwned>(&self, what: &str, bytes: Option<Vec<u8>>) -> Result<Option<T>, StartError> {
        let read =
            |bytes: Vec<u8>| decode(&bytes).map_err(|e| damaged(&self.path, format!("{what} cannot be decoded ({e})")));
        bytes.map(read).transpose()
    }

    fn guarded<T>(&self, work: impl FnOnce(&Self) -> Result<T, StartError>) -> Result<T, StartError> {
        catch_unwind(AssertUnwindSafe(|| work(self)))
            .unwrap_or_else(|_| Err(damaged(&self.path, "its pages contradict each other")))
    }
}

/// Makes an empty file that appears under its name only when it is whole: an empty or half file is then always damage.
fn make(dir: &Path, path: &Path, node: &NodeId) -> Result<(), StartError> {
    let fresh = dir.join(format!(".{NAME}.new"));
    let io = |error| StartError::Io { path: fresh.clone(), error };
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(io(error)),
        _ => {}
    }
    let db = database(&fresh, |builder| builder.create(&fresh))?;
    begin(&db, node).map_err(|e| io(io::Error::other(e)))?;
    drop(db);
    let sync = |path: &Path| fs::File::open(path)?.sync_all();
    sync(&fresh).and_then(|()| fs::rename(&fresh, path)).and_then(|()| sync(dir)).map_err(io)
}

/// Writes what every file has.
fn begin(db: &Database, node: &NodeId) -> Result<(), redb::Error> {
    let txn = db.begin_write()?;
    {
        let mut meta = txn.open_table(META)?;
        meta.insert("format", &FORMAT.to_le_bytes()[..])?;
        meta.insert("node", node.as_str().as_bytes())?;
        txn.open_table(LOG)?;
        txn.open_table(SNAPSHOT)?;
    }
    txn.commit()?;
    Ok(())
}

fn database(
    path: &Path,
    open: impl FnOnce(&mut redb::Builder) -> Result<Database, DatabaseError>,
) -> Result<Database, StartError> {
    let mut builder = Database::builder();
    // The check reads the whole file, a few megabytes at most: what altered bytes say must never count as a promise.
    builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true);
    let opened = catch_unwind(AssertUnwindSafe(|| open(&mut builder)));
    opened.unwrap_or_else(|_| Err(StorageError::Corrupted("its pages contradict each other".into()).into())).map_err(
        |error| match error {
            DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
                StartError::InUse { path: path.to_owned() }
            }
            DatabaseError::Storage(StorageError::Io(error))
                if !matches!(error.kind(), ErrorKind::InvalidData | ErrorKind::UnexpectedEof) =>
            {
                StartError::Io { path: path.to_owned(), error }
            }
            other => damaged(path, other.to_string()),
        },
    )
}

fn damaged(path: &Path, what: impl Into<String>) -> StartError {
    StartError::Damaged { path: path.to_owned(), what: what.into() }
}

fn bytes<T: Serialize>(value: &T) -> Result<Vec<u8>, redb::Error> {
    encode(value).map_err(|e| redb::Error::Io(io::Error::other(e)))
}
