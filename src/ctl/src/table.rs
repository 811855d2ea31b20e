use crate::paint::{Paint, Tone};

/// A table for people: columns as wide as they must be, two blanks between them.
#[derive(Debug)]
pub(crate) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

/// A column's title, and whether its cells stand at the right.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    title: &'static str,
    right: bool,
}

/// A cell.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cell {
    text: String,
    tone: Tone,
}

/// A column of text.
pub(crate) const fn left(title: &'static str) -> Column {
    Column { title, right: false }
}

/// A column of numbers.
pub(crate) const fn right(title: &'static str) -> Column {
    Column { title, right: true }
}

impl Cell {
    pub(crate) fn toned(text: impl Into<String>, tone: Tone) -> Self {
        Self { text: text.into(), tone }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::toned(text, Tone::Plain)
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::toned(text, Tone::Plain)
    }
}

impl From<(String, Tone)> for Cell {
    fn from((text, tone): (String, Tone)) -> Self {
        Self { text, tone }
    }
}

impl Table {
    pub(crate) fn new(columns: &[Column]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    pub(crate) fn row(&mut self, cells: Vec<Cell>) {
        debug_assert_eq!(cells.len(), self.columns.len(), "a row must fill the columns");
        self.rows.push(cells);
    }

    pub(crate) fn render(&self, paint: Paint) -> String {
        let width = |i: usize, title: &str| {
            self.rows.iter().map(|r| r[i].text.chars().count()).chain([title.chars().count()]).max().unwrap_or(0)
        };
        let widths: Vec<usize> = self.columns.iter().enumerate().map(|(i, c)| width(i, c.title)).collect();
        let titles = self.columns.iter().map(|c| Cell::toned(c.title, Tone::Strong)).collect();
        let mut text = String::new();
        for row in std::iter::once(&titles).chain(&self.rows) {
            let mut line = String::new();
            // Blanks are only owed once something follows them: no line ends in one.
            let mut owed = 0;
            for ((cell, column), width) in row.iter().zip(&self.columns).zip(&widths) {
                let padding = width - cell.text.chars().count();
                if column.right {
                    owed += padding;
                }
                if !cell.text.is_empty() {
                    line.push_str(&" ".repeat(owed));
                    line.push_str(&paint.text(cell.tone, &cell.text));
                    owed = 0;
                }
                owed += if column.right { 2 } else { padding + 2 };
            }
            text.push_str(&line);
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_lines_end_in_no_blank() {
        let mut table = Table::new(&[left("NODE"), right("CPU"), left("NOTE")]);
        table.row(vec!["alpha".into(), "7 %".into(), "".into()]);
        table.row(vec!["b".into(), "100 %".into(), "busy".into()]);
        table.row(vec!["c".into(), "".into(), "-".into()]);
        let text = table.render(Paint::for_stdout());
        assert_eq!(
            text,
            "NODE     CPU  NOTE\n\
             alpha    7 %\n\
             b      100 %  busy\n\
             c             -\n"
        );
    }
}
