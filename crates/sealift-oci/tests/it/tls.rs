//! Servers that end TLS connections without a word, and who is shown the client's certificate.

use sealift_core::oci::{Descriptor, Reference, media_type};
use sealift_oci::Client;
use sealift_oci::redact::Secret;
use sealift_sandbox::sigstore::LoopbackAuthority;
use sealift_sandbox::tls::{TlsServer, authority};

use crate::support::{access, kind, read};

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

#[tokio::test]
async fn a_client_certificate_is_shown_to_the_registry_and_to_no_place_it_leads_to() {
    let store = TlsServer::start(Some("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nblob".to_owned())).await.unwrap();
    let redirect =
        format!("HTTP/1.1 307 Temporary\r\nlocation: https://{}/\r\ncontent-length: 0\r\n\r\n", store.host());
    let registry = TlsServer::start(Some(redirect)).await.unwrap();
    let host = registry.host();
    let name = format!("{host}/team/app").parse::<Reference>().unwrap().repository();
    let mut access = access();
    access.https.insert(host.parse().unwrap());
    access.tls.authorities.push(authority());
    let client = LoopbackAuthority::new().unwrap().client("builder").unwrap();
    access.tls.client_identity = Some(Secret::from(format!("{}{}", client.certificate, client.key)));
    let repository = Client::new(access).unwrap().open_read(&name).await.unwrap();
    let blob = Descriptor::of(media_type::OCTET_STREAM, b"blob");
    assert_eq!(read(&*repository, &blob).await.unwrap(), "blob");
    assert_eq!((registry.connections(), registry.certificates()), (1, 1));
    assert_eq!((store.connections(), store.certificates()), (1, 0));
}
