//! From a request to its answer: latency, faults, access, endpoint, distortion.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::LOCATION;
use axum::http::{Method, StatusCode};

use super::attributes::Attributes;
use super::auth::{needs, respond_to_ping};
use super::fault::Faults;
use super::limit::Limits;
use super::log::Log;
use super::options::{RegistryOptions, Storage};
use super::quirk::Root;
use super::reply::{Refusal, Reply, empty, web_page};
use super::route::{Call, Endpoint};
use super::store::Store;
use super::token::Tokens;
use super::upload::Uploads;
use super::{LoggedRequest, RegistryError, attributes, auth, blob, listing, manifest, token, upload};

/// Everything one registry is made of.
pub(super) struct Server {
    pub(super) options: RegistryOptions,
    pub(super) address: SocketAddr,
    pub(super) store: Store,
    pub(super) uploads: Uploads,
    pub(super) tokens: Tokens,
    pub(super) attributes: Attributes,
    pub(super) faults: Faults,
    pub(super) limits: Limits,
    pub(super) log: Log,
    observer: Box<dyn Fn(&LoggedRequest) + Send + Sync>,
}

impl Server {
    pub(super) fn new(
        options: RegistryOptions,
        address: SocketAddr,
        observer: Box<dyn Fn(&LoggedRequest) + Send + Sync>,
    ) -> Result<Self, RegistryError> {
        let store = match &options.storage {
            Storage::Folder(path) => Store::open(path.clone()).map_err(RegistryError::System)?,
            Storage::Memory => Store::memory(),
        };
        Ok(Self {
            options,
            address,
            store,
            uploads: Uploads::default(),
            tokens: Tokens::default(),
            attributes: Attributes::default(),
            faults: Faults::default(),
            limits: Limits::default(),
            log: Log::default(),
            observer,
        })
    }

    /// Returns the URL the client reached the registry at.
    pub(super) fn origin(&self, call: &Call) -> String {
        call.header("host").map_or_else(|| format!("http://{}", self.address), |host| format!("http://{host}"))
    }

    /// Returns `path` as a `Location` names it.
    pub(super) fn location(&self, call: &Call, path: &str) -> String {
        if self.options.relative_locations { path.to_owned() } else { format!("{}{path}", self.origin(call)) }
    }
}

/// Serves until dropped.
pub(super) async fn serve(server: Arc<Server>, listener: std::net::TcpListener) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    let router = Router::new().fallback(answer).with_state(server);
    // Never returns: accepting goes on after an error.
    let _ = axum::serve(listener, router).await;
}

async fn answer(State(server): State<Arc<Server>>, request: Request) -> Result<Reply, Infallible> {
    let (parts, body) = request.into_parts();
    let call = Call::new(parts.method, &parts.uri, parts.headers);
    let number = server.log.start(&call);
    if !server.options.latency.is_zero() {
        tokio::time::sleep(server.options.latency).await;
    }
    let faults = server.faults.hits(&call);
    let reply = match faults.instead(&parts.uri).await {
        Some(reply) => reply,
        None => dispatch(&server, &call, faults.received(body)).await.unwrap_or_else(Refusal::into_reply),
    };
    let reply = faults.distort(reply);
    if let Some(request) = server.log.end(number, reply.status().as_u16()) {
        (server.observer)(&request);
    }
    Ok(reply)
}

async fn dispatch(server: &Server, call: &Call, body: Body) -> Result<Reply, Refusal> {
    if let Some(too_many) = server.limits.check_requests(&server.options.quirks) {
        return Ok(too_many);
    }
    if call.endpoint == Endpoint::Token {
        return token::issue(server, call, body).await;
    }
    if call.path == "/" {
        return root(server);
    }
    auth::check(server, call, &needs(server, call))?;
    if let Some(too_many) = server.limits.check_pulls(&server.options.quirks, call) {
        return Ok(too_many);
    }
    let mut reply = route(server, call, body).await?;
    server.limits.announce(&server.options.quirks, call, &mut reply);
    Ok(reply)
}

/// `GET /`
fn root(server: &Server) -> Result<Reply, Refusal> {
    match server.options.quirks.root {
        Root::Missing => Err(Refusal::not_found("UNSUPPORTED", "no such endpoint")),
        Root::Redirect(to) => Ok(empty(StatusCode::MOVED_PERMANENTLY, &[(LOCATION, to)])),
        Root::WebPage => Ok(web_page(StatusCode::OK)),
    }
}

async fn route(server: &Server, call: &Call, body: Body) -> Result<Reply, Refusal> {
    match (call.endpoint, &call.method) {
        (Endpoint::Ping, &Method::GET | &Method::HEAD) => Ok(respond_to_ping()),
        (Endpoint::Catalog, &Method::GET) => listing::catalog(server, call),
        (Endpoint::Tags, &Method::GET) => listing::tags(server, call),
        (Endpoint::Referrers, &Method::GET) => listing::referrers(server, call),
        (Endpoint::Manifest, &Method::GET | &Method::HEAD) => manifest::read(server, call),
        (Endpoint::Manifest, &Method::PUT) => manifest::put(server, call, body).await,
        (Endpoint::Manifest, &Method::DELETE) => manifest::delete(server, call),
        (Endpoint::Blob, &Method::GET | &Method::HEAD) => blob::read(server, call),
        (Endpoint::Blob, &Method::DELETE) => blob::delete(server, call),
        (Endpoint::Upload, &Method::POST) if call.reference.is_empty() => upload::open(server, call, body).await,
        (Endpoint::Upload, &Method::GET) => upload::status(server, call).await,
        (Endpoint::Upload, &Method::PATCH) => upload::append(server, call, body).await,
        (Endpoint::Upload, &Method::PUT) => upload::finish(server, call, body).await,
        (Endpoint::Upload, &Method::DELETE) => upload::cancel(server, call),
        (Endpoint::Attributes, &Method::GET) => attributes::read(server, call),
        (Endpoint::Attributes, &Method::PATCH) => attributes::change(server, call, body).await,
        (Endpoint::Other, _) => Err(Refusal::not_found("UNSUPPORTED", "no such endpoint")),
        _ => Err(Refusal::unsupported("this method is not allowed here")),
    }
}
