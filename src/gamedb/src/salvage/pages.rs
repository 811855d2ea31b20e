//! Rows whose pages are whole but not reached any more, because a page above them is damaged:
//! <https://www.sqlite.org/fileformat2.html#b_tree_pages>.

use std::{collections::HashSet, fs::File, io, os::unix::fs::FileExt as _, path::Path};

use super::record::{Field, fields, varint};

const INNER: u8 = 0x05;
const LEAF: u8 = 0x0d;

/// The pages of a database.
pub(super) struct Pages {
    file: File,
    page: usize,
    usable: usize,
    count: u32,
    /// The first page of the list of free ones.
    free: u32,
    /// To whom each page belongs: one byte each, 25 MB for a database of 100 GB.
    owner: Vec<u8>,
}

/// A row: its number and its values.
pub(super) type Row = (i64, Vec<Field>);

/// No owner is known.
pub(super) const NOBODY: u8 = 0;
/// Not a page with rows, or one that is free: its rows were deleted.
const NO_ROWS: u8 = 255;
/// The list of tables, and what is not rescued.
pub(super) const OTHERS: u8 = 254;

impl Pages {
    /// Opens a database whose header is whole and that has no log; `None` if its text is not UTF-8, which this does not read.
    pub(super) fn open(path: &Path) -> io::Result<Option<Self>> {
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        let mut header = [0; 100];
        file.read_exact_at(&mut header, 0)?;
        let page = match u16::from_be_bytes([header[16], header[17]]) {
            1 => 65_536,
            page => usize::from(page),
        };
        if page < 512 || word(&header, 56) > 1 {
            return Ok(None);
        }
        let count = u32::try_from(size / page as u64).unwrap_or(u32::MAX);
        let usable = page - usize::from(header[20]);
        let free = word(&header, 32);
        Ok(Some(Self { file, page, usable, count, free, owner: vec![NOBODY; count as usize + 1] }))
    }

    /// How many there are.
    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// Marks the pages that are reached from the first page of a table as belonging to it.
    pub(super) fn mark_tree(&mut self, root: u32, table: u8) {
        let mut waiting = vec![root];
        while let Some(number) = waiting.pop() {
            let Some(page) = self.unowned(number) else { continue };
            let at = start(number);
            match page[at] {
                LEAF => self.owner[number as usize] = table,
                INNER => {
                    self.owner[number as usize] = NO_ROWS;
                    for cell in cells(&page, at, 12) {
                        waiting.extend(page.get(cell..cell + 4).map(|bytes| word(bytes, 0)));
                    }
                    waiting.push(word(&page, at + 8));
                }
                _ => {}
            }
        }
    }

    /// The table whose page this is; `None` if it has no rows.
    pub(super) fn owner(&self, number: u32) -> Option<u8> {
        let owner = *self.owner.get(number as usize)?;
        (owner != NO_ROWS).then_some(owner)
    }

    /// Hands out the rows of a leaf one by one, and `None` for what is no row. The inner error is `each`'s own.
    pub(super) fn each_row<E>(
        &self,
        number: u32,
        mut each: impl FnMut(Option<Row>) -> Result<(), E>,
    ) -> io::Result<Result<(), E>> {
        let mut page = vec![0; self.page];
        self.read(number, &mut page)?;
        let at = start(number);
        if page[at] == LEAF {
            for cell in cells(&page, at, 8) {
                if let Err(error) = each(self.row(&page, cell)?) {
                    return Ok(Err(error));
                }
            }
        }
        Ok(Ok(()))
    }

    fn row(&self, page: &[u8], cell: usize) -> io::Result<Option<Row>> {
        let mut bytes = &page[cell.min(self.usable)..self.usable];
        let mut number = || {
            let (value, read) = varint(bytes)?;
            bytes = &bytes[read..];
            Some(value)
        };
        let (Some(length), Some(row)) = (number(), number()) else { return Ok(None) };
        // Longer than the file: it is no length.
        let Some(length) = usize::try_from(length).ok().filter(|length| (*length as u64) < self.bytes()) else {
            return Ok(None);
        };
        let local = self.local(length);
        let Some((here, rest)) = bytes.split_at_checked(local) else { return Ok(None) };
        let mut record = here.to_vec();
        if local < length {
            let Some(next) = rest.get(..4) else { return Ok(None) };
            if !self.overflow(word(next, 0), length, &mut record)? {
                return Ok(None);
            }
        }
        Ok(fields(&record).map(|fields| (row.cast_signed(), fields)))
    }

    /// How many bytes of a record lie on its own page.
    fn local(&self, length: usize) -> usize {
        let most = self.usable - 35;
        if length <= most {
            return length;
        }
        let least = (self.usable - 12) * 32 / 255 - 23;
        let fitting = least + (length - least) % (self.usable - 4);
        if fitting <= most { fitting } else { least }
    }

    /// Appends the rest of a record. A chain that is longer or shorter than the record is none.
    fn overflow(&self, first: u32, length: usize, record: &mut Vec<u8>) -> io::Result<bool> {
        let mut next = first;
        let mut seen = HashSet::new();
        let mut page = vec![0; self.page];
        while record.len() < length {
            if next < 2 || next > self.count || !seen.insert(next) {
                return Ok(false);
            }
            self.read(next, &mut page)?;
            next = word(&page, 0);
            let part = (length - record.len()).min(self.usable - 4);
            record.extend_from_slice(&page[4..4 + part]);
        }
        Ok(next == 0)
    }

    /// Marks the pages that are free, of those that belong to nobody: a list that is damaged takes nothing from a table.
    pub(super) fn mark_free(&mut self) {
        let mut trunk = self.free;
        while let Some(page) = self.unowned(trunk) {
            self.owner[trunk as usize] = NO_ROWS;
            let leaves = (word(&page, 4) as usize).min(self.usable / 4 - 2);
            for leaf in 0..leaves {
                let leaf = word(&page, 8 + 4 * leaf);
                if let Some(owner @ &mut NOBODY) = self.owner.get_mut(leaf as usize) {
                    *owner = NO_ROWS;
                }
            }
            trunk = word(&page, 0);
        }
    }

    fn unowned(&self, number: u32) -> Option<Vec<u8>> {
        if number == 0 || number > self.count || self.owner[number as usize] != NOBODY {
            return None;
        }
        let mut page = vec![0; self.page];
        self.read(number, &mut page).ok()?;
        Some(page)
    }

    fn read(&self, number: u32, page: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(page, (u64::from(number) - 1) * self.page as u64)
    }

    fn bytes(&self) -> u64 {
        u64::from(self.count) * self.page as u64
    }
}

/// Where the b-tree begins on a page: the first one has the database's header before it.
fn start(number: u32) -> usize {
    if number == 1 { 100 } else { 0 }
}

/// Where the cells of a page begin: those that lie on it.
fn cells(page: &[u8], at: usize, header: usize) -> Vec<usize> {
    let count = usize::from(u16::from_be_bytes([page[at + 3], page[at + 4]]));
    let from = at + header;
    let pointers = page[from..].as_chunks::<2>().0.iter().take(count).map(|bytes| u16::from_be_bytes(*bytes));
    // The pointers themselves lie before all cells.
    let first = (from + 2 * count).min(page.len());
    pointers.map(usize::from).filter(|cell| (first..page.len()).contains(cell)).collect()
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes[at..at + 4].iter().fold(0, |word, byte| word << 8 | u32::from(*byte))
}
