//! Figures of `sealift` beside those of the tools people use today, in one run on one machine.
//!
//! ```text
//! crates/sealift-cli/tests/peers/install
//! cargo bench --package sealift-cli                 # every table
//! cargo bench --package sealift-cli -- sign copy    # those whose name contains a word
//! ```
//!
//! Every tool is run as a whole process, the tools of a case in turn, and the median of the runs is shown. Requests and
//! rounds (the longest chain of requests that had to wait for each other) are counted by the sandbox registries while
//! each request takes 50 ms; for docker-registry, requests are counted by the wire before it. Nothing here passes or
//! fails: compare ratios, not single times.
#![expect(clippy::print_stdout, reason = "the tables are for people")]

mod case;
mod copying;
mod many;
mod offline;
mod program;
mod relay;
mod signing;
mod site;
mod stage;
mod startup;
mod table;

use std::process::ExitCode;

use sealift_sandbox::peers::Peers;

use stage::Stage;

type Failure = Box<dyn std::error::Error>;

/// Runs cases and prints their tables.
type Tables = fn(&Stage) -> Result<(), Failure>;

/// The tables, in order.
const TABLES: [(&str, Tables); 6] = [
    ("start", startup::tables),
    ("offline", offline::tables),
    ("sign", signing::tables),
    ("copy", copying::tables),
    ("large", copying::large),
    ("many", many::tables),
];

fn main() -> ExitCode {
    // Cargo passes `--bench`; people pass words.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("the benchmark stopped: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[String]) -> Result<(), Failure> {
    let Some(peers) = Peers::find() else { return Ok(()) };
    let stage = Stage::set(peers)?;
    for (name, tables) in TABLES {
        if words.is_empty() || words.iter().any(|word| name.contains(word.as_str())) {
            tables(&stage)?;
        }
    }
    Ok(())
}
