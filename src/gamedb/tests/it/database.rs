//! Databases to try things on.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, OpenFlags, types::Value};
use tempfile::TempDir;

/// The tables of a game database, with columns of every kind that they have in the cluster.
const TABLES: &str = "
CREATE TABLE schema_metadata (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE games (game_id TEXT PRIMARY KEY, board_type TEXT NOT NULL, num_players INTEGER NOT NULL, rng_seed INTEGER,
  created_at TEXT NOT NULL, game_status TEXT NOT NULL, winner INTEGER, total_moves INTEGER NOT NULL, quality_score REAL);
CREATE TABLE game_players (game_id TEXT NOT NULL, player_number INTEGER NOT NULL, player_type TEXT NOT NULL, ai_type TEXT,
  PRIMARY KEY (game_id, player_number), FOREIGN KEY (game_id) REFERENCES games(game_id) ON DELETE CASCADE);
CREATE TABLE game_initial_state (game_id TEXT PRIMARY KEY, initial_state_json TEXT NOT NULL, compressed INTEGER DEFAULT 0,
  FOREIGN KEY (game_id) REFERENCES games(game_id) ON DELETE CASCADE);
CREATE TABLE game_moves (game_id TEXT NOT NULL, move_number INTEGER NOT NULL, turn_number INTEGER NOT NULL,
  player INTEGER NOT NULL, phase TEXT NOT NULL, move_json TEXT NOT NULL, engine_eval REAL,
  PRIMARY KEY (game_id, move_number), FOREIGN KEY (game_id) REFERENCES games(game_id) ON DELETE CASCADE);
CREATE TABLE game_state_snapshots (game_id TEXT NOT NULL, move_number INTEGER NOT NULL, state_json TEXT NOT NULL,
  compressed INTEGER DEFAULT 0, state_hash TEXT, PRIMARY KEY (game_id, move_number),
  FOREIGN KEY (game_id) REFERENCES games(game_id) ON DELETE CASCADE);
CREATE TABLE game_choices (game_id TEXT NOT NULL, move_number INTEGER NOT NULL, choice_type TEXT NOT NULL,
  player INTEGER NOT NULL, options_json TEXT NOT NULL, selected BLOB, PRIMARY KEY (game_id, move_number, choice_type),
  FOREIGN KEY (game_id) REFERENCES games(game_id) ON DELETE CASCADE);
CREATE TABLE game_history_entries (game_id TEXT NOT NULL, move_number INTEGER NOT NULL, player INTEGER NOT NULL,
  phase_before TEXT NOT NULL, phase_after TEXT NOT NULL, state_before_json TEXT, state_after_json TEXT, engine_eval REAL,
  fsm_valid INTEGER, fsm_error_code TEXT, PRIMARY KEY (game_id, move_number),
  FOREIGN KEY (game_id) REFERENCES games(game_id) ON DELETE CASCADE);
CREATE INDEX idx_games_board ON games(board_type, num_players);
CREATE INDEX idx_moves_turn ON game_moves(game_id, turn_number);
CREATE VIEW finished AS SELECT game_id FROM games WHERE game_status = 'completed';
INSERT INTO schema_metadata VALUES ('schema_version', '18');
";

/// The names of the tables.
pub(crate) const NAMES: [&str; 8] = ringrift_gamedb::schema::TABLES;

/// Something done to a file.
pub(crate) type Deed<'a> = Box<dyn Fn() + 'a>;

pub(crate) fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// A game database of so many games of so many moves, in WAL mode without a log left.
pub(crate) fn games(path: &Path, games: u32, moves: u32) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut connection = Connection::open(path).unwrap();
    connection.pragma_update(None, "journal_mode", "WAL").unwrap();
    connection.pragma_update(None, "synchronous", "OFF").unwrap();
    connection.execute_batch(TABLES).unwrap();
    let transaction = connection.transaction().unwrap();
    for game in 0..games {
        add(&transaction, game, moves);
    }
    transaction.commit().unwrap();
    connection.close().unwrap();
}

/// One more game.
pub(crate) fn add(connection: &Connection, game: u32, moves: u32) {
    let id = format!("game-{game:05}");
    let game_row = "INSERT INTO games VALUES (?1, 'hex8', 2, ?2, '2026-03-01T00:00:00', 'completed', 1, ?3, 0.5)";
    connection.execute(game_row, (&id, game, moves)).unwrap();
    for player in 1..=2 {
        connection.execute("INSERT INTO game_players VALUES (?1, ?2, 'ai', NULL)", (&id, player)).unwrap();
    }
    // Longer than a page, so that it has pages of its own.
    let state = format!("{{\"game\":{game},\"cells\":\"{}\"}}", "abcdefgh".repeat(900));
    connection.execute("INSERT INTO game_initial_state VALUES (?1, ?2, 0)", (&id, &state)).unwrap();
    let mut insert = connection.prepare("INSERT INTO game_moves VALUES (?1, ?2, ?3, ?4, 'movement', ?5, ?6)").unwrap();
    for number in 0..moves {
        let text = format!("{{\"from\":{number},\"why\":\"{}\"}}", "x".repeat((number * 7 % 180) as usize));
        insert.execute((&id, number, number / 2, number % 2 + 1, text, f64::from(number) / 3.0)).unwrap();
    }
    let snapshot = "INSERT INTO game_state_snapshots VALUES (?1, ?2, '{}', 0, NULL)";
    connection.execute(snapshot, (&id, moves)).unwrap();
    let choice = "INSERT INTO game_choices VALUES (?1, 1, 'line', 1, '[]', x'00ff')";
    connection.execute(choice, [&id]).unwrap();
    let history = "INSERT INTO game_history_entries VALUES (?1, 0, 1, 'a', 'b', NULL, NULL, NULL, 1, NULL)";
    connection.execute(history, [&id]).unwrap();
}

/// A connection that leaves no file beside a database without a log.
fn look(path: &Path) -> Connection {
    let logged = fs::metadata(format!("{}-wal", path.display())).is_ok_and(|log| log.len() > 0);
    let uri = format!("file:{}{}", path.display(), if logged { "" } else { "?immutable=1" });
    Connection::open_with_flags(uri, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI).unwrap()
}

/// Rows by table, and in `salvaged_…` of it, up to where SQLite gives up. A row's number comes first.
pub(crate) fn rows(path: &Path) -> BTreeMap<&'static str, Vec<Vec<Value>>> {
    let connection = look(path);
    NAMES.into_iter().map(|name| (name, rows_of(&connection, name))).collect()
}

fn rows_of(connection: &Connection, name: &str) -> Vec<Vec<Value>> {
    let mut found = Vec::new();
    for sql in [
        format!("SELECT rowid, * FROM {name} NOT INDEXED ORDER BY rowid"),
        format!("SELECT NULL, * FROM salvaged_{name}"),
    ] {
        let Ok(mut statement) = connection.prepare(&sql) else { continue };
        let columns = statement.column_count();
        let mut rows = statement.raw_query();
        let mut last = None;
        while let Ok(Some(row)) = rows.next() {
            let value = |at| match row.get_ref(at).unwrap() {
                rusqlite::types::ValueRef::Text(text) => Value::Blob([b"text:", text].concat()),
                other => Value::try_from(other).unwrap(),
            };
            let row: Vec<Value> = (0..columns).map(value).collect();
            // Numbers of rows rise: a row that does not is what SQLite makes of a page of garbage.
            if let Value::Integer(number) = row[0] {
                if last.is_some_and(|last| number <= last) {
                    continue;
                }
                last = Some(number);
            }
            found.push(row);
        }
    }
    found
}

/// The page where a table or index begins.
pub(crate) fn root(path: &Path, name: &str) -> u64 {
    let connection = look(path);
    let root: i64 =
        connection.query_row("SELECT rootpage FROM sqlite_schema WHERE name = ?1", [name], |row| row.get(0)).unwrap();
    root.unsigned_abs()
}

/// The pages below a page of a table.
pub(crate) fn children(path: &Path, page: u64) -> Vec<u64> {
    let bytes = read_page(path, page);
    assert_eq!(bytes[0], 5, "page {page} is no inner page of a table");
    let count = usize::from(u16::from_be_bytes([bytes[3], bytes[4]]));
    let child = |at: usize| u64::from(u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()));
    let cell = |at: usize| usize::from(u16::from_be_bytes([bytes[12 + 2 * at], bytes[13 + 2 * at]]));
    (0..count).map(|at| child(cell(at))).chain([child(8)]).collect()
}

pub(crate) const PAGE: usize = 4096;

pub(crate) fn read_page(path: &Path, page: u64) -> Vec<u8> {
    let mut bytes = vec![0; PAGE];
    File::open(path).unwrap().read_exact_at(&mut bytes, (page - 1) * PAGE as u64).unwrap();
    bytes
}

/// Writes bytes into a file.
pub(crate) fn damage(path: &Path, at: u64, bytes: &[u8]) {
    File::options().write(true).open(path).unwrap().write_all_at(bytes, at).unwrap();
}

pub(crate) fn damage_page(path: &Path, page: u64, bytes: &[u8]) {
    damage(path, (page - 1) * PAGE as u64, bytes);
}

/// The names in a folder.
pub(crate) fn list(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// A database that some program left in the middle of something: the files as they are while it has them open.
pub(crate) fn crashed(path: &Path, journal_mode: &str, work: impl FnOnce(&Connection)) -> PathBuf {
    let scratch = folder();
    let live = scratch.path().join("live.db");
    games(&live, 20, 5);
    let connection = Connection::open(&live).unwrap();
    connection.pragma_update(None, "journal_mode", journal_mode).unwrap();
    connection.pragma_update(None, "wal_autocheckpoint", 0).unwrap();
    work(&connection);
    for suffix in ["", "-wal", "-journal"] {
        let from = format!("{}{suffix}", live.display());
        if Path::new(&from).exists() {
            fs::copy(from, format!("{}{suffix}", path.display())).unwrap();
        }
    }
    path.to_owned()
}
