//! Colours, none of which carries meaning that the words do not.

use anstyle::{AnsiColor, Style};

/// Something is good.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default().bold();
/// Something is refused or failed.
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
/// Something should be known.
pub(crate) const WARNING: Style = AnsiColor::Yellow.on_default().bold();
/// What to do next.
pub(crate) const HINT: Style = AnsiColor::Cyan.on_default().bold();
/// A name that stands out.
pub(crate) const STRONG: Style = Style::new().bold();
/// Less important text.
pub(crate) const DIM: Style = Style::new().dimmed();
