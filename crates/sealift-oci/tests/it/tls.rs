//! Servers that end TLS connections without a word.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sealift_core::oci::Reference;
use sealift_oci::Client;
use tokio::io::AsyncReadExt as _;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::support::{access, kind};

fn testdata(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/tls");
    std::fs::read(folder.join(name)).unwrap()
}

/// Starts a server of `localhost` that reads a request of each connection and closes it; returns its host and how many
/// connections there were.
async fn mute() -> (String, Arc<AtomicUsize>) {
    let certificate = CertificateDer::from_pem_slice(&testdata("server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(&testdata("server.key")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let host = format!("localhost:{}", listener.local_addr().unwrap().port());
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            count.fetch_add(1, Ordering::SeqCst);
            let mut stream = acceptor.accept(stream).await.unwrap();
            let _ = stream.read(&mut [0; 4096]).await.unwrap();
        }
    });
    (host, connections)
}

#[tokio::test]
async fn a_closed_connection_is_asked_about_once_and_not_with_each_retry() {
    let (host, connections) = mute().await;
    let name = format!("{host}/team/app").parse::<Reference>().unwrap().repository();
    let mut access = access();
    access.https.insert(host.parse().unwrap());
    access.tls.authorities.push(testdata("authority.pem"));
    let attempts = 1 + usize::try_from(access.retry.retries).unwrap();
    let repository = Client::new(access).unwrap().open_read(&name).await.unwrap();
    assert_eq!(kind(&repository.tags().await), "unavailable");
    assert_eq!(connections.load(Ordering::SeqCst), attempts + 1);
}
