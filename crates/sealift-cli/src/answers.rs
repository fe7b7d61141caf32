//! Many references, each answered by itself, side by side.

use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use sealift_core::oci::{Reference, Selector};
use sealift_oci::Client;

use crate::args::reference;
use crate::args::registry::RegistryArgs;
use crate::context::Context;
use crate::error::CliError;
use crate::output::model::Batch;

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
) -> Result<Batch<T>, CliError> {
    let references: Vec<(Reference, Selector)> =
        references.iter().map(|text| reference::parse_selecting(text)).collect::<Result<_, _>>()?;
    let parsed: Vec<&Reference> = references.iter().map(|(reference, _)| reference).collect();
    let client = context.client(registry, &parsed)?;
    let results = stream::iter(&references)
        .map(async |(reference, selector)| {
            (reference.to_string(), answer(&client.within(deadline), reference, selector).await)
        })
        .buffered(CONCURRENCY)
        .collect()
        .await;
    Ok(Batch(results))
}
