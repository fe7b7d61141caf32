//! Moving images between registries: for `sealift`, verified at both ends; for its peers, moved.

use std::process::Command;

use sealift_sandbox::fixture::{self, Fixture};

use crate::Failure;
use crate::case::{COLUMNS, Tool, at_site};
use crate::program::{self, Cost};
use crate::site::Site;
use crate::stage::Stage;
use crate::table::Table;

/// Bytes of the large image's layer.
const LARGE: u64 = 500_000_000;

pub(crate) fn tables(stage: &Stage) -> Result<(), Failure> {
    let mut table = Table::new("Move an image, and an index of 4 platforms with 11 referrers", &COLUMNS);
    let columns = ["job", "registries", "rounds", "path ms", "wall ms", "times path"];
    let mut paths = Table::new("Critical path of a promotion", &columns);
    for site in Site::all(stage.peers())? {
        let small = fixture::image(2);
        sign_at(stage, &site, "small", &small)?;
        let cost = at_site(&mut table, "signed image", &site, &movers(stage, &site, "small", &small, Repeat::Fresh))?;
        critical_path(&mut paths, stage, &site, "signed image", &by_digest(&source(&site, "small"), &small), cost)?;
        let index = fixture::index(3, &["amd64", "arm64", "s390x", "riscv64"]);
        with_referrers(stage, &site, "index", &index)?;
        let cost = at_site(&mut table, "index", &site, &movers(stage, &site, "index", &index, Repeat::Fresh))?;
        critical_path(&mut paths, stage, &site, "index", &by_digest(&source(&site, "index"), &index), cost)?;
        at_site(&mut table, "index again", &site, &movers(stage, &site, "index", &index, Repeat::Again))?;
    }
    table.print();
    paths.print();
    Ok(())
}

/// Compares what a promotion took with its critical path: the longest chain of requests that wait for each other where
/// none waits for its turn, at what a request costs there.
fn critical_path(
    table: &mut Table,
    stage: &Stage,
    site: &Site,
    job: &str,
    image: &str,
    cost: Cost,
) -> Result<(), Failure> {
    let destination = format!("{}/path/{}:v1", site.destination.host(), job.replace(' ', "-"));
    let promote = ["promote", "--key", "sealift.pub", "--concurrency", "64", image, &destination];
    site.clear_requests();
    program::run(&mut stage.sealift(&promote))?;
    let Some(rounds) = site.requests().rounds else { return Ok(()) };
    let path = site.latency.as_secs_f64() * f64::from(u32::try_from(rounds)?);
    table.row(vec![
        job.to_owned(),
        site.name.to_owned(),
        rounds.to_string(),
        format!("{:.0}", path * 1e3),
        format!("{:.1}", cost.wall.as_secs_f64() * 1e3),
        format!("{:.2}", cost.wall.as_secs_f64() / path),
    ]);
    Ok(())
}

/// Returns where a site keeps what is moved.
fn source(site: &Site, name: &str) -> String {
    format!("{}/{name}", site.source.host())
}

pub(crate) fn large(stage: &Stage) -> Result<(), Failure> {
    let mut table = Table::new("Move a signed image of 500 MB", &COLUMNS);
    for site in Site::near(stage.peers())? {
        let image = fixture::large_image(4, LARGE);
        sign_at(stage, &site, "large", &image)?;
        at_site(&mut table, "500 MB", &site, &movers(stage, &site, "large", &image, Repeat::Fresh))?;
    }
    table.print();
    Ok(())
}

/// Whether a run finds the destination as the run before left it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    Again,
    Fresh,
}

impl Repeat {
    /// Returns the number of the place that a run moves to.
    pub(crate) fn number(self, run: usize) -> usize {
        if self == Self::Fresh { run + 1 } else { 0 }
    }
}

fn movers<'a>(stage: &'a Stage, site: &'a Site, name: &'a str, image: &'a Fixture, repeat: Repeat) -> Vec<Tool<'a>> {
    let source = by_digest(&source(site, name), image);
    let destination =
        move |tool: &str, run: usize| format!("{}/{tool}/{name}/{}:v1", site.destination.host(), repeat.number(run));
    let mover =
        |name: &'static str, program: fn(&Stage) -> Command, args: &'static [&'static str], scheme: &'static str| {
            let source = source.clone();
            Tool::new(name, move |run| {
                let mut command = program(stage);
                // One place for each way to move, or the second would find what the first left.
                let destination = destination(&name.replace([' ', ','], "-"), run);
                command.args(args).arg(format!("{scheme}{source}")).arg(format!("{scheme}{destination}"));
                Ok(command)
            })
        };
    let mut tools = vec![
        mover("sealift promote", |stage| stage.sealift(&["promote", "--key", "sealift.pub"]), &[], ""),
        mover("sealift copy", |stage| stage.sealift(&["copy"]), &[], ""),
        mover(
            "oras copy -r",
            |stage| stage.command("oras"),
            &["copy", "-r", "--from-plain-http", "--to-plain-http"],
            "",
        ),
        mover("crane copy, no evidence", |stage| stage.command("crane"), &["copy"], ""),
        mover(
            "skopeo copy --all, no evidence",
            |stage| stage.command("skopeo"),
            &["copy", "--all", "--preserve-digests", "--src-tls-verify=false", "--dest-tls-verify=false"],
            "docker://",
        ),
    ];
    // cosign refuses or breaks a destination that has referrers; it is shown where it has a chance.
    if repeat == Repeat::Fresh {
        tools.push(mover("cosign copy", |stage| stage.command("cosign3"), &["copy"], ""));
    }
    tools
}

/// Puts an image in a site's source and signs it.
fn sign_at(stage: &Stage, site: &Site, name: &str, image: &Fixture) -> Result<(), Failure> {
    let repository = format!("{}/{name}", site.source.host());
    site.source.push(name, image)?;
    program::run(&mut stage.sealift(&["sign", "--key", "sealift.key", &by_digest(&repository, image)]))?;
    Ok(())
}

/// Puts an index of four platforms in a site's source, with 11 referrers: a signature of each of its 5 manifests,
/// five attestations of the index and one of its first platform.
fn with_referrers(stage: &Stage, site: &Site, name: &str, index: &Fixture) -> Result<(), Failure> {
    let repository = format!("{}/{name}", site.source.host());
    site.source.push(name, index)?;
    let root = by_digest(&repository, index);
    program::run(&mut stage.sealift(&["sign", "--key", "sealift.key", "--recursive", &root]))?;
    let platform = index.manifests().find(|manifest| manifest.descriptor().digest != *index.digest());
    let platform = platform.ok_or("an index has platforms")?.descriptor().digest.clone();
    let platform = format!("{repository}@{platform}");
    for (kind, reference) in [
        ("spdxjson", &root),
        ("cyclonedx", &root),
        ("slsaprovenance1", &root),
        ("vuln", &root),
        ("openvex", &root),
        ("spdxjson", &platform),
    ] {
        let attest = ["attest", "--key", "sealift.key", "--type", kind, "--predicate", "sbom.json", reference];
        program::run(&mut stage.sealift(&attest))?;
    }
    Ok(())
}

/// Names an image by digest.
pub(crate) fn by_digest(repository: &str, image: &Fixture) -> String {
    format!("{repository}@{}", image.digest())
}
