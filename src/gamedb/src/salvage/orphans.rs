//! Rows that SQLite does not reach any more, found on their pages.

use std::path::Path;

use rusqlite::ToSql;

use super::{
    pages::{NOBODY, OTHERS, Pages},
    record::Field,
    tables::Column,
    target::Target,
};
use crate::{
    course::Course,
    error::{DbError, Result},
};

/// A table that is being rescued.
pub(super) struct Rescue<'c> {
    pub(super) target: Target<'c>,
    /// Whether SQLite read all of it.
    pub(super) whole: bool,
    /// Rows that it did not reach.
    pub(super) found_on_pages: u64,
}

/// Adds the rows that are only found on their pages. How many pages have rows that fit no table, or more than one.
pub(super) fn rescue(
    copy: &Path,
    named: &Path,
    tables: &mut [Rescue<'_>],
    others: &[u32],
    course: &mut Course<'_>,
) -> Result<u64> {
    let reading = |error| DbError::io("read", named)(error);
    let Some(mut pages) = Pages::open(copy).map_err(reading)? else { return Ok(0) };
    for root in others {
        pages.mark_tree(*root, OTHERS);
    }
    for (at, table) in tables.iter().enumerate() {
        pages.mark_tree(table.target.table().root, u8::try_from(at + 1).unwrap_or(OTHERS).min(OTHERS));
    }
    pages.mark_free();
    let mut unknown = 0;
    for number in 1..=pages.count() {
        if number % 256 == 1 {
            course.at("looking for rows in", named, number.into(), pages.count().into())?;
        }
        let at = match pages.owner(number) {
            None | Some(OTHERS) => continue,
            Some(NOBODY) => match table_of(&pages, number, tables).map_err(reading)? {
                Owner::Table(at) => at,
                Owner::Unknown => {
                    unknown += 1;
                    continue;
                }
                Owner::Nobody => continue,
            },
            Some(table) => usize::from(table) - 1,
        };
        let table = &mut tables[at];
        if table.whole || table.target.table().rowid.is_none() || table.target.table().computed {
            continue;
        }
        let added = pages.each_row(number, |row| match row {
            Some((rowid, fields)) => table.add(rowid, fields),
            None => Ok(()),
        });
        added.map_err(reading)?.map_err(DbError::sqlite("rescue rows of", named))?;
    }
    Ok(unknown)
}

impl Rescue<'_> {
    fn add(&mut self, rowid: i64, mut fields: Vec<Field>) -> rusqlite::Result<()> {
        let columns = &self.target.table().columns;
        // A row that is older than a column has no value for it; none has more.
        if fields.len() > columns.len() {
            return Ok(());
        }
        for (field, _) in fields.iter_mut().zip(columns).filter(|(_, column)| column.is_rowid) {
            // It is stored once, as the row's number.
            *field = Field::Integer(rowid);
        }
        if !self.target.has(rowid)? {
            let values: Vec<&dyn ToSql> = fields.iter().map(|field| field as &dyn ToSql).collect();
            let before = self.target.rows;
            self.target.add(Some(rowid), &values)?;
            self.found_on_pages += self.target.rows - before;
        }
        Ok(())
    }
}

enum Owner {
    /// The only damaged table that all rows fit.
    Table(usize),
    /// They fit none, or several.
    Unknown,
    /// There are no rows.
    Nobody,
}

/// To which table a page belongs that no page leads to.
fn table_of(pages: &Pages, number: u32, tables: &[Rescue<'_>]) -> std::io::Result<Owner> {
    let mut fitting: Vec<usize> = (0..tables.len()).filter(|at| !tables[*at].whole).collect();
    let mut rows = 0;
    let looked = pages.each_row(number, |row| -> Result<(), std::convert::Infallible> {
        if let Some((_, fields)) = row {
            rows += 1;
            fitting.retain(|at| fits(&tables[*at].target.table().columns, &fields));
        }
        Ok(())
    })?;
    looked.unwrap_or_else(|never| match never {});
    Ok(match fitting[..] {
        _ if rows == 0 => Owner::Nobody,
        [one] => Owner::Table(one),
        _ => Owner::Unknown,
    })
}

/// Whether values can be those of a row: SQLite stores a column's values by its affinity (<https://www.sqlite.org/datatype3.html>).
fn fits(columns: &[Column], fields: &[Field]) -> bool {
    columns.len() == fields.len()
        && columns.iter().zip(fields).all(|(column, field)| {
            let declared = column.declared.to_ascii_uppercase();
            let has = |words: &[&str]| words.iter().any(|word| declared.contains(word));
            match field {
                Field::Null => !column.not_null || column.is_rowid,
                _ if column.is_rowid => false,
                Field::Integer(_) => !has(&["CHAR", "CLOB", "TEXT"]) || has(&["INT"]),
                Field::Real(_) => !has(&["CHAR", "CLOB", "TEXT", "INT"]),
                Field::Text(_) => !has(&["INT", "REAL", "FLOA", "DOUB"]),
                Field::Blob(_) => true,
            }
        })
}
