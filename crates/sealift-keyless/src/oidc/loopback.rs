//! The port on loopback that a browser comes back to with the code.
//!
//! Whatever else connects is answered and changes nothing: a browser's speculative connection, a request for an icon, a
//! page that guesses, a repeated answer. Only the first request that knows the state ends the wait.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use sealift_core::repository::foreign_text;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use url::form_urlencoded;

use super::IdentityError;
use crate::secret::Secret;

/// Listens for one browser.
pub(super) struct Listener {
    v4: TcpListener,
    /// The same port of the other loopback address, so that no other program of this machine takes it.
    v6: Option<TcpListener>,
    port: u16,
}

impl Listener {
    /// Takes a port of loopback; any free one for 0.
    pub(super) async fn bind(port: u16) -> io::Result<Self> {
        let mut attempts = 0;
        loop {
            let v4 = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
            let taken = v4.local_addr()?.port();
            match TcpListener::bind((Ipv6Addr::LOCALHOST, taken)).await {
                Ok(v6) => return Ok(Self { v4, v6: Some(v6), port: taken }),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse && (port != 0 || attempts == MAX_ATTEMPTS) => {
                    return Err(error);
                }
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => attempts += 1,
                // This machine has no such address.
                Err(_) => return Ok(Self { v4, v6: None, port: taken }),
            }
        }
    }

    /// Returns the address that the browser comes back to. `localhost` and not a number: issuers compare the text.
    pub(super) fn redirect(&self) -> String {
        format!("http://localhost:{}{PATH}", self.port)
    }

    /// Waits for the code.
    pub(super) async fn code(self, state: &str, issuer: &str) -> Result<Secret, IdentityError> {
        let expected = Arc::new(Expected {
            hosts: ["localhost", "127.0.0.1", "[::1]"].map(|host| format!("{host}:{}", self.port)),
            state: Secret::from(state),
            issuer: issuer.to_owned(),
        });
        let mut talks = JoinSet::new();
        loop {
            tokio::select! {
                stream = self.accept(), if talks.len() < MAX_CONNECTIONS => match stream {
                    Ok(stream) => {
                        talks.spawn(talk(stream, Arc::clone(&expected)));
                    }
                    // The connection broke before it began, or the system has no more of them for a while.
                    Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
                },
                Some(talk) = talks.join_next() => match talk {
                    Ok(Some(Outcome::Code(code))) => return Ok(code),
                    Ok(Some(Outcome::Denied)) => return Err(IdentityError::Denied),
                    Ok(Some(Outcome::Failed(code))) => return Err(IdentityError::SignIn { code }),
                    _ => {}
                },
            }
        }
    }

    async fn accept(&self) -> io::Result<TcpStream> {
        let v6 = async {
            match &self.v6 {
                Some(listener) => listener.accept().await,
                None => std::future::pending().await,
            }
        };
        let (stream, _) = tokio::select! {
            stream = self.v4.accept() => stream?,
            stream = v6 => stream?,
        };
        Ok(stream)
    }
}

/// What the browser's request must have.
struct Expected {
    hosts: [String; 3],
    state: Secret,
    issuer: String,
}

/// How a sign-in ends.
#[derive(Debug, Eq, PartialEq)]
enum Outcome {
    Code(Secret),
    Denied,
    Failed(String),
}

/// Answers one request, and returns the outcome if it has one.
async fn talk(mut stream: TcpStream, expected: Arc<Expected>) -> Option<Outcome> {
    let head = tokio::time::timeout(CONNECTION_TIMEOUT, read_head(&mut stream)).await.ok()??;
    let (status, outcome) = judge(head.expose(), &expected);
    let page = match outcome {
        Some(Outcome::Code(_)) => "You are signed in. This page can be closed.",
        Some(_) => "You are not signed in. This page can be closed.",
        None => "There is nothing here.",
    };
    // Nothing of the request is in the answer.
    let reply = format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: {}\r\n{HEADERS}\r\n{page}",
        page.len()
    );
    // Whether the page arrives or not, the code has.
    let _ = tokio::time::timeout(CONNECTION_TIMEOUT, async {
        stream.write_all(reply.as_bytes()).await?;
        stream.shutdown().await
    })
    .await;
    outcome
}

async fn read_head(stream: &mut TcpStream) -> Option<Secret> {
    let mut head = Vec::with_capacity(MAX_HEAD_BYTES);
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        let room = u64::try_from(MAX_HEAD_BYTES - head.len()).unwrap_or(0);
        if stream.take(room).read_buf(&mut head).await.ok()? == 0 {
            return None;
        }
    }
    String::from_utf8(head).ok().map(Secret::from)
}

/// Says what is answered to a request, and whether it ends the sign-in.
fn judge(head: &str, expected: &Expected) -> (&'static str, Option<Outcome>) {
    let mut lines = head.split("\r\n");
    let request: Vec<&str> = lines.next().unwrap_or_default().splitn(4, ' ').collect();
    let [method, target, "HTTP/1.1" | "HTTP/1.0"] = request[..] else { return (BAD_REQUEST, None) };
    let mut hosts = lines.filter_map(|line| line.split_once(':')).filter(|(name, _)| name.eq_ignore_ascii_case("host"));
    // A page of another name that resolves to this machine (DNS rebinding) has that name here.
    let is_ours = hosts.next().is_some_and(|(_, host)| expected.hosts.iter().any(|ours| host.trim() == ours));
    if !is_ours || hosts.next().is_some() {
        return (BAD_REQUEST, None);
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    if path != PATH {
        return (NOT_FOUND, None);
    }
    if method != "GET" {
        return (NOT_ALLOWED, None);
    }
    match outcome(query, expected) {
        Some(outcome) => (OK, Some(outcome)),
        None => (BAD_REQUEST, None),
    }
}

fn outcome(query: &str, expected: &Expected) -> Option<Outcome> {
    let parameters: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
    let one = |name: &str| {
        let mut values = parameters.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_ref());
        // A parameter twice is somebody's attempt to be read in two ways.
        values.next().filter(|_| values.next().is_none())
    };
    if one("state")? != expected.state.expose() {
        return None;
    }
    // RFC 9207: another issuer's answer is not ours.
    if parameters.iter().any(|(key, _)| key == "iss") && one("iss")? != expected.issuer {
        return None;
    }
    match (one("code"), one("error")) {
        (Some(code), None) if !code.is_empty() => Some(Outcome::Code(Secret::from(code))),
        (None, Some("access_denied")) => Some(Outcome::Denied),
        (None, Some(error)) => Some(Outcome::Failed(foreign_text(error))),
        _ => None,
    }
}

/// The path registered for Sigstore's clients.
const PATH: &str = "/auth/callback";
const HEADERS: &str = "cache-control: no-store\r\nconnection: close\r\n\
     content-security-policy: default-src 'none'\r\nreferrer-policy: no-referrer\r\nx-content-type-options: nosniff\r\n";
const OK: &str = "200 OK";
const BAD_REQUEST: &str = "400 Bad Request";
const NOT_FOUND: &str = "404 Not Found";
const NOT_ALLOWED: &str = "405 Method Not Allowed";
/// The most bytes of a request's head; codes have tens, cookies of `localhost` some thousand.
const MAX_HEAD_BYTES: usize = 32 * 1024;
/// The most connections at a time; stops a page that opens thousands.
const MAX_CONNECTIONS: usize = 64;
/// The longest time for one request; stops connections that say nothing.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(5);
/// How long nobody is let in after the system refused to.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// The most ports tried until one is free on both addresses.
const MAX_ATTEMPTS: u32 = 20;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn expected() -> Expected {
        Expected {
            hosts: ["localhost", "127.0.0.1", "[::1]"].map(|host| format!("{host}:7")),
            state: Secret::from("right"),
            issuer: "https://idp.test".to_owned(),
        }
    }

    fn judged(target: &str) -> (&'static str, Option<Outcome>) {
        judge(&format!("GET {target} HTTP/1.1\r\nHost: localhost:7\r\n\r\n"), &expected())
    }

    fn code() -> Option<Outcome> {
        Some(Outcome::Code(Secret::from("c")))
    }

    #[test]
    fn only_who_knows_the_state_ends_the_sign_in() {
        for (target, status, outcome) in [
            ("/auth/callback?code=c&state=right", OK, code()),
            ("/auth/callback?state=right&code=c&iss=https://idp.test", OK, code()),
            ("/auth/callback?state=right&error=access_denied", OK, Some(Outcome::Denied)),
            ("/auth/callback?state=right&error=server%0Aerror", OK, Some(Outcome::Failed("servererror".to_owned()))),
            ("/favicon.ico", NOT_FOUND, None),
            ("/", NOT_FOUND, None),
            ("/auth/callback", BAD_REQUEST, None),
            ("/auth/callback?code=c", BAD_REQUEST, None),
            ("/auth/callback?code=c&state=wrong", BAD_REQUEST, None),
            ("/auth/callback?code=c&state=", BAD_REQUEST, None),
            ("/auth/callback?error=access_denied&state=wrong", BAD_REQUEST, None),
            ("/auth/callback?error=access_denied", BAD_REQUEST, None),
            ("/auth/callback?code=c&state=wrong&state=right", BAD_REQUEST, None),
            ("/auth/callback?code=c&code=d&state=right", BAD_REQUEST, None),
            ("/auth/callback?code=&state=right", BAD_REQUEST, None),
            ("/auth/callback?code=c&error=x&state=right", BAD_REQUEST, None),
            ("/auth/callback?code=c&state=right&iss=https://other.test", BAD_REQUEST, None),
            ("/auth/callback?code=c&state=right&iss=https://idp.test&iss=x", BAD_REQUEST, None),
        ] {
            assert_eq!(judged(target), (status, outcome), "{target}");
        }
    }

    #[test]
    fn only_this_machine_s_names_are_answered() {
        for (head, status) in [
            ("GET /auth/callback?code=c&state=right HTTP/1.1\r\nhost: 127.0.0.1:7\r\n\r\n", OK),
            ("GET /auth/callback?code=c&state=right HTTP/1.1\r\nhost: [::1]:7\r\n\r\n", OK),
            ("GET /auth/callback?code=c&state=right HTTP/1.1\r\nhost: evil.test:7\r\n\r\n", BAD_REQUEST),
            ("GET /auth/callback?code=c&state=right HTTP/1.1\r\nhost: localhost:8\r\n\r\n", BAD_REQUEST),
            ("GET /auth/callback?code=c&state=right HTTP/1.1\r\n\r\n", BAD_REQUEST),
            (
                "GET /auth/callback?code=c&state=right HTTP/1.1\r\nhost: localhost:7\r\nhost: evil.test\r\n\r\n",
                BAD_REQUEST,
            ),
            ("POST /auth/callback?code=c&state=right HTTP/1.1\r\nhost: localhost:7\r\n\r\n", NOT_ALLOWED),
            ("GET /auth/callback?code=c&state=right\r\nhost: localhost:7\r\n\r\n", BAD_REQUEST),
            ("\r\n\r\n", BAD_REQUEST),
        ] {
            assert_eq!(judge(head, &expected()).0, status, "{head}");
        }
    }

    proptest! {
        #[test]
        fn judging_is_total_and_believes_nobody_without_the_state(query in "[a-z=&%?0-9]{0,60}") {
            prop_assert_eq!(judged(&format!("/auth/callback?{query}")).1, None);
        }
    }
}
