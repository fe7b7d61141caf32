//! A wire that takes its time: TCP to a registry, with a delay before each request.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

use crate::Failure;

/// A relay on a free port of loopback, stopped when dropped.
pub(crate) struct Relay {
    address: SocketAddr,
    requests: Arc<AtomicUsize>,
    _runtime: Runtime,
}

impl Relay {
    /// Relays to `upstream`, host and port, and holds back each request for `delay`.
    pub(crate) fn start(upstream: String, delay: Duration) -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let address = listener.local_addr()?;
        let requests = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&requests);
        runtime.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(relay(client, upstream.clone(), delay, Arc::clone(&counted)));
            }
        });
        Ok(Self { address, requests, _runtime: runtime })
    }

    /// Returns host and port.
    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    /// Returns how many requests passed since they were last forgotten.
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    /// Forgets the requests so far.
    pub(crate) fn clear_requests(&self) {
        self.requests.store(0, Ordering::Relaxed);
    }
}

/// Relays one connection. HTTP/1.1 asks one question at a time: the first bytes after an answer begin the next.
async fn relay(
    client: TcpStream,
    upstream: String,
    delay: Duration,
    requests: Arc<AtomicUsize>,
) -> std::io::Result<()> {
    let server = TcpStream::connect(upstream).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let answered = Arc::new(AtomicBool::new(true));
    let asking = Arc::clone(&answered);
    let ask = async move {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let read = from_client.read(&mut buffer).await?;
            if read == 0 {
                return to_server.shutdown().await;
            }
            if asking.swap(false, Ordering::AcqRel) {
                requests.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(delay).await;
            }
            to_server.write_all(&buffer[..read]).await?;
        }
    };
    let answer = async move {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let read = from_server.read(&mut buffer).await?;
            if read == 0 {
                return to_client.shutdown().await;
            }
            answered.store(true, Ordering::Release);
            to_client.write_all(&buffer[..read]).await?;
        }
    };
    tokio::try_join!(ask, answer).map(|_| ())
}
