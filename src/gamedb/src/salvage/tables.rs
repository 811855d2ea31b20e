//! What a damaged database says that it has.

use rusqlite::{Connection, types::ValueRef};

use crate::error::is_damage;

/// An entry of the list of tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Object {
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) root: u32,
    pub(super) sql: String,
}

/// A table as its rows must be read.
#[derive(Debug, Clone)]
pub(super) struct Table {
    pub(super) name: String,
    pub(super) root: u32,
    pub(super) columns: Vec<Column>,
    /// The word for a row's number that is no column's name; `None` in a table WITHOUT ROWID.
    pub(super) rowid: Option<&'static str>,
    /// Whether it has columns that are computed: its rows are not looked for on pages.
    pub(super) computed: bool,
}

/// A column.
#[derive(Debug, Clone)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) declared: String,
    pub(super) not_null: bool,
    /// Whether it is another name for the row's number.
    pub(super) is_rowid: bool,
}

/// All that can be read of the list of tables.
pub(super) fn objects(damaged: &Connection) -> rusqlite::Result<Vec<Object>> {
    let mut objects = Vec::new();
    for order in ["ASC", "DESC"] {
        let sql = format!("SELECT type, name, rootpage, sql FROM sqlite_schema ORDER BY rowid {order}");
        let mut statement = damaged.prepare(&sql)?;
        let mut rows = statement.raw_query();
        loop {
            match rows.next() {
                Ok(Some(row)) => {
                    let text = |at| -> rusqlite::Result<String> {
                        Ok(match row.get_ref(at)? {
                            ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
                            _ => String::new(),
                        })
                    };
                    let root: i64 = row.get(2).unwrap_or(0);
                    let object = Object {
                        kind: text(0)?,
                        name: text(1)?,
                        root: u32::try_from(root).unwrap_or(0),
                        sql: text(3)?,
                    };
                    if !objects.contains(&object) {
                        objects.push(object);
                    }
                }
                Ok(None) => return Ok(objects),
                // What lies behind the damage is read from the other end.
                Err(error) if is_damage(&error) => break,
                Err(error) => return Err(error),
            }
        }
    }
    Ok(objects)
}

impl Table {
    /// As it was made in `fresh`.
    pub(super) fn of(object: &Object, fresh: &Connection) -> rusqlite::Result<Self> {
        let mut statement = fresh.prepare("SELECT name, type, \"notnull\", pk, hidden FROM pragma_table_xinfo(?1)")?;
        let mut columns = Vec::new();
        let mut computed = false;
        let mut keys = 0;
        let rows = statement.query_map([&object.name], |row| {
            let column: (String, String, bool, i64, i64) =
                (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?);
            Ok(column)
        })?;
        for row in rows {
            let (name, declared, not_null, key, hidden) = row?;
            if hidden != 0 {
                computed = true;
                continue;
            }
            keys += i64::from(key > 0);
            // The only column of the key, and exactly this type.
            let is_rowid = key == 1 && declared.eq_ignore_ascii_case("INTEGER");
            columns.push(Column { name, declared, not_null, is_rowid });
        }
        let taken = |word: &str| columns.iter().any(|column| column.name.eq_ignore_ascii_case(word));
        let rowid = ["_rowid_", "rowid", "oid"].into_iter().find(|word| !taken(word));
        let rowid = rowid.filter(|word| {
            let sql = format!("SELECT {word} FROM {}", quoted(&object.name));
            fresh.prepare(&sql).is_ok()
        });
        for column in &mut columns {
            column.is_rowid &= keys == 1 && rowid.is_some();
        }
        Ok(Self { name: object.name.clone(), root: object.root, columns, rowid, computed })
    }
}

/// A name as SQL has it.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
