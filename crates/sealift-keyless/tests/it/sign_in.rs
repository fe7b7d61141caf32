//! People signing in: browsers, codes and devices, with the sandbox's issuer and with hostile ones.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::body::Body;
use axum::http::Response;
use sealift_keyless::oidc::{
    BrowserFlow, DeviceCode, DeviceFlow, IdentityError, IdentityProvider as _, IdentityToken, OutOfBandFlow, Person,
    RelyingParty, TokenError,
};
use sealift_keyless::transport::TransportError;
use sealift_sandbox::sigstore::{DeviceAnswer, Sigstore, SigstoreOptions};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use url::Url;

use crate::support::{Service, token, transport};

/// What a person does at the address that a flow shows.
#[derive(Clone, Copy, Debug)]
enum Habit {
    /// Leaves.
    Absent,
    /// Says no.
    Deny,
    /// Signs in.
    SignIn,
    /// Signs in while others send whatever they like to the port.
    SignInAmongOthers,
}

#[derive(Debug)]
struct Tester {
    habit: Habit,
    codes: Mutex<Vec<DeviceCode>>,
    /// Status of every request to the port on loopback, in order.
    statuses: Arc<Mutex<Vec<u16>>>,
}

fn tester(habit: Habit) -> Arc<Tester> {
    Arc::new(Tester { habit, codes: Mutex::default(), statuses: Arc::default() })
}

#[async_trait]
impl Person for Tester {
    async fn visit(&self, url: &Url) -> io::Result<()> {
        let (url, statuses) = (url.clone(), Arc::clone(&self.statuses));
        match self.habit {
            Habit::Absent => {}
            Habit::Deny => {
                tokio::spawn(async move {
                    let port = redirect(&url);
                    let state = parameter(&url, "state");
                    let away = format!("{port}?error=access_denied&state={state}");
                    let status = browser().get(away).send().await.unwrap().status();
                    statuses.lock().unwrap().push(status.as_u16());
                });
            }
            Habit::SignIn => {
                tokio::spawn(async move { browser().get(url).send().await.unwrap() });
            }
            Habit::SignInAmongOthers => {
                tokio::spawn(sign_in_among_others(url, statuses));
            }
        }
        Ok(())
    }

    async fn ask_for_code(&self, url: &Url) -> io::Result<String> {
        let page = browser().get(url.clone()).send().await.unwrap();
        Ok(page.text().await.unwrap())
    }

    async fn show_code(&self, code: &DeviceCode) -> io::Result<()> {
        self.codes.lock().unwrap().push(code.clone());
        Ok(())
    }
}

/// Does what browsers, extensions and attackers do, before the true answer and with it.
async fn sign_in_among_others(url: Url, statuses: Arc<Mutex<Vec<u16>>>) {
    let port = redirect(&url);
    let client = browser();
    let address = ("127.0.0.1", Url::parse(&port).unwrap().port().unwrap());
    // A connection on speculation, which stays silent, and one that talks nonsense.
    let _silent = TcpStream::connect(address).await.unwrap();
    TcpStream::connect(address).await.unwrap().write_all(b"\x16\x03\x01\r\n\r\n").await.unwrap();
    let icon = Url::parse(&port).unwrap().join("/favicon.ico").unwrap().to_string();
    let guesses =
        [icon, format!("{port}?code=stolen&state=guess"), format!("{port}?error=access_denied"), port.clone()];
    for stray in guesses {
        let status = client.get(stray).send().await.unwrap().status();
        statuses.lock().unwrap().push(status.as_u16());
    }
    let answer = client.get(url).send().await.unwrap();
    statuses.lock().unwrap().push(answer.status().as_u16());
    // The browser loads the page again: whether anybody still listens does not matter.
    let _ = client.get(answer.url().clone()).send().await;
}

fn browser() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

fn parameter(url: &Url, name: &str) -> String {
    url.query_pairs().find(|(key, _)| key == name).unwrap().1.into_owned()
}

fn redirect(url: &Url) -> String {
    parameter(url, "redirect_uri")
}

fn sandbox() -> Sigstore {
    Sigstore::start(SigstoreOptions::default()).unwrap()
}

fn party(issuer: &str) -> RelyingParty {
    RelyingParty::new(issuer, transport())
}

async fn browse(issuer: &str, person: &Arc<Tester>) -> Result<IdentityToken, IdentityError> {
    BrowserFlow::new(party(issuer), Arc::clone(person) as _).token("sigstore").await
}

#[tokio::test]
async fn signs_in_with_a_browser() {
    let sigstore = sandbox();
    let token = browse(&sigstore.urls().oidc, &tester(Habit::SignIn)).await.unwrap();
    assert_eq!(token.proof_subject().unwrap(), "dev@example.com");
    let asked: Vec<_> = sigstore.requests().into_iter().map(|request| request.path).collect();
    assert_eq!(asked, ["/.well-known/openid-configuration", "/auth", "/token"]);
}

/// An answer that was not asked for is somebody else's.
#[tokio::test]
async fn ghsa_hm8f_75xx_w2vr_answers_without_the_state_change_nothing() {
    let sigstore = sandbox();
    let person = tester(Habit::SignInAmongOthers);
    let token = browse(&sigstore.urls().oidc, &person).await.unwrap();
    assert_eq!(token.proof_subject().unwrap(), "dev@example.com");
    let redeemed = sigstore.requests().into_iter().filter(|request| request.path == "/token").count();
    assert_eq!(redeemed, 1, "only the code that was asked for is redeemed");
    let statuses = person.statuses.lock().unwrap().clone();
    assert_eq!(statuses[..4], [404, 400, 400, 400]);
}

#[tokio::test]
async fn who_denies_or_leaves_is_not_signed_in() {
    let sigstore = sandbox();
    let error = browse(&sigstore.urls().oidc, &tester(Habit::Deny)).await.unwrap_err();
    assert!(matches!(error, IdentityError::Denied) && !error.may_pass(), "{error:?}");
    let flow = BrowserFlow::new(party(&sigstore.urls().oidc), tester(Habit::Absent) as _);
    let error = flow.with_patience(Duration::from_millis(20)).token("sigstore").await.unwrap_err();
    assert!(matches!(error, IdentityError::Expired), "{error:?}");
}

#[tokio::test]
async fn signs_in_with_a_code_by_hand() {
    let sigstore = sandbox();
    let flow = OutOfBandFlow::new(party(&sigstore.urls().oidc), tester(Habit::SignIn) as _);
    assert_eq!(flow.token("sigstore").await.unwrap().proof_subject().unwrap(), "dev@example.com");
}

#[tokio::test]
async fn signs_in_on_another_device() {
    let device = |answers: Vec<DeviceAnswer>| async move {
        let sigstore = sandbox();
        sigstore.set_device_answers(answers);
        let person = tester(Habit::SignIn);
        let flow = DeviceFlow::new(party(&sigstore.urls().oidc), Arc::clone(&person) as _);
        let token = flow.token("sigstore").await;
        let codes = person.codes.lock().unwrap().clone();
        assert_eq!(codes.len(), 1);
        assert!(codes[0].complete_address.as_ref().unwrap().as_str().ends_with(&codes[0].user_code));
        token
    };
    let (signed, denied, expired) = tokio::join!(
        device(vec![DeviceAnswer::Pending]),
        device(vec![DeviceAnswer::Denied]),
        device(vec![DeviceAnswer::Expired]),
    );
    assert_eq!(signed.unwrap().proof_subject().unwrap(), "dev@example.com");
    assert!(matches!(denied, Err(IdentityError::Denied)), "{denied:?}");
    assert!(matches!(expired, Err(IdentityError::Expired)), "{expired:?}");
}

/// An issuer that answers as told; `{url}` stands for its address.
async fn issuer(document: Value, answer: impl Fn(&Url, &str) -> (u16, Value) + Send + Sync + 'static) -> Service {
    let document = document.to_string();
    // The nonce of the last sign-in, which an honest issuer repeats.
    let nonce = Mutex::new(String::new());
    Service::with(move |_, seen| {
        let url = Url::parse(&format!("http://{}/", seen.header("host"))).unwrap();
        let base = url.as_str().trim_end_matches('/');
        let (status, body) = match seen.uri.path() {
            "/.well-known/openid-configuration" => (200, document.replace("{url}", base)),
            "/auth" => {
                let asked = url.join(&seen.uri.to_string()).unwrap();
                *nonce.lock().unwrap() = parameter(&asked, "nonce");
                (200, "code".to_owned())
            }
            _ => {
                let (status, body) = answer(&url, &nonce.lock().unwrap());
                (status, body.to_string())
            }
        };
        Response::builder().status(status).body(Body::from(body)).unwrap()
    })
    .await
}

fn document() -> Value {
    json!({ "issuer": "{url}", "authorization_endpoint": "{url}/auth", "token_endpoint": "{url}/token" })
}

async fn by_hand(service: &Service) -> Result<IdentityToken, IdentityError> {
    OutOfBandFlow::new(party(service.url.as_str()), tester(Habit::SignIn) as _).token("sigstore").await
}

/// A token of another sign-in proves who was there, not who is here.
#[tokio::test]
async fn ghsa_hm8f_75xx_w2vr_tokens_of_another_sign_in_are_refused() {
    type Change = fn(&mut Value);
    type Expected = fn(&IdentityError) -> bool;
    let cases: [(Change, Expected); 7] = [
        (|claims| claims["nonce"] = "other".into(), |error| matches!(error, IdentityError::Token(TokenError::Nonce))),
        (|claims| claims["nonce"] = Value::Null, |error| matches!(error, IdentityError::Token(TokenError::Nonce))),
        (|claims| claims["nonce"] = 7.into(), |error| matches!(error, IdentityError::Token(TokenError::Claims))),
        (
            |claims| claims["aud"] = "npm".into(),
            |error| matches!(error, IdentityError::Token(TokenError::Audience { .. })),
        ),
        (|claims| claims["aud"] = Value::Null, |error| matches!(error, IdentityError::Token(_))),
        (|claims| claims["iss"] = "https://evil.test".into(), |error| matches!(error, IdentityError::Issuer { .. })),
        (|claims| claims["iss"] = Value::Null, |error| matches!(error, IdentityError::Token(TokenError::Claims))),
    ];
    let serve = |change: Change| {
        issuer(document(), move |url, nonce| {
            let iss = url.as_str().trim_end_matches('/');
            let mut claims =
                json!({ "iss": iss, "sub": "s", "aud": "sigstore", "exp": 4_000_000_000_u64, "nonce": nonce });
            change(&mut claims);
            (200, json!({ "id_token": token(&claims) }))
        })
    };
    by_hand(&serve(|_| {}).await).await.unwrap();
    for (number, (change, expected)) in cases.into_iter().enumerate() {
        let error = by_hand(&serve(change).await).await.unwrap_err();
        assert!(expected(&error), "case {number}: {error:?}");
        assert!(!format!("{error:?}").contains("eyJ"));
    }
}

#[tokio::test]
async fn token_answers_of_other_forms_are_refused() {
    for (status, body, expected) in [
        (200, json!({ "access_token": "secret" }), "Malformed"),
        (200, json!({ "id_token": "secret" }), "Token(Form"),
        (200, json!({ "id_token": "s".repeat(100_000) }), "Token(TooLong"),
        (200, json!({ "id_token": "s".repeat(600_000) }), "Transport(TooLarge"),
        (400, json!({ "error": "invalid_grant", "error_description": "code is old" }), "Refused"),
    ] {
        let service = issuer(document(), move |_, _| (status, body.clone())).await;
        let error = by_hand(&service).await.unwrap_err();
        let shown = format!("{error:?}");
        assert!(shown.starts_with(expected) && !shown.contains("secret"), "{shown}");
        // A code works once: it is not sent again.
        assert_eq!(service.seen().iter().filter(|seen| seen.uri.path() == "/token").count(), 1);
    }
}

/// Discovery that ends up at another issuer makes people sign in there.
#[tokio::test]
async fn cve_2026_49478_discovery_stays_with_the_issuer() {
    let with = |name: &str, value: &str| {
        let mut document = document();
        document[name] = value.into();
        document
    };
    for (document, expected) in [
        (with("issuer", "https://evil.test"), "Issuer"),
        (with("issuer", "{url}/other"), "Issuer"),
        (with("authorization_endpoint", "file:///etc/passwd"), "Endpoint"),
        (with("authorization_endpoint", "http://evil.test/"), "Endpoint"),
        (with("token_endpoint", "http://evil.test/"), "Endpoint"),
        (with("token_endpoint", "not an address"), "Endpoint"),
        (json!({ "issuer": "{url}" }), "Malformed"),
        (json!([]), "Malformed"),
    ] {
        let service = issuer(document.clone(), |_, _| (500, Value::Null)).await;
        let error = by_hand(&service).await.unwrap_err();
        assert!(format!("{error:?}").starts_with(expected), "{document}: {error:?}");
        assert_eq!(service.seen().len(), 1);
    }
    let elsewhere = sandbox();
    let target = format!("{}/.well-known/openid-configuration", elsewhere.urls().oidc);
    let service = Service::with(move |_, _| {
        Response::builder().status(302).header("location", &target).body(Body::empty()).unwrap()
    })
    .await;
    let error = by_hand(&service).await.unwrap_err();
    assert!(matches!(error, IdentityError::Transport(TransportError::Redirected { .. })), "{error:?}");
    assert!(elsewhere.requests().is_empty());
}

#[tokio::test]
async fn what_an_issuer_does_not_offer_is_named() {
    let service = issuer(document(), |_, _| (500, Value::Null)).await;
    let flow = DeviceFlow::new(party(service.url.as_str()), tester(Habit::SignIn) as _);
    let error = flow.token("sigstore").await.unwrap_err();
    assert!(matches!(error, IdentityError::Unsupported { flow: "device flow", .. }), "{error:?}");
    for text in ["", "idp.test", "http://idp.test"] {
        let error = BrowserFlow::new(party(text), tester(Habit::SignIn) as _).token("sigstore").await.unwrap_err();
        assert!(!error.may_pass(), "{text}: {error:?}");
    }
}
