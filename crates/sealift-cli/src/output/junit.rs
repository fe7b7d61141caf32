//! JUnit XML, which CI systems show as tests: a suite, and a case for each thing that was done.
//!
//! The form is the one that Jenkins and GitLab read: <https://github.com/testmoapp/junitxml>.

use std::fmt::Write as _;
use std::time::Duration;

use crate::error::Failure;
use crate::exit::Exit;

/// A suite.
#[derive(Clone, Debug)]
pub(crate) struct Suite {
    pub(crate) name: String,
    pub(crate) elapsed: Duration,
    pub(crate) cases: Vec<Case>,
}

/// One thing that was done.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// What groups it with others.
    pub(crate) class: String,
    pub(crate) name: String,
    pub(crate) elapsed: Duration,
    pub(crate) outcome: Outcome,
}

/// What became of it.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    Passed,
    /// The answer is no.
    Failed(Trouble),
    /// There is no answer.
    Broken(Trouble),
}

/// Why it did not pass.
#[derive(Clone, Debug)]
pub(crate) struct Trouble {
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) details: String,
}

impl Outcome {
    /// Returns what a failure with this exit is to a test.
    pub(crate) fn of(exit: Exit, failure: &Failure) -> Self {
        let trouble =
            Trouble { code: failure.code(), message: failure.message().to_owned(), details: failure.details() };
        if exit.is_refusal() { Self::Failed(trouble) } else { Self::Broken(trouble) }
    }
}

impl Suite {
    /// Returns the document.
    pub(crate) fn to_xml(&self) -> String {
        let count = |is: fn(&Outcome) -> bool| self.cases.iter().filter(|case| is(&case.outcome)).count();
        let failures = count(|outcome| matches!(outcome, Outcome::Failed(_)));
        let errors = count(|outcome| matches!(outcome, Outcome::Broken(_)));
        let counts = format!("tests=\"{}\" failures=\"{failures}\" errors=\"{errors}\"", self.cases.len());
        let (name, time) = (escaped(&self.name), seconds(self.elapsed));
        let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        let _ = writeln!(xml, "<testsuites {counts} time=\"{time}\">");
        let _ = writeln!(xml, "  <testsuite name=\"{name}\" {counts} time=\"{time}\">");
        self.cases.iter().for_each(|case| case.write(&mut xml));
        xml.push_str("  </testsuite>\n</testsuites>\n");
        xml
    }
}

impl Case {
    fn write(&self, xml: &mut String) {
        let (class, name, time) = (escaped(&self.class), escaped(&self.name), seconds(self.elapsed));
        let _ = write!(xml, "    <testcase classname=\"{class}\" name=\"{name}\" time=\"{time}\"");
        let (element, trouble) = match &self.outcome {
            Outcome::Passed => return xml.push_str("/>\n"),
            Outcome::Failed(trouble) => ("failure", trouble),
            Outcome::Broken(trouble) => ("error", trouble),
        };
        let (message, details) = (escaped(&trouble.message), escaped(&trouble.details));
        let _ =
            writeln!(xml, ">\n      <{element} type=\"{}\" message=\"{message}\">{details}</{element}>", trouble.code);
        xml.push_str("    </testcase>\n");
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.3}", time.as_secs_f64())
}

/// Writes text so that a reader gets it back, in attributes and between tags alike. What XML cannot hold at all
/// (<https://www.w3.org/TR/xml/#charsets>) becomes the replacement character: texts of registries end up here.
fn escaped(text: &str) -> String {
    let mut xml = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => xml.push_str("&amp;"),
            '<' => xml.push_str("&lt;"),
            '>' => xml.push_str("&gt;"),
            '"' => xml.push_str("&quot;"),
            '\t' | '\n' | '\r' => drop(write!(xml, "&#{};", u32::from(character))),
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => xml.push('\u{fffd}'),
            other => xml.push(other),
        }
    }
    xml
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_texts_stay_texts() {
        for (text, expected) in [
            ("a & <b>\"c\"]]>", "a &amp; &lt;b&gt;&quot;c&quot;]]&gt;"),
            ("one\ntwo\tthree\r", "one&#10;two&#9;three&#13;"),
            ("\u{1b}[31m\0\u{ffff}", "\u{fffd}[31m\u{fffd}\u{fffd}"),
            ("schön", "schön"),
        ] {
            assert_eq!(escaped(text), expected);
        }
    }

    #[test]
    fn cases_are_counted_by_what_became_of_them() {
        let trouble = || Trouble { code: "NOT_FOUND", message: "<gone>".to_owned(), details: "cause".to_owned() };
        let case =
            |outcome| Case { class: "a".into(), name: "b".into(), elapsed: Duration::from_millis(1500), outcome };
        let cases = vec![case(Outcome::Passed), case(Outcome::Failed(trouble())), case(Outcome::Broken(trouble()))];
        let xml = Suite { name: "promote".to_owned(), elapsed: Duration::from_secs(2), cases }.to_xml();
        assert!(
            xml.contains("<testsuite name=\"promote\" tests=\"3\" failures=\"1\" errors=\"1\" time=\"2.000\">"),
            "{xml}"
        );
        assert!(xml.contains("<testcase classname=\"a\" name=\"b\" time=\"1.500\"/>"), "{xml}");
        assert!(xml.contains("<failure type=\"NOT_FOUND\" message=\"&lt;gone&gt;\">cause</failure>"), "{xml}");
    }
}
