//! Who is believed to be a service: TLS with authorities of the caller's.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sealift_keyless::transport::{Request, TransportError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use url::Url;

use crate::support::{Service, transport_with};

fn testdata(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/tls");
    std::fs::read(folder.join(name)).unwrap()
}

/// Starts a server of `localhost` that answers every request with `reply`, and counts its connections.
async fn server(reply: String) -> (Url, Arc<AtomicUsize>) {
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
    let url = Url::parse(&format!("https://localhost:{}/", listener.local_addr().unwrap().port())).unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            count.fetch_add(1, Ordering::SeqCst);
            // A client that does not trust the certificate goes away.
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let _ = stream.read(&mut [0; 4096]).await.unwrap();
            stream.write_all(reply.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
        }
    });
    (url, connections)
}

#[tokio::test]
async fn services_are_believed_by_the_authorities_given() {
    let (url, connections) = server("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi".to_owned()).await;
    let request = Request::get(url);
    let with = |authorities: Vec<&str>| {
        let authorities: Vec<_> = authorities.into_iter().map(testdata).collect();
        transport_with(|options| options.authorities = authorities)
    };
    let answer = with(vec!["other_authority.pem", "authority.pem"]).send(&request).await.unwrap();
    assert_eq!(answer.body().as_ref(), b"hi");
    for authorities in [vec![], vec!["other_authority.pem"]] {
        connections.store(0, Ordering::SeqCst);
        let error = with(authorities).send(&request).await.unwrap_err();
        assert!(matches!(error, TransportError::Connection { .. }) && !error.may_pass(), "{error:?}");
        assert_eq!(connections.load(Ordering::SeqCst), 1, "a certificate that is refused stays refused");
    }
}

#[tokio::test]
async fn a_service_over_tls_redirects_to_none_without() {
    let plain = Service::answering(["stolen"]).await;
    let (url, _) = server(format!("HTTP/1.1 302 Found\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n", plain.url)).await;
    let client = transport_with(|options| options.authorities = vec![testdata("authority.pem")]);
    let error = client.send(&Request::get(url)).await.unwrap_err();
    assert!(matches!(error, TransportError::Redirected { .. }), "{error:?}");
    assert!(plain.seen().is_empty());
}
