//! Reading a table through SQLite, from both ends up to what is damaged.

use rusqlite::{
    Connection, Row, ToSql,
    types::{ToSqlOutput, ValueRef},
};

use super::{
    tables::{Table, quoted},
    target::Target,
};
use crate::error::is_damage;

/// Reads all rows that SQLite gives into the target. Whether it gave all of them.
pub(super) fn scan(damaged: &Connection, target: &mut Target<'_>, each: &mut dyn FnMut(u64)) -> rusqlite::Result<bool> {
    let table = target.table().clone();
    let mut last = None;
    if read(damaged, &select(&table, None, "ASC"), target, &mut last, each)? {
        return Ok(true);
    }
    if table.rowid.is_some() {
        // Down to the last one that was read from the other side.
        let after = last;
        read(damaged, &select(&table, after, "DESC"), target, &mut None, each)?;
    }
    Ok(false)
}

fn select(table: &Table, after: Option<i64>, order: &str) -> String {
    let mut columns: Vec<String> = table.columns.iter().map(|column| quoted(&column.name)).collect();
    let Some(rowid) = table.rowid else {
        return format!("SELECT NULL, {} FROM {}", columns.join(", "), quoted(&table.name));
    };
    columns.insert(0, rowid.to_owned());
    let from = after.map(|after| format!(" WHERE {rowid} > {after}")).unwrap_or_default();
    // By the table itself: an index may be damaged where it is not.
    format!("SELECT {} FROM {} NOT INDEXED{from} ORDER BY {rowid} {order}", columns.join(", "), quoted(&table.name))
}

/// Reads rows up to the end, or to what is damaged: then it says `false`.
fn read(
    damaged: &Connection,
    sql: &str,
    target: &mut Target<'_>,
    last: &mut Option<i64>,
    each: &mut dyn FnMut(u64),
) -> rusqlite::Result<bool> {
    let mut statement = match damaged.prepare(sql) {
        Ok(statement) => statement,
        Err(error) if is_damage(&error) => return Ok(false),
        Err(error) => return Err(error),
    };
    let columns = statement.column_count() - 1;
    let descends = sql.ends_with("DESC");
    let mut rows = statement.raw_query();
    loop {
        let row = match rows.next() {
            Ok(Some(row)) => row,
            Ok(None) => return Ok(true),
            Err(error) if is_damage(&error) => return Ok(false),
            Err(error) => return Err(error),
        };
        let rowid: Option<i64> = row.get(0)?;
        if let (Some(rowid), Some(before)) = (rowid, *last)
            // Pages that lead to each other would be read for ever.
            && (if descends { rowid >= before } else { rowid <= before })
        {
            return Ok(false);
        }
        add(row, rowid, columns, target)?;
        *last = rowid;
        each(target.rows + target.set_aside);
    }
}

/// A value as SQLite has it: text stays the bytes that it is.
struct Raw<'r>(ValueRef<'r>);

impl ToSql for Raw<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(self.0))
    }
}

fn add(row: &Row<'_>, rowid: Option<i64>, columns: usize, target: &mut Target<'_>) -> rusqlite::Result<()> {
    let values: Vec<Raw<'_>> = (1..=columns).map(|at| row.get_ref(at).map(Raw)).collect::<rusqlite::Result<_>>()?;
    let values: Vec<&dyn ToSql> = values.iter().map(|value| value as &dyn ToSql).collect();
    target.add(rowid, &values)
}
