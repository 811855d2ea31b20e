//! The table that rows are rescued into.

use std::collections::HashMap;

use rusqlite::{Connection, ErrorCode, Statement, ToSql};

use super::tables::{Table, quoted};

/// One table of the new database.
pub(super) struct Target<'c> {
    fresh: &'c Connection,
    table: Table,
    /// By how many values a row has: one that is older than a column has fewer.
    inserts: HashMap<usize, Statement<'c>>,
    aside: Option<Statement<'c>>,
    has: Option<Statement<'c>>,
    /// Rows in the table.
    pub(super) rows: u64,
    /// Rows that its constraints do not allow, kept in a table of their own.
    pub(super) set_aside: u64,
}

impl<'c> Target<'c> {
    pub(super) fn new(fresh: &'c Connection, table: Table) -> rusqlite::Result<Self> {
        let has = match table.rowid {
            Some(word) => Some(fresh.prepare(&format!("SELECT 1 FROM {} WHERE {word} = ?1", quoted(&table.name)))?),
            None => None,
        };
        Ok(Self { fresh, table, inserts: HashMap::new(), aside: None, has, rows: 0, set_aside: 0 })
    }

    pub(super) fn table(&self) -> &Table {
        &self.table
    }

    /// Whether there is a row of this number.
    pub(super) fn has(&mut self, rowid: i64) -> rusqlite::Result<bool> {
        match &mut self.has {
            Some(statement) => statement.exists([rowid]),
            None => Ok(false),
        }
    }

    /// Adds a row: its number, if rows have one, and its values, the first ones of all columns.
    pub(super) fn add(&mut self, rowid: Option<i64>, values: &[&dyn ToSql]) -> rusqlite::Result<()> {
        let count = values.len();
        let statement = match self.inserts.entry(count) {
            std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::hash_map::Entry::Vacant(entry) => {
                let mut names: Vec<String> = self.table.columns.iter().take(count).map(|c| quoted(&c.name)).collect();
                names.extend(self.table.rowid.map(str::to_owned));
                let marks = vec!["?"; names.len()].join(", ");
                let sql = format!("INSERT INTO {} ({}) VALUES ({marks})", quoted(&self.table.name), names.join(", "));
                entry.insert(self.fresh.prepare(&sql)?)
            }
        };
        for (at, value) in values.iter().enumerate() {
            statement.raw_bind_parameter(at + 1, value)?;
        }
        if self.table.rowid.is_some() {
            statement.raw_bind_parameter(count + 1, rowid)?;
        }
        match statement.raw_execute() {
            Ok(_) => self.rows += 1,
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
                self.keep_aside(values)?;
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// A row that has no place is worth more than none.
    fn keep_aside(&mut self, values: &[&dyn ToSql]) -> rusqlite::Result<()> {
        let columns = &self.table.columns;
        if self.aside.is_none() {
            let name = quoted(&format!("salvaged_{}", self.table.name));
            let names: Vec<String> = columns.iter().map(|column| quoted(&column.name)).collect();
            self.fresh.execute_batch(&format!("CREATE TABLE {name} ({})", names.join(", ")))?;
            let marks = vec!["?"; names.len()].join(", ");
            self.aside = Some(self.fresh.prepare(&format!("INSERT INTO {name} VALUES ({marks})"))?);
        }
        let Some(statement) = &mut self.aside else { return Ok(()) };
        for at in 0..columns.len() {
            match values.get(at) {
                Some(value) => statement.raw_bind_parameter(at + 1, value)?,
                None => statement.raw_bind_parameter(at + 1, rusqlite::types::Null)?,
            }
        }
        statement.raw_execute()?;
        self.set_aside += 1;
        Ok(())
    }
}
