//! How far everything is, as it is drawn on a terminal.

use std::fmt::Write as _;

use indicatif::FormattedDuration;

use super::board::{Standing, UnderWay};
use crate::output::model::size;
use crate::output::style::{DIM, GOOD};

/// Images with a bar of their own; more would push everything else off the screen, and be too many to watch.
const MAX_BARS: usize = 10;
/// Columns for an image's name.
const NAME: usize = 36;
/// Columns of a bar.
const BAR: u64 = 20;

/// Returns the lines to draw, none of which is wider than a usual terminal.
pub(super) fn frame(standing: &Standing) -> String {
    let mut text = String::new();
    let under_way = &standing.under_way;
    under_way.iter().take(MAX_BARS).for_each(|image| write_image(&mut text, image));
    if let Some(more @ 1..) = under_way.len().checked_sub(MAX_BARS) {
        let _ = writeln!(text, "  {DIM}and {more} more{DIM:#}");
    }
    if standing.images > 1 {
        let (done, images) = (standing.done, standing.images);
        let counted = format!("{done} of {images} images");
        let _ = writeln!(text, "{counted:<NAME$}   {}", bar(done as u64, images as u64));
    }
    if !standing.endings.is_empty() {
        let _ = writeln!(text, "{DIM}{}{DIM:#}", standing.endings);
    }
    let arrived = &standing.arrived;
    let (copied, mounted, present) = (size(arrived.copied.bytes), arrived.mounted.objects, arrived.present.objects);
    let (rate, elapsed) = (size(standing.rate), FormattedDuration(standing.elapsed));
    let _ = write!(
        text,
        "{DIM}{copied} copied at {rate}/s, {mounted} mounted, {present} present already, {elapsed}{DIM:#}"
    );
    text
}

fn write_image(text: &mut String, image: &UnderWay) {
    let name = shortened(&image.name);
    let _ = match image.expected {
        0 => writeln!(text, "  {name:<NAME$} {DIM}verifying{DIM:#}"),
        expected => {
            let bytes = image.bytes.min(expected);
            writeln!(text, "  {name:<NAME$} {} {DIM}{}{DIM:#}", bar(bytes, expected), size(expected))
        }
    };
}

/// Returns the end of a name that is too long: tags and repositories are what tells images apart.
fn shortened(name: &str) -> String {
    match name.chars().count().checked_sub(NAME) {
        None | Some(0) => name.to_owned(),
        Some(over) => std::iter::once('…').chain(name.chars().skip(over + 1)).collect(),
    }
}

fn bar(part: u64, whole: u64) -> String {
    let filled = part.saturating_mul(BAR).checked_div(whole).unwrap_or_default().min(BAR);
    let column = |character: &str, columns: u64| character.repeat(usize::try_from(columns).unwrap_or_default());
    format!("{GOOD}{}{GOOD:#}{DIM}{}{DIM:#}", column("█", filled), column("░", BAR - filled))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::output::model::{Ending, Endings};

    fn standing(under_way: usize) -> Standing {
        let image = |number: usize| UnderWay {
            name: format!("staging.example.com:5000/a/long/path/of/teams/app:v{number}"),
            expected: if number == 0 { 0 } else { 1024 * 1024 * 1023 },
            bytes: 1024 * 1024 * 512,
        };
        let mut endings = Endings::default();
        (0..120).for_each(|_| endings.count(Ending::Unchanged));
        endings.count(Ending::Failed);
        Standing {
            images: 200,
            done: 121,
            under_way: (0..under_way).map(image).collect(),
            endings,
            rate: 1023 * 1024,
            elapsed: Duration::from_secs(3),
            ..Standing::default()
        }
    }

    fn plain(standing: &Standing) -> String {
        anstream::adapter::strip_str(&frame(standing)).to_string()
    }

    #[test]
    fn only_so_many_images_have_a_bar_of_their_own() {
        let text = plain(&standing(64));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), MAX_BARS + 4, "{text}");
        assert_eq!(lines[0], "  …om:5000/a/long/path/of/teams/app:v0 verifying");
        assert_eq!(lines[MAX_BARS], "  and 54 more");
        assert!(lines.iter().all(|line| line.chars().count() < 80), "{text}");
    }

    #[test]
    fn bars_fill_up() {
        let text = plain(&standing(2));
        assert!(text.contains("██████████░░░░░░░░░░ 1023.00 MiB"), "{text}");
        assert!(text.contains("121 of 200 images"), "{text}");
        assert!(text.contains("████████████░░░░░░░░\n120 unchanged, 1 failed\n"), "{text}");
        assert!(text.ends_with("0 B copied at 1023.00 KiB/s, 0 mounted, 0 present already, 00:00:03"), "{text}");
    }

    #[test]
    fn one_image_has_no_total() {
        let text = plain(&Standing { images: 1, endings: Endings::default(), ..standing(1) });
        assert_eq!(text.lines().count(), 2, "{text}");
    }
}
