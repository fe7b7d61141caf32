//! Access tokens for Google's registries: of a key file, of a workload identity, of the machine's service account.
//!
//! References: <https://google.aip.dev/auth/4110> and the numbers after it.

mod external;

use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use sealift_core::crypto::{KeyAlgorithm, KeyError, PrivateKey};
use serde::Deserialize;
use serde_json::json;

use external::ExternalAccount;

use super::sources::{CLOUDSDK_CONFIG, GCE_METADATA_HOST, GOOGLE_APPLICATION_CREDENTIALS};
use super::transport::{self, CloudProblem};
use super::{CloudFailure, Surroundings, of};
use crate::keychain::{Credential, Resolved};
use crate::redact::Secret;

const KEY_FILE: &str = "Google credentials file";
const GCLOUD: &str = "application default credentials of gcloud";
const METADATA: &str = "Google metadata server";

/// The user name that an access token goes with.
const TOKEN_USER: &str = "oauth2accesstoken";
/// What tokens are for; what they allow is set in the account's roles.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
/// How long a signed request for a token is valid, in seconds; the most that Google takes.
const ASSERTION_LIFETIME: i64 = 3600;
/// How long a token is used when its service does not say.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(15 * 60);
const METADATA_HOST: &str = "metadata.google.internal";
const METADATA_PATH: &str = "computeMetadata/v1/instance/service-accounts/default/token";

/// Asks for an access token.
pub(super) async fn resolve(around: &Surroundings) -> Result<Resolved, CloudFailure> {
    if let Some(path) = around.sources.value(GOOGLE_APPLICATION_CREDENTIALS) {
        let token = around.file_token(Path::new(path)).await.map_err(of(KEY_FILE))?;
        return Ok(token.into_resolved(KEY_FILE));
    }
    if let Some(path) = around.gcloud_file().filter(|path| path.is_file()) {
        let token = around.file_token(&path).await.map_err(of(GCLOUD))?;
        return Ok(token.into_resolved(GCLOUD));
    }
    let token = around.metadata_token().await.map_err(of(METADATA))?;
    Ok(token.map_or_else(Resolved::anonymous, |token| token.into_resolved(METADATA)))
}

/// An access token, as every service of Google's answers with it.
#[derive(Deserialize)]
struct AccessToken {
    access_token: Secret,
    /// Seconds.
    expires_in: Option<u64>,
}

impl AccessToken {
    fn into_resolved(self, origin: &'static str) -> Resolved {
        let credential = Credential::Basic { username: TOKEN_USER.to_owned(), password: self.access_token };
        let lifetime = self.expires_in.map_or(DEFAULT_LIFETIME, Duration::from_secs);
        Resolved::new(credential, origin).lasting(lifetime.mul_f32(0.9).min(Duration::from_secs(60 * 60)))
    }
}

/// The kinds of credentials files.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum CredentialsFile {
    AuthorizedUser(AuthorizedUser),
    ExternalAccount(ExternalAccount),
    ServiceAccount(ServiceAccount),
    #[serde(other)]
    Unknown,
}

/// What `gcloud auth application-default login` leaves.
#[derive(Deserialize)]
struct AuthorizedUser {
    client_id: String,
    client_secret: Secret,
    refresh_token: Secret,
    #[serde(default = "google_token_uri")]
    token_uri: String,
}

/// A key of a service account.
#[derive(Deserialize)]
struct ServiceAccount {
    client_email: String,
    private_key: Secret,
    private_key_id: Option<String>,
    #[serde(default = "google_token_uri")]
    token_uri: String,
}

fn google_token_uri() -> String {
    "https://oauth2.googleapis.com/token".to_owned()
}

impl Surroundings {
    fn gcloud_file(&self) -> Option<PathBuf> {
        let home = || Some(self.sources.home.as_ref()?.join(".config").join("gcloud"));
        let directory = self.sources.value(CLOUDSDK_CONFIG).map(PathBuf::from).or_else(home)?;
        Some(directory.join("application_default_credentials.json"))
    }

    async fn file_token(&self, path: &Path) -> Result<AccessToken, CloudProblem> {
        const FILE: &str = "the credentials file";
        let bytes = transport::read_file(path).await?;
        let file = serde_json::from_slice(&bytes).map_err(|_| CloudProblem::Setting {
            what: FILE,
            problem: "it is not JSON with the members of its type",
        })?;
        match file {
            CredentialsFile::AuthorizedUser(user) => self.user_token(&user).await,
            CredentialsFile::ExternalAccount(account) => self.external_token(&account).await,
            CredentialsFile::ServiceAccount(account) => self.service_account_token(&account).await,
            CredentialsFile::Unknown => {
                let problem = "it is neither a service account, nor an external account, nor an authorized user";
                Err(CloudProblem::Setting { what: FILE, problem })
            }
        }
    }

    async fn user_token(&self, user: &AuthorizedUser) -> Result<AccessToken, CloudProblem> {
        let form = [
            ("grant_type", "refresh_token"),
            ("client_id", &user.client_id),
            ("client_secret", user.client_secret.expose()),
            ("refresh_token", user.refresh_token.expose()),
        ];
        self.form_token(&user.token_uri, &form).await
    }

    /// Signs a request for a token with the account's key (RFC 7523).
    async fn service_account_token(&self, account: &ServiceAccount) -> Result<AccessToken, CloudProblem> {
        let now = (self.sources.clock)().as_second();
        let header = json!({ "alg": "RS256", "typ": "JWT", "kid": account.private_key_id });
        let claims = json!({
            "iss": account.client_email,
            "scope": SCOPE,
            "aud": account.token_uri,
            "iat": now,
            "exp": now + ASSERTION_LIFETIME,
        });
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let signed = format!("{}.{}", encode(header.to_string().as_bytes()), encode(claims.to_string().as_bytes()));
        let signature = rsa_signature(&account.private_key, signed.as_bytes())?;
        let assertion = Secret::from(format!("{signed}.{}", encode(&signature)));
        let form = [("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"), ("assertion", assertion.expose())];
        self.form_token(&account.token_uri, &form).await
    }

    async fn form_token(&self, uri: &str, form: &[(&str, &str)]) -> Result<AccessToken, CloudProblem> {
        let url = transport::service(uri, "`token_uri` of the credentials file")?;
        transport::send(self.http.public()?.post(url).form(form)).await?.json()
    }

    /// Asks the metadata server; only an answer that bears its mark is its.
    async fn metadata_token(&self) -> Result<Option<AccessToken>, CloudProblem> {
        const MARK: &str = "metadata-flavor";
        let host = self.sources.value(GCE_METADATA_HOST).unwrap_or(METADATA_HOST);
        let url = transport::metadata(&format!("http://{host}/{METADATA_PATH}"), GCE_METADATA_HOST)?;
        let answer = transport::probe(self.http.metadata()?.get(url).header(MARK, "Google")).await?;
        let is_google = |answer: &transport::Answer| answer.headers.get(MARK).is_some_and(|mark| mark == "Google");
        match answer.filter(is_google) {
            // No service account is attached to the machine.
            Some(answer) if answer.status == StatusCode::NOT_FOUND => Ok(None),
            Some(answer) => answer.json().map(Some),
            None => Ok(None),
        }
    }
}

fn rsa_signature(pem: &Secret, message: &[u8]) -> Result<Vec<u8>, CloudProblem> {
    let unusable = |problem| CloudProblem::Setting { what: "`private_key` of the credentials file", problem };
    let no_passphrase = || Err(KeyError::Unavailable { operation: "decrypt" });
    let key = PrivateKey::from_pem(pem.expose().as_bytes(), no_passphrase)
        .map_err(|_| unusable("it is not a PEM key without a passphrase"))?;
    match key.public_key().algorithm() {
        KeyAlgorithm::Rsa2048 | KeyAlgorithm::Rsa3072 | KeyAlgorithm::Rsa4096 => {}
        _ => return Err(unusable("it is not an RSA key")),
    }
    key.sign(message).map_err(|_| unusable("it does not sign"))
}
