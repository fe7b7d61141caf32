//! Progress of images under way, on standard error: drawn on a terminal, else a line now and then.
//!
//! Transfers only count; a timer shows what was counted. So showing it costs the same whatever the number of images and
//! pieces. Only where nobody takes what is written, as in a full pipe or a stopped terminal, everything waits for it, as
//! it would for any other output.

mod board;
mod canvas;
mod frame;
mod image;
mod line;
mod rate;
#[cfg(test)]
pub(crate) mod screen;

use std::fmt;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sealift_core::locked;
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
pub(crate) enum Showing {
    Drawn,
    Hidden,
    Lines,
}

impl Showing {
    /// Returns the best that standard error has room for: it is drawn on if it is a terminal, and none that is dumb.
    pub(crate) fn best() -> Self {
        if indicatif::ProgressDrawTarget::stderr().is_hidden() { Self::Lines } else { Self::Drawn }
    }
}

/// Progress on standard error, where a person may have to be spoken with meanwhile.
#[derive(Clone)]
pub(crate) struct Progress {
    showing: Showing,
    view: Arc<Mutex<View>>,
}

impl Progress {
    pub(crate) fn new(showing: Showing) -> Self {
        Self { showing, view: Arc::new(Mutex::new(View::Hidden)) }
    }

    /// Begins to show the progress of so many images.
    pub(crate) fn begin(&self, images: usize) -> Live {
        let (view, interval) = match self.showing {
            Showing::Drawn => (View::Drawn(Canvas::on_stderr()), Some(DRAW_INTERVAL)),
            Showing::Hidden => (View::Hidden, None),
            Showing::Lines => (View::Lines(Box::new(anstream::stderr())), Some(LINE_INTERVAL)),
        };
        Live::begin(images, self, view, interval)
    }

    /// Leaves standard error to whoever speaks with a person, until the pause is dropped: a drawing would erase what is
    /// said, and a line would end up in the middle of a question.
    pub(crate) fn pause(&self) -> Pause {
        locked(&self.view).pause();
        Pause(Arc::clone(&self.view))
    }
}

#[cfg(test)]
impl Progress {
    /// Begins to draw the progress of so many images on `screen`.
    pub(crate) fn on(screen: &screen::Screen, images: usize) -> (Self, Live) {
        let progress = Self::new(Showing::Drawn);
        let view = View::Drawn(Canvas::on(screen.target(), false));
        let live = Live::begin(images, &progress, view, Some(DRAW_INTERVAL));
        (progress, live)
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Progress").field("showing", &self.showing).finish_non_exhaustive()
    }
}

/// Somebody speaks with a person; when it is dropped, progress is shown again.
pub(crate) struct Pause(Arc<Mutex<View>>);

impl Drop for Pause {
    fn drop(&mut self) {
        locked(&self.0).resume();
    }
}

/// Progress that is being shown; when it is dropped, nothing drawn is left of it.
pub(crate) struct Live {
    shared: Arc<Shared>,
    timer: Option<JoinHandle<()>>,
}

struct Shared {
    board: Board,
    view: Arc<Mutex<View>>,
}

enum View {
    Drawn(Canvas),
    Hidden,
    Lines(Box<dyn Write + Send>),
    /// Somebody speaks with a person.
    Paused {
        resumed: Box<Self>,
        /// Lines to write afterwards.
        kept: Vec<String>,
    },
}

impl Live {
    fn begin(images: usize, progress: &Progress, view: View, interval: Option<Duration>) -> Self {
        *locked(&progress.view) = view;
        let shared = Arc::new(Shared { board: Board::new(images), view: Arc::clone(&progress.view) });
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
            lines.iter().for_each(|line| locked(&self.shared.view).end(line, done, board.images()));
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.timer.iter().for_each(JoinHandle::abort);
        // The timer may be about to show once more: it must not, between the lines of the result.
        if let View::Drawn(canvas) = std::mem::replace(&mut *locked(&self.shared.view), View::Hidden) {
            canvas.clear();
        }
    }
}

impl Shared {
    fn show(&self) {
        let standing = self.board.standing();
        match &mut *locked(&self.view) {
            View::Drawn(canvas) => canvas.draw(&frame::frame(&standing)),
            View::Hidden | View::Paused { .. } => {}
            // Nothing is left to do when standard error is gone.
            View::Lines(out) => drop(writeln!(out, "{}", line::line(&standing))),
        }
    }
}

impl View {
    /// Shows what became of an image at one destination.
    fn end(&mut self, line: &PromotionLine, done: usize, images: usize) {
        if self.shows(line) {
            self.write(format!("[{done}/{images}] {}", line.headline()));
        }
    }

    /// Says whether a line is shown: on a terminal only what somebody has to look after, for the rest is about to be
    /// read in the result.
    fn shows(&self, line: &PromotionLine) -> bool {
        match self {
            Self::Drawn(_) => line.ending().is_trouble(),
            Self::Hidden => false,
            Self::Lines(_) => true,
            Self::Paused { resumed, .. } => resumed.shows(line),
        }
    }

    fn write(&mut self, line: String) {
        match self {
            Self::Drawn(canvas) => canvas.write_above(&line),
            Self::Hidden => {}
            // As above.
            Self::Lines(out) => drop(writeln!(out, "{line}")),
            Self::Paused { kept, .. } => kept.push(line),
        }
    }

    fn pause(&mut self) {
        if let Self::Drawn(canvas) = self {
            canvas.clear();
        }
        let resumed = Box::new(std::mem::replace(self, Self::Hidden));
        *self = Self::Paused { resumed, kept: Vec::new() };
    }

    fn resume(&mut self) {
        match std::mem::replace(self, Self::Hidden) {
            Self::Paused { resumed, kept } => {
                *self = *resumed;
                if let Self::Drawn(canvas) = self {
                    canvas.draw_again();
                }
                kept.into_iter().for_each(|line| self.write(line));
            }
            // Progress that ended meanwhile is not shown again.
            other => *self = other,
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

    fn on(log: &Log, images: usize) -> (Progress, Live) {
        let progress = Progress::new(Showing::Lines);
        let live = Live::begin(images, &progress, View::Lines(Box::new(log.clone())), Some(LINE_INTERVAL));
        (progress, live)
    }

    fn failed(source: &str) -> PromotionLine {
        let result = Err(CliError::from(UsageError::NoTerminal));
        PromotionLine { source: source.to_owned(), place: source.to_owned(), result, elapsed: Duration::from_secs(25) }
    }

    #[tokio::test(start_paused = true)]
    async fn a_log_says_what_is_done_at_once_and_how_far_the_rest_is_now_and_then() {
        let log = Log::default();
        let (_, live) = on(&log, 2);
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
        let (_, live) = Progress::on(&screen, 2);
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
    async fn what_is_said_to_a_person_stays_on_a_terminal() {
        let screen = screen::Screen::default();
        let (progress, live) = Progress::on(&screen, 2);
        let image = live.image("a:1");
        tokio::time::sleep(DRAW_INTERVAL * 2).await;
        let drawn = screen.lines();
        assert!(drawn[0].starts_with("  a:1 ") && drawn.len() == 3, "{drawn:?}");
        let pause = progress.pause();
        assert_eq!(screen.lines(), [""; 0], "what is drawn makes room");
        screen.say("Sign in at:\n  https://issuer.test/\nCode shown there: ");
        live.end(&image, &[failed("a:1")]);
        tokio::time::sleep(DRAW_INTERVAL * 2).await;
        let asked = ["Sign in at:", "  https://issuer.test/", "Code shown there:"];
        assert_eq!(screen.lines(), asked, "nothing is drawn before the answer");
        screen.say("1234\n");
        drop(pause);
        tokio::time::sleep(DRAW_INTERVAL * 2).await;
        let said = [asked[0], asked[1], "Code shown there: 1234", "[1/2] failed a:1: USAGE, 25.0 s"];
        let lines = screen.lines();
        assert_eq!(lines[..said.len()], said);
        assert!(lines[said.len()].starts_with("1 of 2 images "), "it goes on below: {lines:?}");
        drop(live);
        assert_eq!(screen.lines(), said);
    }

    #[tokio::test(start_paused = true)]
    async fn no_line_is_written_in_the_middle_of_a_question() {
        let log = Log::default();
        let (progress, live) = on(&log, 2);
        let pause = progress.pause();
        live.end(&live.image("a:1"), &[failed("a:1")]);
        tokio::time::sleep(LINE_INTERVAL * 2).await;
        assert_eq!(log.take(), [""; 0]);
        drop(pause);
        assert_eq!(log.take(), ["[1/2] failed a:1: USAGE, 25.0 s"]);
        tokio::time::sleep(LINE_INTERVAL).await;
        assert_eq!(log.take().len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn progress_that_ended_while_somebody_was_asked_is_not_shown_again() {
        let screen = screen::Screen::default();
        let (progress, live) = Progress::on(&screen, 2);
        tokio::time::sleep(DRAW_INTERVAL * 2).await;
        let pause = progress.pause();
        drop(live);
        drop(pause);
        assert_eq!(screen.lines(), [""; 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn one_image_by_itself_is_left_to_the_result() {
        let log = Log::default();
        let (_, live) = on(&log, 1);
        live.end(&live.image("a:1"), &[failed("a:1")]);
        assert_eq!(log.take(), [""; 0]);
    }
}
