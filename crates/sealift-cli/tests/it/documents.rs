//! The generated documents are those of this code.

use std::collections::BTreeMap;
use std::path::Path;

use crate::support::User;

/// `SEALIFT_UPDATE=1 cargo test -p sealift-cli documents` writes them anew.
#[expect(clippy::disallowed_methods, reason = "whoever runs the tests says whether to write")]
#[test]
fn generated_documents_are_unchanged() {
    let user = User::new();
    user.run(&["docs", "docs"]).assert_code(0);
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    if std::env::var_os("SEALIFT_UPDATE").is_some() {
        let docs = docs.to_str().unwrap();
        let _ = std::fs::remove_dir_all(Path::new(docs).join("cli"));
        user.run(&["docs", docs]).assert_code(0);
    }
    let (generated, kept) = (pages(&user.path("docs")), pages(&docs));
    for (name, page) in &generated {
        assert_eq!(Some(page), kept.get(name), "docs/{name} is out of date: run with SEALIFT_UPDATE=1");
    }
    let left: Vec<_> = kept.keys().filter(|name| !generated.contains_key(*name)).collect();
    assert!(left.is_empty(), "documents of commands that are gone: {left:?}");
}

/// Returns `exit-codes.md`, `other-tools.md` and the pages under `cli/` by name.
fn pages(docs: &Path) -> BTreeMap<String, String> {
    let mut names = vec!["exit-codes.md".to_owned(), "other-tools.md".to_owned()];
    let cli = std::fs::read_dir(docs.join("cli")).into_iter().flatten();
    names.extend(cli.map(|entry| format!("cli/{}", entry.unwrap().file_name().to_str().unwrap())));
    names.into_iter().filter_map(|name| Some((name.clone(), std::fs::read_to_string(docs.join(name)).ok()?))).collect()
}

#[test]
fn every_command_has_examples() {
    let user = User::new();
    let help = user.run(&["--help"]).assert_code(0).stdout;
    let commands = help.split("Commands:").nth(1).unwrap().split("Options:").next().unwrap();
    let names: Vec<_> = commands.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   ")).collect();
    assert!(names.len() > 20, "{names:?}");
    for name in names
        .iter()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| !matches!(*name, "key" | "lifecycle" | "policy"))
    {
        user.run(&[name, "--help"]).assert_code(0).assert_stdout("Examples:\n  ");
    }
    for name in ["set", "show"] {
        user.run(&["lifecycle", name, "--help"]).assert_code(0).assert_stdout("Examples:\n  ");
    }
    for name in ["check", "explain"] {
        user.run(&["policy", name, "--help"]).assert_code(0).assert_stdout("Examples:\n  ");
    }
    for name in ["generate", "import", "public"] {
        user.run(&["key", name, "--help"]).assert_code(0).assert_stdout("Examples:\n  ");
    }
}

#[test]
fn man_pages_and_completions_are_written() {
    let user = User::new();
    user.run(&["man", "man1"]).assert_code(0);
    let page = std::fs::read_to_string(user.path("man1/sealift-verify.1")).unwrap();
    assert!(page.contains("accepted key"));
    for shell in ["bash", "zsh", "fish"] {
        user.run(&["completions", shell]).assert_code(0).assert_stdout("verify-attestation");
    }
}

#[test]
fn help_needs_no_other_document_for_exit_codes() {
    let user = User::new();
    let help = user.run(&["--help"]).assert_code(0).stdout;
    let table =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/exit-codes.md")).unwrap();
    let rows = table.lines().filter(|row| row.starts_with("| ") && row.contains('`'));
    let mut found = 0;
    for row in rows {
        let [_, code, name, ..] = row.split('|').map(str::trim).collect::<Vec<_>>()[..] else { panic!("{row}") };
        let is_told = |line: &str| line.split_whitespace().take(2).eq([code, name.trim_matches('`')]);
        assert!(help.lines().any(is_told), "{row}");
        found += 1;
    }
    assert!(found > 10, "{table}");
    assert!(help.contains("in its folder `docs`"), "{help}");
}
