//! How far everything is, as a line of a log.

use indicatif::FormattedDuration;

use super::board::Standing;
use crate::output::model::size;

/// Returns the line, without its end.
pub(super) fn line(standing: &Standing) -> String {
    let Standing { images, done, under_way, endings, arrived, rate, elapsed } = standing;
    let subject = match &under_way[..] {
        [image] if *images == 1 && image.expected == 0 => format!("{}: verifying", image.name),
        [image] if *images == 1 => format!("{}: {} of {}", image.name, size(image.bytes), size(image.expected)),
        _ if endings.is_empty() => format!("{done} of {images} images done, {} under way", under_way.len()),
        _ => format!("{done} of {images} images done ({endings}), {} under way", under_way.len()),
    };
    let (copied, mounted, present) = (size(arrived.copied.bytes), arrived.mounted.objects, arrived.present.objects);
    let (rate, elapsed) = (size(*rate), FormattedDuration(*elapsed));
    format!("{subject}; {copied} copied at {rate}/s, {mounted} mounted, {present} present already, {elapsed}")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sealift_core::copy::{CopyReport, Tally};

    use super::*;
    use crate::output::model::{Ending, Endings};
    use crate::output::progress::board::UnderWay;

    fn standing(images: usize, under_way: &[(&str, u64, u64)]) -> Standing {
        let mut arrived = CopyReport::default();
        arrived.copied = Tally { objects: 2, bytes: 3 * 1024 * 1024 };
        arrived.mounted = Tally { objects: 4, bytes: 400 };
        arrived.present = Tally { objects: 5, bytes: 500 };
        let under_way = under_way.iter();
        let under_way = under_way.map(|(name, bytes, expected)| UnderWay {
            name: (*name).to_owned(),
            expected: *expected,
            bytes: *bytes,
        });
        let mut endings = Endings::default();
        endings.count(Ending::Promoted);
        endings.count(Ending::Refused);
        let (rate, elapsed) = (1024, Duration::from_secs(70));
        Standing { images, done: 2, under_way: under_way.collect(), endings, arrived, rate, elapsed }
    }

    #[test]
    fn many_images_are_counted() {
        assert_eq!(
            line(&standing(9, &[("a:1", 1, 2), ("b:1", 0, 0)])),
            "2 of 9 images done (1 promoted, 1 refused), 2 under way; 3.00 MiB copied at 1.00 KiB/s, 4 mounted, 5 present \
             already, 00:01:10"
        );
    }

    #[test]
    fn one_image_is_named() {
        let text = line(&standing(1, &[("a:1", 1024, 2048)]));
        assert!(text.starts_with("a:1: 1.00 KiB of 2.00 KiB; 3.00 MiB copied"), "{text}");
        let text = line(&standing(1, &[("a:1", 0, 0)]));
        assert!(text.starts_with("a:1: verifying; "), "{text}");
    }
}
