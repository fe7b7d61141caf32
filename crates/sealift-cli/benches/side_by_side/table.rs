//! A table in Markdown, whose columns line up.

/// Rows under headings.
pub(crate) struct Table {
    title: String,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Returns a table without rows.
    pub(crate) fn new(title: impl Into<String>, columns: &[&str]) -> Self {
        let title = title.into();
        println!("\n{title} …");
        Self { title, rows: vec![columns.iter().map(|column| (*column).to_owned()).collect()] }
    }

    /// Adds a row, and prints it at once: the table, whose columns line up, may be minutes away.
    pub(crate) fn row(&mut self, row: Vec<String>) {
        println!("… {}", row.join(", "));
        self.rows.push(row);
    }

    /// Prints it.
    pub(crate) fn print(self) {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or_default();
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        println!("\n## {}\n", self.title);
        for (number, row) in self.rows.iter().enumerate() {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
            println!("| {} |", cells.collect::<Vec<_>>().join(" | "));
            if number == 0 {
                let rule: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
                println!("| {} |", rule.join(" | "));
            }
        }
    }
}
