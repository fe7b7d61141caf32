//! A TLS server of `localhost`, for what is decided before any HTTP: who is believed, and what an end without a word means.
//!
//! Its certificate is the one in `testdata/tls`, which [`authority`] issued.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::client::danger::HandshakeSignatureValid;
use tokio_rustls::rustls::crypto::{
    WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use tokio_rustls::rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use tokio_rustls::rustls::{
    DigitallySignedStruct, DistinguishedName, Error as TlsError, ServerConfig, SignatureScheme,
};

/// A server that reads one request of each connection; ends when dropped.
#[derive(Debug)]
pub struct TlsServer {
    port: u16,
    connections: Arc<AtomicUsize>,
    certificates: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl TlsServer {
    /// Starts a server that answers every request with `reply`, or closes the connection where there is none.
    ///
    /// # Errors
    /// When nothing can be bound on loopback.
    ///
    /// # Panics
    /// Outside of a Tokio runtime, and where `testdata/tls` is not what it should be.
    pub async fn start(reply: Option<String>) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let acceptor = TlsAcceptor::from(Arc::new(config()));
        let (connections, certificates) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (count, shown) = (Arc::clone(&connections), Arc::clone(&certificates));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                // Whoever does not trust the certificate goes away.
                let _ = serve(&acceptor, stream, reply.as_deref(), &shown).await;
            }
        });
        Ok(Self { port, connections, certificates, task })
    }

    /// Returns its host, with the port.
    pub fn host(&self) -> String {
        format!("localhost:{}", self.port)
    }

    /// Returns how many connections there were.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Returns in how many of them the client showed a certificate, which it was asked for and need not have.
    pub fn certificates(&self) -> usize {
        self.certificates.load(Ordering::SeqCst)
    }
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Returns the certificate, in PEM, of the authority that issued the server's.
///
/// # Panics
/// Where `testdata/tls` is not what it should be.
pub fn authority() -> Vec<u8> {
    testdata("authority.pem")
}

/// Returns the certificate, in PEM, of an authority that issued nothing.
///
/// # Panics
/// Where `testdata/tls` is not what it should be.
pub fn other_authority() -> Vec<u8> {
    testdata("other_authority.pem")
}

async fn serve(
    acceptor: &TlsAcceptor,
    stream: TcpStream,
    reply: Option<&str>,
    certificates: &AtomicUsize,
) -> io::Result<()> {
    let mut stream = acceptor.accept(stream).await?;
    if stream.get_ref().1.peer_certificates().is_some() {
        certificates.fetch_add(1, Ordering::SeqCst);
    }
    let _ = stream.read(&mut [0; 4096]).await?;
    let Some(reply) = reply else { return Ok(()) };
    stream.write_all(reply.as_bytes()).await?;
    stream.shutdown().await
}

fn config() -> ServerConfig {
    let certificate = CertificateDer::from_pem_slice(&testdata("server.pem")).expect("server.pem is a certificate");
    let key = PrivateKeyDer::from_pem_slice(&testdata("server.key")).expect("server.key is a key");
    let provider = Arc::new(aws_lc_rs::default_provider());
    let anybody = Anybody(provider.signature_verification_algorithms);
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has the usual versions")
        .with_client_cert_verifier(Arc::new(anybody))
        .with_single_cert(vec![certificate], key)
        .expect("the key is the certificate's")
}

/// Asks every client for a certificate, takes any whose key the client has, and takes none.
#[derive(Debug)]
struct Anybody(WebPkiSupportedAlgorithms);

impl ClientCertVerifier for Anybody {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, TlsError> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls12_signature(message, certificate, signature, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls13_signature(message, certificate, signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

fn testdata(name: &str) -> Vec<u8> {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/tls")).join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
