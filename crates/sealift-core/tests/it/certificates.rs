//! Certificates in PEM: a chain is read whole or not at all.

use sealift_core::x509::{Certificate, CertificateError};

use crate::support::testdata;

#[test]
fn a_chain_is_read_in_order_with_text_between() {
    let [first, second] = ["first", "second"].map(pem);
    let chain = Certificate::chain_from_pem(&format!("the root:\n{first}\nthe other:\n{second}\n\n")).unwrap();
    let names: Vec<String> = chain.iter().map(Certificate::subject).collect();
    assert_eq!(names, ["CN=first", "CN=second"]);
}

#[test]
fn a_chain_that_cannot_be_read_whole_is_refused() {
    let [first, second] = ["first", "second"].map(pem);
    let whole = format!("{first}{second}");
    let header = first.replacen("-----\n", "-----\nProc-Type: 4,ENCRYPTED\n\n", 1);
    for (name, text) in [
        ("nothing", String::new()),
        ("no block", "certificate".to_owned()),
        ("a block without end", whole[..whole.len() - 30].to_owned()),
        ("a first block without end", whole.replacen("-----END CERTIFICATE-----\n", "", 1)),
        ("text behind", whole.clone() + "x"),
        ("another label", whole.replace("CERTIFICATE-----", "X509 CRL-----")),
        ("two labels", first.replace("END CERTIFICATE", "END X509 CRL")),
        ("a header", header),
        ("no base64", first.replacen("MII", "M*I", 1)),
    ] {
        assert_eq!(Certificate::chain_from_pem(&text).unwrap_err(), CertificateError::Pem, "{name}");
    }
    let cut = first.replacen("MII", "MIJ", 1);
    assert_eq!(Certificate::chain_from_pem(&cut).unwrap_err(), CertificateError::Malformed);
    let many = Certificate::chain_from_pem(&first.repeat(65)).unwrap_err();
    assert_eq!(many, CertificateError::TooMany { limit: 64 });
}

fn pem(name: &str) -> String {
    String::from_utf8(testdata(&format!("certificates/{name}.pem"))).unwrap()
}
