//! A case: the same job by several tools, in turn.

use std::process::Command;

use crate::Failure;
use crate::program::{self, Cost, median};
use crate::site::{Requests, Site};
use crate::table::Table;

/// Runs of each tool; the median counts.
const RUNS: usize = 5;

/// A tool at a job.
pub(crate) struct Tool<'a> {
    /// How tables name it.
    pub(crate) name: &'static str,
    /// Returns the command of a run, by its number: whatever it writes must be new, or nothing would be left to do.
    pub(crate) command: Box<dyn Fn(usize) -> Result<Command, Failure> + 'a>,
}

impl<'a> Tool<'a> {
    /// Returns a tool.
    pub(crate) fn new(name: &'static str, command: impl Fn(usize) -> Result<Command, Failure> + 'a) -> Self {
        Self { name, command: Box::new(command) }
    }
}

/// Runs every tool at a site and adds a row for each; returns what the first, ours, costs.
pub(crate) fn at_site(table: &mut Table, job: &str, site: &Site, tools: &[Tool<'_>]) -> Result<Cost, Failure> {
    at_site_times(table, job, site, tools, RUNS)
}

/// As [`at_site`], with so many runs of each tool.
///
/// # Errors
/// When our own tool fails. A peer that fails is shown by the runs that succeed, and said to have failed.
pub(crate) fn at_site_times(
    table: &mut Table,
    job: &str,
    site: &Site,
    tools: &[Tool<'_>],
    runs: usize,
) -> Result<Cost, Failure> {
    let mut costs = vec![Vec::new(); tools.len()];
    let mut requests = vec![None; tools.len()];
    for run in 0..runs {
        for (number, tool) in tools.iter().enumerate() {
            let mut command = (tool.command)(run)?;
            site.clear_requests();
            match program::run(&mut command) {
                Ok(cost) => {
                    costs[number].push(cost);
                    requests[number] = Some(site.requests());
                }
                Err(error) if number > 0 => println!("{} failed: {error}", tool.name),
                Err(error) => return Err(error),
            }
        }
    }
    let ours = median(&costs[0]);
    for (number, tool) in tools.iter().enumerate() {
        let name = match runs - costs[number].len() {
            0 => tool.name.to_owned(),
            failed => format!("{} ({failed} of {runs} failed)", tool.name),
        };
        table.row(row(job, site, name, median(&costs[number]), ours, requests[number]));
    }
    Ok(ours)
}

/// The columns of [`at_site`]'s rows.
pub(crate) const COLUMNS: [&str; 9] =
    ["job", "registries", "tool", "wall ms", "times ours", "cpu ms", "peak MiB", "requests", "rounds"];

fn row(job: &str, site: &Site, tool: String, cost: Cost, ours: Cost, requests: Option<Requests>) -> Vec<String> {
    let mut row = vec![job.to_owned(), site.name.to_owned(), tool];
    row.extend(measures(cost, ours));
    let cell = |number: Option<usize>| number.map_or_else(String::new, |number| number.to_string());
    row.push(cell(requests.map(|requests| requests.count)));
    row.push(cell(requests.and_then(|requests| requests.rounds)));
    row
}

/// Returns wall, ratio, cpu and peak as cells.
pub(crate) fn measures(cost: Cost, ours: Cost) -> Vec<String> {
    let ratio = cost.wall.as_secs_f64() / ours.wall.as_secs_f64().max(f64::MIN_POSITIVE);
    vec![
        format!("{:.1}", cost.wall.as_secs_f64() * 1e3),
        format!("{ratio:.2}"),
        format!("{:.1}", cost.cpu.as_secs_f64() * 1e3),
        format!("{:.1}", mebibytes(cost.peak)),
    ]
}

/// Runs every tool where no registry is asked and adds a row for each.
pub(crate) fn alone(table: &mut Table, job: &str, tools: &[Tool<'_>]) -> Result<(), Failure> {
    let mut costs = vec![Vec::new(); tools.len()];
    for run in 0..RUNS * 2 {
        for (number, tool) in tools.iter().enumerate() {
            costs[number].push(program::run(&mut (tool.command)(run)?)?);
        }
    }
    let best = median(&costs[0]);
    for (number, tool) in tools.iter().enumerate() {
        let mut row = vec![job.to_owned(), tool.name.to_owned()];
        row.extend(measures(median(&costs[number]), best));
        table.row(row);
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people, to one decimal")]
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / 1_048_576.0
}
