//! Command lines as people write them for other tools.

use crate::support::{Outcome, User};

#[path = "../../src/other_tools/words.rs"]
mod words;

use words::{Equivalent, Meaning, WORDS, Word};

/// A value that no flag takes it amiss to be given, or that all refuse alike.
const VALUE: &str = "7";

/// Runs the program for every word of the table: it is taken, and means what the words of ours mean, or it is told why not
/// and what instead.
#[test]
fn every_word_is_taken_or_answered() {
    let user = User::new();
    for word in WORDS {
        match word.meaning {
            Meaning::Verb(equivalent) => check(&user, word, &[word.word], None, equivalent),
            Meaning::Switch(on, off) => {
                check(&user, word, &[word.word], None, on);
                check(&user, word, &[&format!("{}=true", word.word)], None, on);
                check(&user, word, &[&format!("{}=false", word.word)], None, off);
            }
            Meaning::Value(equivalent) => {
                check(&user, word, &[word.word, VALUE], Some(VALUE), equivalent);
                check(&user, word, &[&format!("{}={VALUE}", word.word)], Some(VALUE), equivalent);
            }
            Meaning::Choice(known, other) => {
                for (value, equivalent) in known.iter().chain(&[("other", other)]) {
                    check(&user, word, &[word.word, value], None, *equivalent);
                    check(&user, word, &[&format!("{}={value}", word.word)], None, *equivalent);
                }
            }
        }
    }
}

fn check(user: &User, word: &Word, typed: &[&str], value: Option<&str>, equivalent: Equivalent) {
    let command: Vec<&str> = word.at.first().unwrap_or(&"tree").split(' ').filter(|word| !word.is_empty()).collect();
    let found = user.run(&[&command, typed].concat());
    assert!(
        !found.stderr.contains("unexpected argument") && !found.stderr.contains("unrecognized subcommand"),
        "{typed:?} is not known: {found:?}"
    );
    let ours = match equivalent {
        Equivalent::No(why, instead) => {
            found.assert_code(2).assert_stderr(&format!(": {why}\n")).assert_stderr(instead).assert_stderr(word.word);
            return;
        }
        Equivalent::Done => Vec::new(),
        Equivalent::Ours(ours) => ours.iter().copied().chain(value).collect(),
    };
    let expected = user.run(&[command, ours].concat());
    let said = |outcome: Outcome| (outcome.code, outcome.stdout, outcome.stderr);
    assert_eq!(said(found), said(expected), "{typed:?}");
}

#[test]
fn keys_that_are_kept_elsewhere_are_told_from_files() {
    let user = User::new();
    for (key, name) in [
        ("awskms:///alias/x", "AWS KMS"),
        ("gcpkms://projects/p/locations/l/keyRings/r/cryptoKeys/k", "Google Cloud KMS"),
        ("azurekms://vault.example.com/key", "Azure Key Vault"),
        ("hashivault://key", "HashiCorp Vault"),
        ("k8s://namespace/name", "Kubernetes"),
        ("gitlab://group/project", "GitLab"),
        ("https://example.com/cosign.pub", "web"),
        ("pkcs11:token=t;slot-id=1?pin-value=1234", "hardware tokens"),
    ] {
        for line in [&["verify", "--key", key, "r.test/app:1"][..], &["sign", "--key", key, "r.test/app:1"]] {
            let outcome =
                user.run(line).assert_code(2).assert_stderr(name).assert_stderr("give the public key as a file");
            assert!(!outcome.stderr.contains("unknown scheme"), "{key}");
        }
    }
    user.run(&["verify", "--key", "ssh://x", "r.test/app:1"]).assert_code(2).assert_stderr("unknown scheme `ssh`");
}
