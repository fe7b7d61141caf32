//! The services by which clouds give credentials to what runs in them, on loopback.
//!
//! One address serves all clouds, told apart by path. Everything that the real services demand is demanded: AWS
//! signatures are verified, Google's assertions too, sessions and marker headers are needed where they are there.
//! Written from the clouds' public references; never tried against the clouds themselves.

mod aws;
mod azure;
mod google;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, Response};
use bytes::Bytes;
use sealift_core::locked;
use serde_json::Value;
use tokio::sync::oneshot;

pub use aws::{ACCESS_KEY, CONTAINER_TOKEN, INSTANCE_KEY, INSTANCE_ROLE, ROLE_ARN, SECRET_KEY, WEB_IDENTITY_TOKEN};
pub use azure::{CLIENT, CLIENT_SECRET, FEDERATED_TOKEN, FOREIGN_REGISTRY, TENANT};
pub use google::{REFRESH_TOKEN, SERVICE_ACCOUNT, SUBJECT_TOKEN};

/// The largest request read.
const MAX_REQUEST_BYTES: usize = 1 << 20;

/// What is there and what is not.
#[derive(Clone, Debug, Default)]
pub struct CloudOptions {
    /// PEM of the public key of [`SERVICE_ACCOUNT`].
    pub service_account_key: String,
    /// Services that answer 503 this often before they work.
    pub busy: usize,
    /// Whether the machine has an identity: an instance role, a managed identity, a service account.
    pub machine: Machine,
}

/// Whether the machine has an identity.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Machine {
    /// It has.
    #[default]
    Known,
    /// The metadata services know of none.
    Nobody,
    /// It is of a cloud that is not emulated, whose metadata service answers everything with this status.
    Other(u16),
}

/// Running services, which stop when dropped.
pub struct CloudServices {
    address: SocketAddr,
    state: Arc<Mutex<CloudState>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

struct CloudState {
    options: CloudOptions,
    requests: Vec<String>,
}

impl CloudServices {
    /// Starts the services.
    ///
    /// # Errors
    /// Fails when the system gives no socket or thread.
    pub fn start(options: CloudOptions) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let state = Arc::new(Mutex::new(CloudState { options, requests: Vec::new() }));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let serving = Arc::clone(&state);
        let serve = move || {
            runtime.block_on(async {
                tokio::select! {
                    () = serve(listener, serving) => {}
                    _ = stopped => {}
                }
            });
            runtime.shutdown_background();
        };
        let thread = std::thread::Builder::new().name("clouds".to_owned()).spawn(serve)?;
        Ok(Self { address, state, stop: Some(stop), thread: Some(thread) })
    }

    /// Returns the address of a service: `ecr`, `ecr-public`, `sts`, `container`, `instance`, `entra`, `app`, `google`.
    pub fn url(&self, service: &str) -> String {
        format!("http://{}/{service}", self.address)
    }

    /// Returns the address without a path: where metadata services are, and ACR's exchange.
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the host and port.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// Returns the requests so far, as `POST /ecr 200`.
    pub fn requests(&self) -> Vec<String> {
        locked(&self.state).requests.clone()
    }
}

impl Drop for CloudServices {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was printed when it happened.
            let _ = thread.join();
        }
    }
}

/// A request, read whole.
struct Call {
    method: Method,
    path: String,
    query: Vec<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
}

impl Call {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    fn form(&self) -> Vec<(String, String)> {
        url::form_urlencoded::parse(&self.body).into_owned().collect()
    }
}

fn field<'a>(fields: &'a [(String, String)], name: &str) -> Option<&'a str> {
    fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

/// An answer: status, content type or other header, and body.
struct Reply {
    status: u16,
    header: (&'static str, &'static str),
    body: String,
}

impl Reply {
    fn json(status: u16, value: &Value) -> Self {
        Self::text(status, "application/json", value.to_string())
    }

    fn text(status: u16, content_type: &'static str, body: impl Into<String>) -> Self {
        Self { status, header: ("content-type", content_type), body: body.into() }
    }

    fn not_found() -> Self {
        Self::text(404, "text/plain", "no such service")
    }
}

async fn serve(listener: std::net::TcpListener, state: Arc<Mutex<CloudState>>) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    let router = Router::new().fallback(answer).with_state(state);
    // Never returns: accepting goes on after an error.
    let _ = axum::serve(listener, router).await;
}

async fn answer(State(state): State<Arc<Mutex<CloudState>>>, request: Request) -> Result<Response<Body>, Infallible> {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, MAX_REQUEST_BYTES).await.unwrap_or_default();
    let query = url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    let path = parts.uri.path().to_owned();
    let call = Call { method: parts.method, path, query, headers: parts.headers, body };
    let mut state = locked(&state);
    let reply = if state.options.busy > 0 {
        state.options.busy -= 1;
        Reply::text(503, "text/plain", "busy")
    } else {
        dispatch(&call, &state.options)
    };
    state.requests.push(format!("{} {} {}", call.method, call.path, reply.status));
    let mut response = Response::new(Body::from(reply.body));
    *response.status_mut() = axum::http::StatusCode::from_u16(reply.status).unwrap_or_default();
    let (name, value) = reply.header;
    response.headers_mut().insert(name, axum::http::HeaderValue::from_static(value));
    Ok(response)
}

fn dispatch(call: &Call, options: &CloudOptions) -> Reply {
    let path = call.path.as_str();
    let place = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    if let (Machine::Other(status), "latest" | "metadata" | "computeMetadata") = (options.machine, place) {
        return Reply::text(status, "text/html", "<html>");
    }
    match place {
        "ecr" => aws::password(call, "ecr"),
        "ecr-public" => aws::password(call, "ecr-public"),
        "sts" => aws::assume_role(call),
        "container" => aws::container(call),
        "latest" => aws::instance(call, options.machine),
        "entra" => azure::token(call),
        "app" => azure::app_identity(call),
        "metadata" => azure::machine_identity(call, options.machine),
        "oauth2" => azure::exchange(call),
        "computeMetadata" => google::metadata(call, options.machine),
        "google" => google::token(call, &options.service_account_key),
        _ => Reply::not_found(),
    }
}
