//! A terminal in memory, for tests to look at.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use indicatif::{ProgressDrawTarget, TermLike};

/// A terminal as high as what is written is long.
#[derive(Clone, Debug, Default)]
pub(crate) struct Screen(Arc<Mutex<Cells>>);

#[derive(Debug, Default)]
struct Cells {
    rows: Vec<String>,
    row: usize,
    column: usize,
    written: String,
}

const WIDTH: u16 = 80;

impl Screen {
    fn cells(&self) -> MutexGuard<'_, Cells> {
        self.0.lock().unwrap()
    }

    /// Returns where to draw to appear here.
    pub(super) fn target(&self) -> ProgressDrawTarget {
        ProgressDrawTarget::term_like(Box::new(self.clone()))
    }

    /// Returns everything that was written, with the colours.
    pub(super) fn written(&self) -> String {
        self.cells().written.clone()
    }

    /// Writes as others do who know nothing of what is drawn.
    pub(crate) fn say(&self, text: &str) {
        self.write_str(text).unwrap();
    }

    /// Returns what is to be seen.
    pub(crate) fn lines(&self) -> Vec<String> {
        let cells = self.cells();
        cells.rows.iter().map(|row| row.trim_end().to_owned()).filter(|row| !row.is_empty()).collect()
    }
}

impl Cells {
    fn put(&mut self, character: char) {
        // As terminals do, only when there is more to write.
        if character == '\n' || self.column == usize::from(WIDTH) {
            (self.row, self.column) = (self.row + 1, 0);
        }
        self.rows.resize(self.rows.len().max(self.row + 1), String::new());
        if character != '\n' {
            self.rows[self.row].push(character);
            self.column += 1;
        }
    }
}

impl TermLike for Screen {
    fn width(&self) -> u16 {
        WIDTH
    }

    fn move_cursor_up(&self, rows: usize) -> io::Result<()> {
        self.cells().row -= rows;
        Ok(())
    }

    fn move_cursor_down(&self, rows: usize) -> io::Result<()> {
        self.cells().row += rows;
        Ok(())
    }

    fn move_cursor_right(&self, _columns: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_left(&self, _columns: usize) -> io::Result<()> {
        Ok(())
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.write_str(&format!("{text}\n"))
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.cells().written.push_str(text);
        let plain = anstream::adapter::strip_str(text).to_string();
        plain.chars().for_each(|character| self.cells().put(character));
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        let cells = &mut *self.cells();
        cells.column = 0;
        cells.rows.get_mut(cells.row).map(String::clear);
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}
