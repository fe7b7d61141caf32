//! `sealift`: signs, verifies and promotes OCI artifacts with all their evidence.
//!
//! Turns arguments into library calls and results into text, JSON and exit codes; nothing is decided here.

mod admissions;
mod answers;
mod archive;
mod args;
mod blob;
mod cli;
mod commands;
mod config;
mod context;
mod endorsing;
mod error;
mod exit;
mod files;
mod hint;
mod judging;
mod key_store;
mod manifests;
mod named_registries;
mod other_tools;
mod output;
mod person;
mod promoter;
mod promotions;
mod proofs;
mod report_file;
mod rules;
mod run;
mod signed_content;
mod signing;
mod sigstore;
mod subject;
mod trace;
mod trust;
mod verification;
mod verifiers;

use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::Cli::read(std::env::args_os()) {
        Ok(cli) => run::run(cli).into(),
        Err(exit) => exit.into(),
    }
}
