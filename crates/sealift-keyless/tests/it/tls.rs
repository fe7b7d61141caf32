//! Who is believed to be a service: TLS with authorities of the caller's.

use sealift_keyless::transport::{Request, TransportError};
use sealift_sandbox::tls::{TlsServer, authority, other_authority};
use url::Url;

use crate::support::{Service, transport_with};

fn url(server: &TlsServer) -> Url {
    Url::parse(&format!("https://{}/", server.host())).unwrap()
}

#[tokio::test]
async fn services_are_believed_by_the_authorities_given() {
    let server = TlsServer::start(Some("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi".to_owned())).await.unwrap();
    let request = Request::get(url(&server));
    let with = |authorities| transport_with(|options| options.authorities = authorities);
    let answer = with(vec![other_authority(), authority()]).send(&request).await.unwrap();
    assert_eq!(answer.body().as_ref(), b"hi");
    for authorities in [vec![], vec![other_authority()]] {
        let before = server.connections();
        let error = with(authorities).send(&request).await.unwrap_err();
        assert!(matches!(error, TransportError::Connection { .. }) && !error.may_pass(), "{error:?}");
        assert_eq!(server.connections(), before + 1, "a certificate that is refused stays refused");
    }
}

#[tokio::test]
async fn a_service_over_tls_redirects_to_none_without() {
    let plain = Service::answering(["stolen"]).await;
    let redirect = format!("HTTP/1.1 302 Found\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n", plain.url);
    let server = TlsServer::start(Some(redirect)).await.unwrap();
    let client = transport_with(|options| options.authorities = vec![authority()]);
    let error = client.send(&Request::get(url(&server))).await.unwrap_err();
    assert!(matches!(error, TransportError::Redirected { .. }), "{error:?}");
    assert!(plain.seen().is_empty());
}
