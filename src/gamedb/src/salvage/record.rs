//! Rows as they lie in a file: <https://www.sqlite.org/fileformat2.html#record_format>.

use rusqlite::{
    ToSql,
    types::{ToSqlOutput, ValueRef},
};

/// A value of a row.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Field {
    Null,
    Integer(i64),
    Real(f64),
    Text(Vec<u8>),
    Blob(Vec<u8>),
}

impl ToSql for Field {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(value) => ValueRef::Integer(*value),
            Self::Real(value) => ValueRef::Real(*value),
            Self::Text(bytes) => ValueRef::Text(bytes),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

/// The values of a record; `None` if it is none. Nothing may be left over: bytes that only look like a record seldom fit exactly.
pub(super) fn fields(record: &[u8]) -> Option<Vec<Field>> {
    let (length, mut at) = varint(record)?;
    let length = usize::try_from(length).ok().filter(|length| (at..=record.len()).contains(length))?;
    let mut body = record.get(length..)?;
    let mut fields = Vec::new();
    while at < length {
        let (kind, read) = varint(record.get(at..length)?)?;
        at += read;
        let size = match kind {
            0 | 8 | 9 => 0,
            1..=4 => kind as usize,
            5 => 6,
            6 | 7 => 8,
            10 | 11 => return None,
            kind => usize::try_from((kind - 12) / 2).ok()?,
        };
        let (bytes, rest) = body.split_at_checked(size)?;
        body = rest;
        fields.push(match kind {
            0 => Field::Null,
            8 => Field::Integer(0),
            9 => Field::Integer(1),
            7 => Field::Real(f64::from_be_bytes(bytes.try_into().ok()?)),
            1..=6 => Field::Integer(integer(bytes)),
            kind if kind % 2 == 0 => Field::Blob(bytes.to_vec()),
            _ => Field::Text(bytes.to_vec()),
        });
    }
    body.is_empty().then_some(fields)
}

/// A number of up to eight bytes, the first of which has the sign.
fn integer(bytes: &[u8]) -> i64 {
    let negative = bytes.first().is_some_and(|byte| byte & 0x80 != 0);
    bytes.iter().fold(if negative { -1 } else { 0 }, |value, byte| value << 8 | i64::from(*byte))
}

/// A number of one to nine bytes, and how many.
pub(super) fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0;
    for (at, byte) in bytes.iter().take(8).enumerate() {
        value = value << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some((value, at + 1));
        }
    }
    bytes.get(8).map(|byte| (value << 8 | u64::from(*byte), 9))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_record_is_read_as_the_format_says() {
        let record = [7, 0, 1, 9, 4, 15, 16, 0xff, 0x80, 0, 0, 0, b'a', 1, 2];
        let expected = [
            Field::Null,
            Field::Integer(-1),
            Field::Integer(1),
            Field::Integer(-2_147_483_648),
            Field::Text(b"a".to_vec()),
            Field::Blob(vec![1, 2]),
        ];
        assert_eq!(fields(&record), Some(expected.to_vec()));
        assert_eq!(fields(&record[..14]), None, "cut");
        assert_eq!(fields(&[&record[..], &[0]].concat()), None, "something is left over");
        assert_eq!(fields(&[2, 10]), None, "a kind that SQLite never writes");
    }

    proptest! {
        #[test]
        fn bytes_of_any_kind_are_a_record_or_none(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = fields(&bytes);
        }
    }
}
