//! docs/identities.md says what the code does.

use std::path::Path;

use sealift_keyless::oidc::ambient::{Environment, Source};

fn page() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/identities.md")).unwrap()
}

#[test]
fn the_page_lists_every_source_in_the_order_of_detection() {
    let page = page();
    let (_, table) = page.split_once("| name | is there when |").unwrap();
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let names: Vec<_> = rows.map(|row| row.split('`').nth(1).unwrap()).collect();
    assert_eq!(names, Source::ALL.map(Source::as_str));
}

#[test]
fn the_page_names_every_variable_that_is_read() {
    let page = page();
    for name in Environment::VARIABLES {
        assert!(page.contains(&format!("`{name}`")), "{name} is read and not in docs/identities.md");
    }
    assert!(page.contains("`/var/run/sigstore/cosign/oidc-token`"));
}
