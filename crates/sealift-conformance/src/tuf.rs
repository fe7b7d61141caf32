//! `init`, `refresh` and `download`: the client of The Update Framework.

use sealift_keyless::tuf::{Cache, Repository, TufClient};
use sealift_keyless::{Transport, TransportOptions};
use url::Url;

use crate::arguments::{Arguments, read};
use crate::error::ClientError;

const METADATA_DIR: &str = "--metadata-dir";
const METADATA_URL: &str = "--metadata-url";
const TARGET_NAME: &str = "--target-name";
const TARGET_DIR: &str = "--target-dir";
const TARGET_BASE_URL: &str = "--target-base-url";

pub(crate) fn run(arguments: Vec<String>) -> Result<(), ClientError> {
    let options = [METADATA_DIR, METADATA_URL, TARGET_NAME, TARGET_DIR, TARGET_BASE_URL];
    let arguments = Arguments::parse(arguments, &options, &[])?;
    match arguments.operands()[..] {
        ["init", root] => init(&arguments, root),
        ["refresh"] => crate::runtime()?.block_on(refresh(&arguments)),
        ["download"] => crate::runtime()?.block_on(download(&arguments)),
        _ => Err(ClientError::NoVerb),
    }
}

/// Trusts a root from now on.
fn init(arguments: &Arguments, root: &str) -> Result<(), ClientError> {
    let root = read(root)?;
    TufClient::check_root(&root)?;
    let cache = metadata(arguments)?;
    cache.write(ROOT, &root).map_err(|source| io(&cache, source))
}

async fn refresh(arguments: &Arguments) -> Result<(), ClientError> {
    // No file is asked for, so it does not matter where they are.
    let metadata = metadata(arguments)?;
    let url = url(arguments, METADATA_URL)?;
    let mut client = client(metadata.clone(), metadata, url.clone(), url)?;
    Ok(client.refresh(crate::now()).await?)
}

async fn download(arguments: &Arguments) -> Result<(), ClientError> {
    let targets = Cache::new(arguments.required(TARGET_DIR)?);
    let urls = (url(arguments, METADATA_URL)?, url(arguments, TARGET_BASE_URL)?);
    let mut client = client(metadata(arguments)?, targets, urls.0, urls.1)?;
    let now = crate::now();
    client.refresh(now).await?;
    let names = arguments.repeated(TARGET_NAME);
    if names.is_empty() {
        return Err(ClientError::Usage { argument: TARGET_NAME.to_owned() });
    }
    for name in names {
        client.target(name, now).await?;
    }
    Ok(())
}

fn client(metadata: Cache, targets: Cache, metadata_url: Url, targets_url: Url) -> Result<TufClient, ClientError> {
    let root = metadata.read(ROOT, MAX_ROOT_BYTES).map_err(|source| io(&metadata, source))?.unwrap_or_default();
    let repository = Repository::at(metadata_url, targets_url, Transport::new(TransportOptions::default())?);
    Ok(TufClient::new(&root, metadata, targets, Some(repository))?)
}

fn metadata(arguments: &Arguments) -> Result<Cache, ClientError> {
    Ok(Cache::new(arguments.required(METADATA_DIR)?))
}

fn url(arguments: &Arguments, name: &str) -> Result<Url, ClientError> {
    let url = arguments.required(name)?;
    Url::parse(url).map_err(|source| ClientError::Url { url: url.to_owned(), source })
}

fn io(cache: &Cache, source: std::io::Error) -> ClientError {
    ClientError::Io { path: cache.directory().to_owned(), source }
}

const ROOT: &str = "root.json";
const MAX_ROOT_BYTES: usize = 1024 * 1024;
