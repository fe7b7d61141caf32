//! The Workload API, with an agent that speaks gRPC on a socket.

use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::http::{HeaderMap, Request, Response};
use bytes::Bytes;
use sealift_keyless::oidc::IdentityError;
use sealift_keyless::oidc::ambient::{Environment, detect};
use tokio::net::UnixListener;

use crate::support::{sigstore_token, transport};

/// What the agent does with a call.
#[derive(Clone, Copy, Debug)]
enum Agent {
    Cuts,
    Gives,
    Refuses,
}

type Seen = Arc<Mutex<Vec<(String, HeaderMap, Vec<u8>)>>>;

/// Starts an agent that answers calls as Go's and Rust's implementations of gRPC do.
fn agent(socket: &Path, agent: Agent) -> Seen {
    let listener = UnixListener::bind(socket).unwrap();
    let seen = Seen::default();
    let log = Arc::clone(&seen);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let mut connection = h2::server::handshake(stream).await.unwrap();
            while let Some(Ok((request, respond))) = connection.accept().await {
                tokio::spawn(answer(agent, request, respond, Arc::clone(&log)));
            }
        }
    });
    seen
}

async fn answer(
    agent: Agent,
    request: Request<h2::RecvStream>,
    mut respond: h2::server::SendResponse<Bytes>,
    log: Seen,
) {
    let (parts, mut body) = request.into_parts();
    let message = body.data().await.unwrap().unwrap().to_vec();
    log.lock().unwrap().push((parts.uri.path().to_owned(), parts.headers, message));
    let head = Response::builder().header("content-type", "application/grpc");
    if let Agent::Refuses = agent {
        let head = head.header("grpc-status", "7").header("grpc-message", "no identity issued");
        respond.send_response(head.body(()).unwrap(), true).unwrap();
        return;
    }
    let mut stream = respond.send_response(head.body(()).unwrap(), false).unwrap();
    // JWTSVIDResponse { svids: [JWTSVID { spiffe_id, svid }] }
    let svid = [field(1, "spiffe://sandbox.example/build"), field(2, &sigstore_token())].concat();
    let message = [length(1, svid.len()), svid].concat();
    let size = u32::try_from(message.len()).unwrap().to_be_bytes();
    let kept = if let Agent::Cuts = agent { message.len() / 2 } else { message.len() };
    stream.send_data([&[0], &size[..], &message[..kept]].concat().into(), false).unwrap();
    stream.send_trailers(HeaderMap::from_iter([("grpc-status".parse().unwrap(), "0".parse().unwrap())])).unwrap();
}

fn field(number: u8, text: &str) -> Vec<u8> {
    [length(number, text.len()), text.as_bytes().to_vec()].concat()
}

/// Key and length of a field of less than 16 KiB.
fn length(number: u8, length: usize) -> Vec<u8> {
    let low = u8::try_from(length & 0x7f).unwrap() | 0x80;
    vec![number << 3 | 2, low, u8::try_from(length >> 7).unwrap()]
}

fn environment(socket: &str) -> Environment {
    let nowhere = Path::new("/nowhere");
    Environment::new(|name| (name == "SPIFFE_ENDPOINT_SOCKET").then(|| socket.to_owned()))
        .with_token_file(nowhere)
        .with_product_name_file(nowhere)
}

#[tokio::test]
async fn an_agent_says_who_the_workload_is() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("agent.sock");
    let seen = agent(&socket, Agent::Gives);
    for scheme in ["unix://", "unix:"] {
        let provider = detect(&environment(&format!("{scheme}{}", socket.display())), &transport()).unwrap();
        assert_eq!(provider.name(), "SPIFFE");
        assert_eq!(provider.token("sigstore").await.unwrap().expose(), sigstore_token());
    }
    let (path, headers, message) = seen.lock().unwrap()[0].clone();
    assert_eq!(path, "/SpiffeWorkloadAPI/FetchJWTSVID");
    assert_eq!(
        (&headers["workload.spiffe.io"], &headers["te"]),
        (&"true".parse().unwrap(), &"trailers".parse().unwrap())
    );
    assert_eq!(message, b"\x00\x00\x00\x00\x0a\x0a\x08sigstore");
}

#[tokio::test]
async fn agents_that_refuse_or_break_give_nothing() {
    for (kind, expected) in [(Agent::Refuses, "Agent { status: \"7\" }"), (Agent::Cuts, "Malformed")] {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("agent.sock");
        agent(&socket, kind);
        let provider = detect(&environment(&format!("unix://{}", socket.display())), &transport()).unwrap();
        let error = provider.token("sigstore").await.unwrap_err();
        assert!(format!("{error:?}").starts_with(expected), "{error:?}");
    }
    let provider = detect(&environment("unix:///nowhere/agent.sock"), &transport()).unwrap();
    let error = provider.token("sigstore").await.unwrap_err();
    assert!(matches!(error, IdentityError::Transport(_)), "{error:?}");
    for address in ["tcp://127.0.0.1:7", "unix://agent.sock", "/run/agent.sock"] {
        assert!(detect(&environment(address), &transport()).is_none(), "{address}");
    }
}
