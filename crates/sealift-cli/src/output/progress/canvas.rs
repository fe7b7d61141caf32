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

    pub(super) fn on(target: ProgressDrawTarget, has_colours: bool) -> Self {
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

    /// Leaves nothing of what was drawn, and draws no more.
    pub(super) fn clear(&self) {
        self.lines.finish_and_clear();
    }

    /// Draws again what was cleared, below what was written meanwhile.
    pub(super) fn draw_again(&self) {
        self.lines.reset();
    }

    fn coloured(&self, text: &str) -> String {
        if self.has_colours { text.to_owned() } else { anstream::adapter::strip_str(text).to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::progress::screen::Screen;
    use crate::output::style::GOOD;

    #[test]
    fn what_is_drawn_is_replaced_and_what_is_written_above_stays() {
        let screen = Screen::default();
        let canvas = Canvas::on(screen.target(), false);
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
            let canvas = Canvas::on(screen.target(), has_colours);
            canvas.draw(&coloured);
            assert_eq!(screen.written().trim_end(), expected);
        }
    }
}
