//! The HTTP client: what it repeats, follows, reads and refuses.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::http::Response;
use bytes::Bytes;
use futures_util::stream;
use sealift_keyless::transport::{Repeat, Request, TransportError};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _};

use crate::support::{Service, transport, transport_with};

#[tokio::test]
async fn tries_again_what_may_pass_and_nothing_else() {
    for (statuses, repeat, expected, requests) in [
        (vec![503, 429, 200], Repeat::Always, Ok(200), 3),
        (vec![400], Repeat::Always, Ok(400), 1),
        (vec![404, 200], Repeat::Always, Ok(404), 1),
        (vec![501, 200], Repeat::Always, Err(501), 1),
        (vec![500], Repeat::Always, Err(500), 6),
        (vec![500, 200], Repeat::WhenUndone, Err(500), 1),
        (vec![429, 200], Repeat::WhenUndone, Ok(200), 2),
    ] {
        let answers = statuses.iter().map(|status| axum::http::StatusCode::from_u16(*status).unwrap());
        let service = Service::answering(answers.collect::<Vec<_>>()).await;
        let answer = transport().send(&Request::get(service.at("/x")).repeat(repeat)).await;
        let status = match answer {
            Ok(answer) if answer.status() == 501 => Err(501),
            Ok(answer) => Ok(answer.status().as_u16()),
            Err(TransportError::Unavailable { source, .. }) => Err(source.status),
            Err(error) => panic!("{error}"),
        };
        assert_eq!((status, service.seen().len()), (expected, requests), "{statuses:?}");
    }
}

#[tokio::test]
async fn a_service_that_asks_for_more_time_than_there_is_gets_no_second_request() {
    let service = Service::answering([(axum::http::StatusCode::TOO_MANY_REQUESTS, [("retry-after", "3600")])]).await;
    let error = transport().send(&Request::get(service.at("/"))).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(3600)));
    assert!(error.may_pass());
    assert_eq!(service.seen().len(), 1);
}

#[tokio::test]
async fn follows_redirects_within_an_origin_and_never_elsewhere() {
    let elsewhere = Service::answering(["stolen"]).await;
    let away = elsewhere.at("/x").to_string();
    let service = Service::with(move |_, seen| {
        let to = match seen.uri.path() {
            "/inside" => "/there",
            "/away" => away.as_str(),
            "/loop" => "/loop",
            "/down" => "ftp://127.0.0.1/",
            _ => return Response::new(Body::from("here")),
        };
        Response::builder().status(302).header("location", to).body(Body::empty()).unwrap()
    })
    .await;
    let client = transport();
    let get = |path: &str| Request::get(service.at(path)).authorization("Bearer", "secret");
    let answer = client.send(&get("/inside")).await.unwrap();
    assert_eq!(answer.body().as_ref(), b"here");
    let post = Request::post(service.at("/inside"), "text/plain", "x");
    for (request, expected) in [
        (get("/away"), "Redirected"),
        (get("/down"), "Redirected"),
        (get("/loop"), "TooManyRedirects"),
        (post, "Redirected"),
    ] {
        let error = client.send(&request).await.unwrap_err();
        assert!(format!("{error:?}").starts_with(expected), "{error:?}");
        assert!(!error.may_pass());
    }
    assert!(elsewhere.seen().is_empty());
}

#[tokio::test]
async fn plain_http_stays_on_this_machine() {
    for url in ["http://fulcio.test/", "ftp://127.0.0.1/", "http://127.0.0.1.fulcio.test/", "file:///etc/passwd"] {
        let error = transport().send(&Request::get(url.parse().unwrap())).await.unwrap_err();
        assert!(matches!(error, TransportError::NotHttps { .. }), "{url}: {error:?}");
    }
}

#[tokio::test]
async fn endless_and_slow_answers_end() {
    let endless = Service::with(|_, _| {
        let piece = || Some((Ok::<_, Infallible>(Bytes::from_static(&[b'a'; 4096])), ()));
        Response::new(Body::from_stream(stream::unfold((), move |()| async move { piece() })))
    })
    .await;
    let request = Request::get(endless.at("/")).limit(10_000);
    let error = transport().send(&request).await.unwrap_err();
    assert!(matches!(error, TransportError::TooLarge { limit: 10_000, .. }), "{error:?}");

    let silent = Service::with(|_, _| {
        let first = stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"a"))]);
        Response::new(Body::from_stream(futures_util::StreamExt::chain(first, stream::pending())))
    })
    .await;
    let client = transport_with(|options| {
        options.attempt_timeout = Duration::from_millis(50);
        options.retry.retries = 0;
    });
    let error = client.send(&Request::get(silent.at("/"))).await.unwrap_err();
    assert!(matches!(error, TransportError::TimedOut { .. }) && error.may_pass(), "{error:?}");
}

#[tokio::test]
async fn refusals_do_not_repeat_what_was_sent() {
    let service = Service::with(|_, seen| {
        let words = format!("{{\"message\":\"bad {} and {}\"}}", seen.header("authorization"), seen.body);
        Response::builder().status(401).body(Body::from(words)).unwrap()
    })
    .await;
    let request = Request::post(service.at("/"), "text/plain", "hunter3").authorization("Bearer", "hunter2");
    let answer = transport().send(&request.secret("hunter3")).await.unwrap();
    let refusal = answer.into_body().unwrap_err();
    assert_eq!(refusal.to_string(), "HTTP 401: bad Bearer .. and ..");
    // What is too long to be shown whole is not shown in part.
    let long = "hunter4".repeat(100);
    let answer = transport().send(&Request::get(service.at("/")).authorization("Bearer", &long)).await.unwrap();
    assert_eq!(answer.into_body().unwrap_err().to_string(), "HTTP 401: bad Bearer .. and ");
}

#[test]
fn files_that_hold_no_certificate_are_refused() {
    for text in ["", "not PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        let mut options = sealift_keyless::TransportOptions::default();
        options.authorities = vec![text.as_bytes().to_vec()];
        assert!(sealift_keyless::Transport::new(options).is_err(), "{text}");
    }
}

/// Also run as a process of its own by the next test, since a process has one environment.
#[tokio::test]
async fn a_name_that_nobody_has_does_not_answer_and_this_machine_does() {
    let client = transport_with(|options| {
        options.attempt_timeout = Duration::from_secs(10);
        options.retry.retries = 0;
    });
    let error = client.send(&Request::get("https://fulcio.test/".parse().unwrap())).await.unwrap_err();
    assert!(error.may_pass(), "{error:?}");
    let service = Service::answering(["here"]).await;
    assert_eq!(client.send(&Request::get(service.at("/"))).await.unwrap().body().as_ref(), b"here");
}

#[tokio::test]
async fn proxies_of_the_environment_are_for_other_machines() {
    let proxy = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", proxy.local_addr().unwrap());
    let mut process = tokio::process::Command::new(std::env::current_exe().unwrap());
    process.args(["--exact", "transport::a_name_that_nobody_has_does_not_answer_and_this_machine_does"]);
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"] {
        process.env(name, &url);
    }
    for name in ["NO_PROXY", "no_proxy", "REQUEST_METHOD"] {
        process.env_remove(name);
    }
    let mut run = std::pin::pin!(process.kill_on_drop(true).output());
    let mut asked = Vec::new();
    let output = loop {
        tokio::select! {
            output = &mut run => break output.unwrap(),
            stream = proxy.accept() => {
                let mut stream = tokio::io::BufReader::new(stream.unwrap().0);
                let mut line = String::new();
                stream.read_line(&mut line).await.unwrap();
                asked.push(line.trim().to_owned());
                stream.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n").await.unwrap();
            }
        }
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(asked, ["CONNECT fulcio.test:443 HTTP/1.1"]);
}
