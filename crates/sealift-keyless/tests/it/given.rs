//! Tokens that are there already.

use std::path::Path;

use sealift_keyless::oidc::{GivenToken, IdentityError, IdentityProvider as _, TokenError};
use serde_json::json;

use crate::support::{sigstore_token, token};

#[tokio::test]
async fn an_argument_is_a_token_or_a_path() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, format!("{}\n", sigstore_token())).unwrap();
    for argument in [sigstore_token(), path.to_str().unwrap().to_owned()] {
        let given = GivenToken::from_argument(&argument);
        assert_eq!(given.token("sigstore").await.unwrap().expose(), sigstore_token());
        let error = given.token("npm").await.unwrap_err();
        assert!(matches!(error, IdentityError::Token(TokenError::Audience { .. })), "{error:?}");
        assert!(!format!("{given:?}").contains("eyJ"));
    }
}

#[tokio::test]
async fn a_file_is_read_each_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    let given = GivenToken::from_file(&path);
    let error = given.token("sigstore").await.unwrap_err();
    assert!(matches!(error, IdentityError::File { .. }), "{error:?}");
    for sub in ["one", "two"] {
        let text = token(&json!({ "iss": "i", "sub": sub, "aud": "sigstore", "exp": 1 }));
        std::fs::write(&path, text).unwrap();
        assert_eq!(given.token("sigstore").await.unwrap().proof_subject().unwrap(), sub);
    }
}

#[tokio::test]
async fn cve_2025_66506_texts_of_dots_are_no_tokens() {
    let error = GivenToken::from_text(&".".repeat(60_000)).token("sigstore").await.unwrap_err();
    assert!(matches!(error, IdentityError::Token(TokenError::Form)), "{error:?}");
}

#[tokio::test]
async fn endless_files_end() {
    let error = GivenToken::from_file(Path::new("/dev/zero")).token("sigstore").await.unwrap_err();
    assert!(matches!(error, IdentityError::Token(TokenError::TooLong { .. })), "{error:?}");
}
