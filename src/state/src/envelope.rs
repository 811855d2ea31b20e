//! State files: what is written can be read back whole, or is refused with a sentence.
//!
//! A file is, in this order: the eight bytes `RINGRIFT`, the format's version (u32, little-endian), the body's length
//! (u64, little-endian), the SHA-256 of all that and of the body, and the body ([`encode`]).

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

/// The format's version. It grows when a body can no longer be read by a program that knows only the version before; a
/// new field with a default needs no new version.
pub const FORMAT: u32 = 1;

/// The largest file read: far above any state, far below what would hurt the host.
const MAX_FILE: u64 = 256 << 20;
const MAGIC: &[u8; 8] = b"RINGRIFT";
const HEAD: usize = MAGIC.len() + 4 + 8;
const SUM: usize = 32;

/// Why bytes are not a state file of ours.
#[derive(Debug, thiserror::Error)]
pub enum Damage {
    /// It begins with something else.
    #[error("it is not a ringrift state file (it does not begin with RINGRIFT)")]
    Foreign,
    /// A newer program wrote it.
    #[error("it has format {found}, and this program reads up to format {FORMAT}")]
    Newer {
        /// The file's format.
        found: u32,
    },
    /// It ends too early, or goes on for too long.
    #[error("it has {found} bytes where {expected} were written: it was cut off or overwritten")]
    Length {
        /// Bytes that the head announces.
        expected: u64,
        /// Bytes there.
        found: u64,
    },
    /// Its bytes changed since they were written.
    #[error("its SHA-256 does not match: its bytes changed since they were written")]
    Checksum,
    /// The bytes are as they were written, and still make no sense.
    #[error("its body cannot be decoded: {0}")]
    Body(#[from] rmp_serde::decode::Error),
}

impl Damage {
    /// What to do about a file that cannot be fetched anew.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Newer { .. } => "use the newer program that wrote it",
            Self::Foreign | Self::Length { .. } | Self::Checksum | Self::Body(_) => "put an intact copy in its place",
        }
    }
}

/// Why a state file was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The operating system refused.
    #[error("cannot {deed} {}: {source}", path.display())]
    Io {
        /// What was tried.
        deed: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There are bytes, and they are not what should be there.
    #[error("{} cannot be used: {damage}. It was left as it is; {}", path.display(), damage.remedy())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        damage: Damage,
    },
    /// The value has no encoding.
    #[error("cannot encode what belongs into {}: {source}", path.display())]
    Encode {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rmp_serde::encode::Error,
    },
}

/// The value as `MessagePack` with field names.
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, rmp_serde::encode::Error> {
    rmp_serde::to_vec_named(value)
}

/// How deep values may be nested in each other. The deepest that are written, the details of an event in a state that a message between
/// voters carries, come to 29. Each level costs a reader up to 1 MiB at once: that much serde sets aside for a list by its length alone.
const MAX_DEPTH: usize = 48;

/// The value in bytes that [`encode`] made.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, rmp_serde::decode::Error> {
    let mut decoder = rmp_serde::Deserializer::from_read_ref(bytes);
    decoder.set_max_depth(MAX_DEPTH);
    T::deserialize(&mut decoder)
}

/// The value as the bytes of a state file.
pub fn seal<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, rmp_serde::encode::Error> {
    let body = encode(value)?;
    let mut file = Vec::with_capacity(HEAD + SUM + body.len());
    file.extend_from_slice(MAGIC);
    file.extend_from_slice(&FORMAT.to_le_bytes());
    file.extend_from_slice(&(body.len() as u64).to_le_bytes());
    let sum = Sha256::new().chain_update(&file).chain_update(&body).finalize();
    file.extend_from_slice(&sum);
    file.extend_from_slice(&body);
    Ok(file)
}

/// The value in the bytes of a state file.
pub fn open<T: DeserializeOwned>(file: &[u8]) -> Result<T, Damage> {
    let found = file.len() as u64;
    let rest = file.strip_prefix(MAGIC).ok_or(Damage::Foreign)?;
    let short = Damage::Length { expected: (HEAD + SUM) as u64, found };
    let Some((format, rest)) = rest.split_first_chunk::<4>() else { return Err(short) };
    let format = u32::from_le_bytes(*format);
    if format > FORMAT {
        return Err(Damage::Newer { found: format });
    }
    let Some((length, rest)) = rest.split_first_chunk::<8>() else { return Err(short) };
    let Some((sum, body)) = rest.split_first_chunk::<SUM>() else { return Err(short) };
    let expected = u64::from_le_bytes(*length);
    if expected != body.len() as u64 {
        return Err(Damage::Length { expected: expected.saturating_add((HEAD + SUM) as u64), found });
    }
    if Sha256::new().chain_update(&file[..HEAD]).chain_update(body).finalize()[..] != sum[..] {
        return Err(Damage::Checksum);
    }
    Ok(decode(body)?)
}

/// Reads a state file; `None` when there is no such file.
pub fn load<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, FileError> {
    let io = |source| FileError::Io { deed: "read", path: path.to_owned(), source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io(error)),
    };
    let mut bytes = Vec::new();
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(io(io::Error::other(format!("it is larger than {} MiB", MAX_FILE >> 20))));
    }
    open(&bytes).map(Some).map_err(|damage| FileError::Damaged { path: path.to_owned(), damage })
}

/// Writes a state file so that, whatever happens meanwhile, the path holds either all of the old bytes or all of the new.
///
/// The bytes pass through `.NAME.new` beside it: one writer at a time.
pub fn save<T: Serialize + ?Sized>(path: &Path, value: &T) -> Result<(), FileError> {
    let bytes = seal(value).map_err(|source| FileError::Encode { path: path.to_owned(), source })?;
    let io = |source| FileError::Io { deed: "write", path: path.to_owned(), source };
    let name = path.file_name().ok_or_else(|| io(io::Error::from(io::ErrorKind::IsADirectory)))?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut fresh_name = std::ffi::OsString::from(".");
    fresh_name.push(name);
    fresh_name.push(".new");
    let fresh = folder.join(fresh_name);
    // What a crash left there is removed, not reused: it would keep its mode.
    let cleared = match std::fs::remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    };
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o640);
    let written = cleared.and_then(|()| options.open(&fresh)).and_then(|mut file| {
        file.write_all(&bytes)?;
        file.sync_all()
    });
    // Without the folder's own sync the rename may be lost with the power, and the old bytes come back.
    written.and_then(|()| std::fs::rename(&fresh, path)).and_then(|()| File::open(folder)?.sync_all()).map_err(io)
}
