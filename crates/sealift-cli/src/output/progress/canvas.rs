//! Lines at the bottom of a terminal that are drawn anew again and again.

use anstream::{AutoStream, ColorChoice};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Lines at the bottom of a terminal.
#[derive(Debug)]
pub(super) struct Canvas {
    lines: ProgressBar,
    has_colours: bool,
}

impl Canvas {
    /// Returns the bottom of standard error, in colours if they are wanted there.
    pub(super) fn on_stderr() -> Self {
        let has_colours = AutoStream::choice(&std::io::stderr()) != ColorChoice::Never;
        Self::on(ProgressDrawTarget::stderr(), has_colours)
    }

    fn on(target: ProgressDrawTarget, has_colours: bool) -> Self {
        let lines = ProgressBar::with_draw_target(None, target);
        let style = ProgressStyle::with_template("{msg}");
        Self { lines: lines.with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner())), has_colours }
    }

    /// Draws these lines instead of those before.
    pub(super) fn draw(&self, lines: &str) {
        self.lines.set_message(self.coloured(lines));
    }

    /// Writes a line above, to stay.
    pub(super) fn write_above(&self, line: &str) {
        self.lines.println(self.coloured(line));
    }

    /// Leaves nothing of what was drawn.
    pub(super) fn clear(&self) {
        self.lines.finish_and_clear();
    }

    fn coloured(&self, text: &str) -> String {
        if self.has_colours { text.to_owned() } else { anstream::adapter::strip_str(text).to_string() }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex, MutexGuard};

    use indicatif::TermLike;

    use super::*;
    use crate::output::style::GOOD;

    /// A terminal as high as what is written is long.
    #[derive(Clone, Debug, Default)]
    struct Screen(Arc<Mutex<Cells>>);

    #[derive(Debug, Default)]
    struct Cells {
        rows: Vec<String>,
        row: usize,
        column: usize,
        /// Everything that was written, with the colours.
        written: String,
    }

    const WIDTH: u16 = 80;

    impl Screen {
        fn cells(&self) -> MutexGuard<'_, Cells> {
            self.0.lock().unwrap()
        }

        /// Returns what is to be seen.
        fn lines(&self) -> Vec<String> {
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

    #[test]
    fn what_is_drawn_is_replaced_and_what_is_written_above_stays() {
        let screen = Screen::default();
        let canvas = Canvas::on(ProgressDrawTarget::term_like(Box::new(screen.clone())), false);
        canvas.draw("one\ntwo\nthree");
        assert_eq!(screen.lines(), ["one", "two", "three"]);
        canvas.write_above("a line");
        canvas.draw("four\nfive");
        assert_eq!(screen.lines(), ["a line", "four", "five"]);
        canvas.clear();
        assert_eq!(screen.lines(), ["a line"]);
    }

    #[test]
    fn colours_are_left_out_where_they_are_not_wanted() {
        let coloured = format!("{GOOD}done{GOOD:#}");
        for (has_colours, expected) in [(true, &*coloured), (false, "done")] {
            let screen = Screen::default();
            let canvas = Canvas::on(ProgressDrawTarget::term_like(Box::new(screen.clone())), has_colours);
            canvas.draw(&coloured);
            assert_eq!(screen.cells().written.trim_end(), expected);
        }
    }
}
