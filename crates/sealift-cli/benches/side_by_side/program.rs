//! One run of one program, and what it cost.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use wait4::Wait4 as _;

use crate::Failure;

/// What a run cost.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    /// From start to end.
    pub(crate) wall: Duration,
    /// In user and system mode.
    pub(crate) cpu: Duration,
    /// The most memory resident at once, in bytes; 0 where the system does not tell.
    pub(crate) peak: u64,
}

/// Runs a command to its end, silently.
///
/// # Errors
/// When it cannot be started or does not exit with 0: a figure of a failed run would look fast.
pub(crate) fn run(command: &mut Command) -> Result<Cost, Failure> {
    let line = format!("{command:?}");
    let errors = tempfile::tempfile()?;
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors.try_clone()?);
    let started = Instant::now();
    let mut child = command.spawn().map_err(|error| format!("{line}: {error}"))?;
    let id = child.id();
    let over = AtomicBool::new(false);
    let (end, wall, peak) = std::thread::scope(|scope| {
        let watcher = scope.spawn(|| watch(id, &over));
        let end = child.wait4();
        let wall = started.elapsed();
        over.store(true, Ordering::Release);
        (end, wall, watcher.join().unwrap_or_default())
    });
    let end = end?;
    if !end.status.success() {
        return Err(format!("{line}: {}: {}", end.status, told(errors)?).into());
    }
    Ok(Cost { wall, cpu: end.rusage.utime + end.rusage.stime, peak })
}

/// Returns the most memory that a process had until it was over. The kernel's own figure for a child that has ended
/// counts the memory of its parent from before the program was loaded.
fn watch(id: u32, over: &AtomicBool) -> u64 {
    let status = format!("/proc/{id}/status");
    let mut peak = 0;
    while !over.load(Ordering::Acquire) {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kibibytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
        peak = peak.max(kibibytes.unwrap_or_default() * 1024);
        std::thread::sleep(WATCH);
    }
    peak
}

/// How often memory is looked at.
const WATCH: Duration = Duration::from_millis(1);

/// Returns the end of what a program said.
fn told(mut errors: std::fs::File) -> Result<String, Failure> {
    use std::io::{Read as _, Seek as _};
    let mut text = String::new();
    errors.rewind()?;
    errors.read_to_string(&mut text)?;
    Ok(text.lines().last().unwrap_or_default().to_owned())
}

/// Returns the cost in the middle, by each measure for itself.
pub(crate) fn median(costs: &[Cost]) -> Cost {
    fn middle<T: Copy + Ord>(costs: &[Cost], measure: impl Fn(&Cost) -> T) -> Option<T> {
        let mut values: Vec<T> = costs.iter().map(measure).collect();
        values.sort_unstable();
        values.get(values.len() / 2).copied()
    }
    Cost {
        wall: middle(costs, |cost| cost.wall).unwrap_or_default(),
        cpu: middle(costs, |cost| cost.cpu).unwrap_or_default(),
        peak: middle(costs, |cost| cost.peak).unwrap_or_default(),
    }
}
