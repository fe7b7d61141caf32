//! Progress of images under way, on standard error: drawn on a terminal, else a line now and then.
//!
//! Transfers only count; a timer shows what was counted. So showing it never holds up a transfer, and costs the same
//! whatever the number of images and pieces.

mod board;
mod canvas;
mod frame;
mod image;
mod line;
mod rate;
#[cfg(test)]
mod screen;

use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};

pub(crate) use image::ImageProgress;

use crate::output::model::PromotionLine;
use board::Board;
use canvas::Canvas;

/// How often a terminal is drawn on.
const DRAW_INTERVAL: Duration = Duration::from_millis(100);
/// How often a line says how far everything is: often enough for a log that somebody watches, or that a CI system gives
/// up on when it stays silent.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// How progress is shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Progress {
    Drawn,
    Hidden,
    Lines,
}

impl Progress {
    /// Says whether standard error can be drawn on: a terminal, and none that is dumb.
    pub(crate) fn can_be_drawn() -> bool {
        !indicatif::ProgressDrawTarget::stderr().is_hidden()
    }

    /// Begins to show the progress of so many images.
    pub(crate) fn begin(self, images: usize) -> Live {
        match self {
            Self::Drawn => Live::begin(images, View::Drawn(Canvas::on_stderr()), Some(DRAW_INTERVAL)),
            Self::Hidden => Live::begin(images, View::Hidden, None),
            Self::Lines => Live::begin(images, View::Lines(Box::new(anstream::stderr())), Some(LINE_INTERVAL)),
        }
    }
}

/// Progress that is being shown; when it is dropped, nothing drawn is left of it.
pub(crate) struct Live {
    shared: Arc<Shared>,
    timer: Option<JoinHandle<()>>,
}

struct Shared {
    board: Board,
    view: Mutex<View>,
}

enum View {
    Drawn(Canvas),
    Hidden,
    Lines(Box<dyn Write + Send>),
}

impl Live {
    fn begin(images: usize, view: View, interval: Option<Duration>) -> Self {
        let shared = Arc::new(Shared { board: Board::new(images), view: Mutex::new(view) });
        let timer = interval.map(|interval| {
            let shared = Arc::clone(&shared);
            let mut ticks = tokio::time::interval_at(Instant::now() + interval, interval);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            tokio::spawn(async move {
                loop {
                    ticks.tick().await;
                    shared.show();
                }
            })
        });
        Self { shared, timer }
    }

    /// Begins with one image.
    pub(crate) fn image(&self, name: impl Into<String>) -> Arc<ImageProgress> {
        self.shared.board.open(name.into())
    }

    /// Ends with one image; `lines` is what became of it.
    pub(crate) fn end(&self, image: &Arc<ImageProgress>, lines: &[PromotionLine]) {
        let board = &self.shared.board;
        let done = board.close(image, lines.iter().map(PromotionLine::ending));
        // Of one image by itself, the result says it all.
        if board.images() > 1 {
            lines.iter().for_each(|line| self.shared.view().end(line, done, board.images()));
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.timer.iter().for_each(JoinHandle::abort);
        // The timer may be about to show once more: it must not, between the lines of the result.
        if let View::Drawn(canvas) = std::mem::replace(&mut *self.shared.view(), View::Hidden) {
            canvas.clear();
        }
    }
}

impl Shared {
    fn view(&self) -> MutexGuard<'_, View> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show(&self) {
        let standing = self.board.standing();
        match &mut *self.view() {
            View::Drawn(canvas) => canvas.draw(&frame::frame(&standing)),
            View::Hidden => {}
            // Nothing is left to do when standard error is gone.
            View::Lines(out) => drop(writeln!(out, "{}", line::line(&standing))),
        }
    }
}

impl View {
    /// Shows what became of an image at one destination: on a terminal only what somebody has to look after, for the
    /// rest is about to be read in the result.
    fn end(&mut self, line: &PromotionLine, done: usize, images: usize) {
        let text = || format!("[{done}/{images}] {}", line.headline());
        match self {
            Self::Drawn(canvas) if line.ending().is_trouble() => canvas.write_above(&text()),
            Self::Drawn(_) | Self::Hidden => {}
            // As above.
            Self::Lines(out) => drop(writeln!(out, "{}", text())),
        }
    }
}

#[cfg(test)]
mod tests {
    use sealift_core::copy::CopyObserver as _;
    use sealift_core::oci::Descriptor;
    use sealift_core::repository::Arrival;

    use super::*;
    use crate::error::{CliError, UsageError};

    /// What was written, and can be looked at meanwhile.
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Log {
        fn take(&self) -> Vec<String> {
            let bytes = std::mem::take(&mut *self.0.lock().unwrap());
            let text = anstream::adapter::strip_bytes(&bytes).into_vec();
            String::from_utf8(text).unwrap().lines().map(str::to_owned).collect()
        }
    }

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn failed(source: &str) -> PromotionLine {
        let result = Err(CliError::from(UsageError::NoTerminal));
        PromotionLine { source: source.to_owned(), place: source.to_owned(), result, elapsed: Duration::from_secs(25) }
    }

    #[tokio::test(start_paused = true)]
    async fn a_log_says_what_is_done_at_once_and_how_far_the_rest_is_now_and_then() {
        let log = Log::default();
        let live = Live::begin(2, View::Lines(Box::new(log.clone())), Some(LINE_INTERVAL));
        let image = live.image("a:1");
        let layer = Descriptor::of("application/vnd.oci.image.layer.v1.tar", &[0; 100]);
        let delivery = image.deliver(100);
        delivery.started(&layer);
        delivery.progressed(&layer, 60);
        tokio::time::sleep(LINE_INTERVAL * 2 + DRAW_INTERVAL).await;
        let line = "0 of 2 images done, 1 under way; 60 B copied at";
        let rest = "0 mounted, 0 present already";
        assert_eq!(log.take(), [format!("{line} 6 B/s, {rest}, 00:00:10"), format!("{line} 0 B/s, {rest}, 00:00:20")]);
        delivery.finished(&layer, Arrival::Copied);
        live.end(&image, &[failed("a:1")]);
        assert_eq!(log.take(), ["[1/2] failed a:1: USAGE, 25.0 s"]);
        tokio::time::sleep(LINE_INTERVAL).await;
        let line = "1 of 2 images done (1 failed), 0 under way; 100 B copied at 4 B/s";
        assert_eq!(log.take(), [format!("{line}, {rest}, 00:00:30")]);
        drop(live);
        tokio::time::sleep(LINE_INTERVAL * 2).await;
        assert_eq!(log.take(), [""; 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_terminal_keeps_what_somebody_has_to_look_after_and_nothing_else() {
        let screen = screen::Screen::default();
        let view = View::Drawn(Canvas::on(screen.target(), false));
        let live = Live::begin(2, view, Some(DRAW_INTERVAL));
        let [first, second] = ["a:1", "b:1"].map(|name| live.image(name));
        second.deliver(100);
        tokio::time::sleep(DRAW_INTERVAL * 2).await;
        let lines = screen.lines();
        assert!(lines[0].starts_with("  a:1 ") && lines[0].ends_with("verifying"), "{lines:?}");
        assert!(lines[1].starts_with("  b:1 ") && lines[1].ends_with(" 100 B"), "{lines:?}");
        assert!(lines[2].starts_with("0 of 2 images "), "{lines:?}");
        live.end(&first, &[failed("a:1")]);
        tokio::time::sleep(DRAW_INTERVAL).await;
        let lines = screen.lines();
        let trouble = "[1/2] failed a:1: USAGE, 25.0 s";
        assert_eq!(lines[0], trouble);
        assert!(lines[1].starts_with("  b:1 ") && lines[2].starts_with("1 of 2 images "), "{lines:?}");
        drop(live);
        assert_eq!(screen.lines(), [trouble]);
        tokio::time::sleep(DRAW_INTERVAL * 2).await;
        assert_eq!(screen.lines(), [trouble]);
    }

    #[tokio::test(start_paused = true)]
    async fn one_image_by_itself_is_left_to_the_result() {
        let log = Log::default();
        let live = Live::begin(1, View::Lines(Box::new(log.clone())), Some(LINE_INTERVAL));
        live.end(&live.image("a:1"), &[failed("a:1")]);
        assert_eq!(log.take(), [""; 0]);
    }
}
