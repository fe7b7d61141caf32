//! Many images in one go, which share their base layers.

use std::fmt::Write as _;
use std::process::Command;

use sealift_sandbox::fixture;

use crate::Failure;
use crate::case::{COLUMNS, Tool, at_site, at_site_times};
use crate::copying::{Repeat, by_digest};
use crate::program;
use crate::site::Site;
use crate::stage::Stage;
use crate::table::Table;

/// Images, all signed.
const IMAGES: u64 = 200;
/// Processes of a peer at once: none of them takes more than one image.
const PROCESSES: &str = "8";
/// Layers that all images share.
const SHARED_LAYERS: u64 = 3;
/// Bytes of each of them.
const SHARED_BYTES: u64 = 1_000_000;
/// Runs of each tool that moves all images.
const MOVES: usize = 3;
/// The same where each request takes its time: a run is a minute, and differs little from the next.
const FAR_MOVES: usize = 1;

pub(crate) fn tables(stage: &Stage) -> Result<(), Failure> {
    let mut table = Table::new(format!("{IMAGES} signed images"), &COLUMNS);
    for site in Site::near(stage.peers())? {
        let mut images = Vec::new();
        for seed in 0..IMAGES {
            let image = fixture::image(1000 + seed);
            site.source.push(&format!("many/{seed}"), &image)?;
            images.push(by_digest(&format!("{}/many/{seed}", site.source.host()), &image));
        }
        let references: Vec<&str> = images.iter().map(String::as_str).collect();
        program::run(&mut stage.sealift(&[&["sign", "--key", "sealift.key"][..], &references].concat()))?;
        std::fs::write(stage.path("images"), images.join("\n"))?;
        let verify = [
            Tool::new("sealift verify", |_| {
                Ok(stage.sealift(&[&["verify", "--key", "sealift.pub"][..], &references].concat()))
            }),
            // What a process costs to start is in this one, as in cosign's; what one process shares is not.
            Tool::new("sealift verify, 8 processes", |_| {
                let mut command = each(stage, "images", "1");
                command.arg(env!("CARGO_BIN_EXE_sealift")).args(["verify", "--key", "sealift.pub"]);
                Ok(command)
            }),
            Tool::new("cosign 3 verify, 8 processes", |_| {
                let mut command = each(stage, "images", "1");
                command.arg(stage.peers().path("cosign3"));
                command.args(["verify", "--key", "sealift.pub", "--insecure-ignore-tlog"]);
                Ok(command)
            }),
            Tool::new("cosign 3 verify, 1 process", |_| {
                let mut command = stage.command("cosign3");
                command.args(["verify", "--key", "sealift.pub", "--insecure-ignore-tlog"]).args(&references);
                Ok(command)
            }),
        ];
        at_site(&mut table, "verify all", &site, &verify)?;
    }
    table.print();
    moves(stage)
}

/// Moves all images into one repository, and once more with nothing left to do.
fn moves(stage: &Stage) -> Result<(), Failure> {
    let mut table = Table::new(format!("Move {IMAGES} signed images that share {SHARED_LAYERS} layers"), &COLUMNS);
    let base: Vec<_> = (0..SHARED_LAYERS).map(|seed| fixture::layer(seed, SHARED_BYTES)).collect();
    for site in Site::all(stage.peers())? {
        let mut images = Vec::new();
        for seed in 0..IMAGES {
            let image = fixture::image_on(&base, seed);
            site.source.push_as("many", &format!("v{seed}"), &image)?;
            images.push(by_digest(&format!("{}/many", site.source.host()), &image));
        }
        let references: Vec<&str> = images.iter().map(String::as_str).collect();
        program::run(&mut stage.sealift(&[&["sign", "--key", "sealift.key"][..], &references].concat()))?;
        for (job, repeat) in [("move all", Repeat::Fresh), ("again", Repeat::Again)] {
            let runs = if site.latency.is_zero() { MOVES } else { FAR_MOVES };
            at_site_times(&mut table, job, &site, &movers(stage, &site, repeat), runs)?;
        }
    }
    table.print();
    Ok(())
}

fn movers<'a>(stage: &'a Stage, site: &'a Site, repeat: Repeat) -> Vec<Tool<'a>> {
    let peer = |name: &'static str, program: &'static str, args: &'static [&'static str]| {
        Tool::new(name, move |run| {
            write_pairs(stage, site, program, repeat.number(run))?;
            let mut command = each(stage, "pairs", "2");
            command.arg(stage.peers().path(program)).args(args);
            Ok(command)
        })
    };
    vec![
        Tool::new("sealift promote --from-file", move |run| {
            write_manifest(stage, site, repeat.number(run))?;
            Ok(stage.sealift(&["promote", "--key", "sealift.pub", "--from-file", "promotions.yaml"]))
        }),
        peer("oras copy -r, 8 processes", "oras", &["copy", "-r", "--from-plain-http", "--to-plain-http"]),
        peer("crane copy, 8 processes, no evidence", "crane", &["copy"]),
    ]
}

/// Writes what is moved where as our own tool reads it; each run has a repository to itself.
fn write_manifest(stage: &Stage, site: &Site, number: usize) -> Result<(), Failure> {
    let (source, destination) = (site.source.host(), site.destination.host());
    let mut text = String::from("version: 1\npromotions:\n");
    for seed in 0..IMAGES {
        writeln!(text, "- {{source: '{source}/many:v{seed}', destinations: ['{destination}/sealift/{number}/many']}}")?;
    }
    std::fs::write(stage.path("promotions.yaml"), text)?;
    Ok(())
}

/// Writes what is moved where, one image a line, for peers, which take no more than one; each run of each of them has a
/// repository to itself.
fn write_pairs(stage: &Stage, site: &Site, tool: &str, number: usize) -> Result<(), Failure> {
    let (source, destination) = (site.source.host(), site.destination.host());
    let mut lines = String::new();
    for seed in 0..IMAGES {
        writeln!(lines, "{source}/many:v{seed} {destination}/{tool}/{number}/many:v{seed}")?;
    }
    std::fs::write(stage.path("pairs"), lines)?;
    Ok(())
}

/// Returns a command that runs another for every so many words of a list, several at once.
fn each(stage: &Stage, list: &str, words: &str) -> Command {
    let mut command = stage.plain("xargs");
    command.arg("--arg-file").arg(stage.path(list)).args(["-P", PROCESSES, "-n", words]);
    command
}
