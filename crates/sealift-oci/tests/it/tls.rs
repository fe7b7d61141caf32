//! Servers that end TLS connections without a word.

use sealift_core::oci::Reference;
use sealift_oci::Client;
use sealift_sandbox::tls::{TlsServer, authority};

use crate::support::{access, kind};

#[tokio::test]
async fn a_closed_connection_is_asked_about_once_and_not_with_each_retry() {
    let server = TlsServer::start(None).await.unwrap();
    let host = server.host();
    let name = format!("{host}/team/app").parse::<Reference>().unwrap().repository();
    let mut access = access();
    access.https.insert(host.parse().unwrap());
    access.tls.authorities.push(authority());
    let attempts = 1 + usize::try_from(access.retry.retries).unwrap();
    let repository = Client::new(access).unwrap().open_read(&name).await.unwrap();
    assert_eq!(kind(&repository.tags().await), "unavailable");
    assert_eq!(server.connections(), attempts + 1);
}
