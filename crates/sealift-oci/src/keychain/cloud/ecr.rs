//! Passwords for Amazon ECR: `GetAuthorizationToken`, which gives the same that `aws ecr get-login-password` prints.
//!
//! Reference: <https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_GetAuthorizationToken.html>.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sealift_core::oci::RegistryHost;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::aws::{AwsIdentity, time_left};
use super::host::{EcrEndpoint, EcrRegistry};
use super::sigv4::{SigningScope, authorization};
use super::sources::{AWS_ENDPOINT_URL_ECR, AWS_ENDPOINT_URL_ECR_PUBLIC};
use super::transport::{self, CloudProblem};
use super::{CloudFailure, Surroundings, of};
use crate::keychain::{Credential, Resolved};
use crate::redact::Secret;

/// How long a password is used at most; ECR's last twelve hours.
const MAX_LIFETIME: Duration = Duration::from_secs(11 * 60 * 60);
/// Public ECR has one region.
const PUBLIC_REGION: &str = "us-east-1";

/// How to ask one of the two services.
struct Api<'a> {
    address: String,
    variable: &'static str,
    region: &'a str,
    service: &'static str,
    target: &'static str,
}

/// Asks for a password for the private registry of `registry`'s region.
pub(super) async fn resolve(registry: &EcrRegistry, around: &Surroundings) -> Result<Resolved, CloudFailure> {
    let EcrRegistry { region, domain, endpoint } = registry;
    let service = match endpoint {
        EcrEndpoint::Fips => "ecr-fips",
        EcrEndpoint::Usual => "api.ecr",
    };
    let api = Api {
        address: format!("https://{service}.{region}.{domain}/"),
        variable: AWS_ENDPOINT_URL_ECR,
        region,
        service: "ecr",
        target: "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken",
    };
    let Some(identity) = around.aws_identity(&format!("https://sts.{region}.{domain}/")).await? else {
        return Ok(Resolved::anonymous());
    };
    around.ecr_password(&api, &identity).await.map_err(of(identity.origin))
}

/// Asks for a password for public.ecr.aws. Everyone may read there, so an identity that is refused one is only worth a
/// warning.
pub(super) async fn resolve_public(host: &RegistryHost, around: &Surroundings) -> Result<Resolved, CloudFailure> {
    let api = Api {
        address: format!("https://api.ecr-public.{PUBLIC_REGION}.amazonaws.com/"),
        variable: AWS_ENDPOINT_URL_ECR_PUBLIC,
        region: PUBLIC_REGION,
        service: "ecr-public",
        target: "SpencerFrontendService.GetAuthorizationToken",
    };
    let found = async {
        let sts = format!("https://sts.{PUBLIC_REGION}.amazonaws.com/");
        let Some(identity) = around.aws_identity(&sts).await? else { return Ok(Resolved::anonymous()) };
        around.ecr_password(&api, &identity).await.map_err(of(identity.origin))
    };
    found.await.or_else(|failure: CloudFailure| failure.or_anonymous(host))
}

impl Surroundings {
    async fn ecr_password(&self, api: &Api<'_>, identity: &AwsIdentity) -> Result<Resolved, CloudProblem> {
        const BODY: &str = "{}";
        let url = transport::service(self.sources.value(api.variable).unwrap_or(&api.address), api.variable)?;
        let now = (self.sources.clock)();
        let scope = SigningScope { region: api.region, service: api.service, time: now };
        let host = url[url::Position::BeforeHost..url::Position::AfterPort].to_owned();
        let mut headers = BTreeMap::from([
            ("content-type", "application/x-amz-json-1.1".to_owned()),
            ("host", host),
            ("x-amz-date", scope.date_time()),
            ("x-amz-target", api.target.to_owned()),
        ]);
        if let Some(token) = &identity.keys.session_token {
            headers.insert("x-amz-security-token", token.expose().to_owned());
        }
        let signature = authorization(&identity.keys, scope, "POST", &url, &headers, BODY.as_bytes());
        let request = self.http.public()?.post(url).header(http::header::AUTHORIZATION, signature).body(BODY);
        let request = headers
            .iter()
            .filter(|(name, _)| **name != "host")
            .fold(request, |request, (name, value)| request.header(*name, value));
        let answer = transport::send(request).await?;
        let malformed = answer.malformed("no password");
        let Answer { authorization_data } = answer.json()?;
        let data = match authorization_data {
            OneOrMany::Many(list) => list.into_iter().next(),
            OneOrMany::One(data) => Some(data),
        };
        let Authorization { authorization_token, expires_at } = data.ok_or(malformed)?;
        let credential = decode(&authorization_token)
            .ok_or(CloudProblem::Malformed { endpoint: api.service.to_owned(), what: "a password that is not one" })?;
        let lifetime = time_left(expires_at, now).mul_f32(0.9).min(MAX_LIFETIME);
        Ok(Resolved::new(credential, identity.origin).lasting(lifetime))
    }
}

/// Reads the base64 of `AWS:password`.
fn decode(token: &Secret) -> Option<Credential> {
    let bytes = Zeroizing::new(STANDARD.decode(token.expose()).ok()?);
    let (username, password) = std::str::from_utf8(&bytes).ok()?.split_once(':')?;
    Some(Credential::Basic { username: username.to_owned(), password: Secret::from(password) })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    authorization_data: OneOrMany,
}

/// The private service answers with a list, the public one without.
#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    Many(Vec<Authorization>),
    One(Authorization),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Authorization {
    authorization_token: Secret,
    /// Seconds since 1970.
    expires_at: f64,
}
