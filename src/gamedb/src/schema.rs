//! What makes a SQLite file a game database: `docs/databases.md` has the same list.

use rusqlite::{Connection, OptionalExtension as _, types::Value};

/// The tables that a game database has at least.
pub const TABLES: [&str; 8] = [
    "games",
    "game_moves",
    "game_players",
    "game_initial_state",
    "game_state_snapshots",
    "game_history_entries",
    "game_choices",
    "schema_metadata",
];

/// The version that `schema_metadata` must tell.
pub const VERSION: &str = "18";

/// With so many of [`TABLES`], `games` among them, a file is a game database, and what is missing was lost.
const ENOUGH: usize = 5;

/// Those of [`TABLES`] that are missing; `None` if it is not a game database at all.
pub(crate) fn missing(names: &[String]) -> Option<Vec<&'static str>> {
    let missing: Vec<_> = TABLES.into_iter().filter(|table| !names.iter().any(|name| name == table)).collect();
    let enough = missing.len() <= TABLES.len() - ENOUGH && !missing.contains(&"games");
    enough.then_some(missing)
}

/// The names of the tables of a database.
pub(crate) fn tables(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")?;
    let names = statement.query_map([], |row| Ok(String::from_utf8_lossy(row.get_ref(0)?.as_bytes()?).into_owned()))?;
    names.collect()
}

/// The version that a database tells; `None` if it tells none.
pub(crate) fn version(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let found: Option<Value> = connection
        .query_row("SELECT value FROM schema_metadata WHERE key = 'schema_version'", [], |row| row.get(0))
        .optional()?;
    Ok(match found {
        Some(Value::Text(text)) => Some(text),
        Some(Value::Integer(number)) => Some(number.to_string()),
        _ => None,
    })
}

/// How many games there are.
pub(crate) fn games(connection: &Connection) -> rusqlite::Result<u64> {
    // An index could be whole where the table is not: rows are counted where they are.
    let count: i64 = connection.query_row("SELECT count(*) FROM games NOT INDEXED", [], |row| row.get(0))?;
    Ok(count.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_game_database_that_lost_tables_is_still_one_and_others_are_not() {
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(missing(&names(&TABLES)), Some(vec![]));
        assert_eq!(missing(&names(&TABLES[..5])), Some(TABLES[5..].to_vec()));
        assert_eq!(missing(&names(&TABLES[..4])), None);
        assert_eq!(missing(&names(&TABLES[1..])), None, "without games");
        assert_eq!(missing(&names(&["ratings", "match_history", "games"])), None);
        assert_eq!(missing(&[]), None);
    }
}
