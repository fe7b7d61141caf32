//! Many references, each answered by itself, side by side.

use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt as _};
use sealift_core::oci::{Reference, Selector};
use sealift_oci::Client;

use crate::args::reference;
use crate::args::registry::RegistryArgs;
use crate::context::Context;
use crate::error::CliError;
use crate::output::model::{Answers, Batch};

/// References answered at once.
const CONCURRENCY: usize = 16;

/// Answers every reference, in the order given and each within `deadline`; arguments that make no sense are found before
/// any is asked.
pub(crate) async fn answers<T>(
    context: &Context,
    registry: &RegistryArgs,
    references: &[String],
    deadline: Duration,
    answer: impl AsyncFn(&Client, &Reference, &Selector) -> Result<T, CliError>,
) -> Result<Answers<T>, CliError> {
    let references: Vec<(Reference, Selector)> =
        references.iter().map(|text| reference::parse_selecting(text)).collect::<Result<_, _>>()?;
    let parsed: Vec<&Reference> = references.iter().map(|(reference, _)| reference).collect();
    let client = context.client(registry, &parsed)?;
    let (results, elapsed) = stream::iter(&references)
        .map(async |(reference, selector)| {
            let started = Instant::now();
            let answer = answer(&client.within(deadline), reference, selector).await;
            ((reference.to_string(), answer), started.elapsed())
        })
        .buffered(CONCURRENCY)
        .unzip()
        .await;
    Ok(Answers { batch: Batch(results), elapsed })
}
