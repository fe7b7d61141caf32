//! Who this process is to AWS: keys in the environment, or a role lent by where it runs.
//!
//! Order and variables are those of AWS's own programs; profiles in files are not read.

use std::path::Path;

use http::StatusCode;
use http::header::AUTHORIZATION;
use jiff::Timestamp;
use serde::Deserialize;
use url::Url;

use super::sigv4::AwsKeys;
use super::sources::{
    AWS_ACCESS_KEY_ID, AWS_CONTAINER_AUTHORIZATION_TOKEN, AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE,
    AWS_CONTAINER_CREDENTIALS_FULL_URI, AWS_CONTAINER_CREDENTIALS_RELATIVE_URI, AWS_EC2_METADATA_DISABLED,
    AWS_EC2_METADATA_SERVICE_ENDPOINT, AWS_ENDPOINT_URL_STS, AWS_ROLE_ARN, AWS_ROLE_SESSION_NAME,
    AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_WEB_IDENTITY_TOKEN_FILE,
};
use super::transport::{self, Answer, CloudProblem, NO_IDENTITY};
use super::{CloudFailure, Surroundings, of};
use crate::redact::Secret;

const ENVIRONMENT: &str = "AWS keys in the environment";
const WEB_IDENTITY: &str = "AWS role by web identity";
const CONTAINER: &str = "AWS role of the container";
const INSTANCE: &str = "AWS role of the instance";

/// Where ECS serves the roles of containers.
const CONTAINER_HOST: &str = "http://169.254.170.2";
/// Where EC2 serves its metadata.
const INSTANCE_HOST: &str = "http://169.254.169.254";
/// How long a session with the instance's metadata may last, in seconds.
const INSTANCE_SESSION: &str = "300";

/// Keys, and where they came from.
#[derive(Debug)]
pub(super) struct AwsIdentity {
    pub(super) keys: AwsKeys,
    pub(super) origin: &'static str,
}

impl Surroundings {
    /// Returns who this process is to AWS, or `None` when nothing says.
    ///
    /// `sts` is where roles are assumed, unless the environment says otherwise.
    pub(super) async fn aws_identity(&self, sts: &str) -> Result<Option<AwsIdentity>, CloudFailure> {
        if let Some(keys) = self.environment_keys().map_err(of(ENVIRONMENT))? {
            return Ok(Some(AwsIdentity { keys, origin: ENVIRONMENT }));
        }
        let given = |origin| move |keys| AwsIdentity { keys, origin };
        if let Some(keys) = self.web_identity_keys(sts).await.map_err(of(WEB_IDENTITY))? {
            return Ok(Some(given(WEB_IDENTITY)(keys)));
        }
        if let Some(keys) = self.container_keys().await.map_err(of(CONTAINER))? {
            return Ok(Some(given(CONTAINER)(keys)));
        }
        Ok(self.instance_keys().await.map_err(of(INSTANCE))?.map(given(INSTANCE)))
    }

    fn environment_keys(&self) -> Result<Option<AwsKeys>, CloudProblem> {
        let sources = &self.sources;
        let half = |what| CloudProblem::Setting { what, problem: "it is set without its other half" };
        match (sources.value(AWS_ACCESS_KEY_ID), sources.secret(AWS_SECRET_ACCESS_KEY)) {
            (None, None) => Ok(None),
            (Some(_), None) => Err(half(AWS_ACCESS_KEY_ID)),
            (None, Some(_)) => Err(half(AWS_SECRET_ACCESS_KEY)),
            (Some(access_key), Some(secret_key)) => Ok(Some(AwsKeys {
                access_key: access_key.to_owned(),
                secret_key,
                session_token: sources.secret(AWS_SESSION_TOKEN),
            })),
        }
    }

    /// Assumes a role with a token that somebody else vouches for, as in EKS and in CI.
    async fn web_identity_keys(&self, sts: &str) -> Result<Option<AwsKeys>, CloudProblem> {
        let sources = &self.sources;
        let Some(file) = sources.value(AWS_WEB_IDENTITY_TOKEN_FILE) else { return Ok(None) };
        let missing = CloudProblem::Setting { what: AWS_ROLE_ARN, problem: "it is not set" };
        let role = sources.value(AWS_ROLE_ARN).ok_or(missing)?;
        let token = transport::read_token(Path::new(file)).await?;
        let url = transport::service(sources.value(AWS_ENDPOINT_URL_STS).unwrap_or(sts), AWS_ENDPOINT_URL_STS)?;
        let form = [
            ("Action", "AssumeRoleWithWebIdentity"),
            ("Version", "2011-06-15"),
            ("RoleArn", role),
            ("RoleSessionName", sources.value(AWS_ROLE_SESSION_NAME).unwrap_or("sealift")),
            ("WebIdentityToken", token.expose()),
        ];
        let answer = transport::send(self.http.public()?.post(url).form(&form)).await?;
        parse_assumed(answer).map(Some)
    }

    /// Asks for the role of an ECS task or an EKS pod.
    async fn container_keys(&self) -> Result<Option<AwsKeys>, CloudProblem> {
        let sources = &self.sources;
        let url = match (
            sources.value(AWS_CONTAINER_CREDENTIALS_RELATIVE_URI),
            sources.value(AWS_CONTAINER_CREDENTIALS_FULL_URI),
        ) {
            (Some(path), _) => {
                transport::metadata(&format!("{CONTAINER_HOST}{path}"), AWS_CONTAINER_CREDENTIALS_RELATIVE_URI)?
            }
            (None, Some(url)) => transport::metadata(url, AWS_CONTAINER_CREDENTIALS_FULL_URI)?,
            (None, None) => return Ok(None),
        };
        let mut request = self.http.metadata()?.get(url);
        if let Some(path) = sources.value(AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE) {
            request = request.header(AUTHORIZATION, transport::read_token(Path::new(path)).await?.expose());
        } else if let Some(token) = sources.value(AWS_CONTAINER_AUTHORIZATION_TOKEN) {
            request = request.header(AUTHORIZATION, token);
        }
        let keys: RoleKeys = transport::send(request).await?.json()?;
        Ok(Some(keys.into_keys()))
    }

    /// Asks the instance's metadata (IMDSv2): first for a session, which an open proxy cannot get, then for the role.
    async fn instance_keys(&self) -> Result<Option<AwsKeys>, CloudProblem> {
        let sources = &self.sources;
        if sources.value(AWS_EC2_METADATA_DISABLED).is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return Ok(None);
        }
        let host = sources.value(AWS_EC2_METADATA_SERVICE_ENDPOINT).unwrap_or(INSTANCE_HOST);
        let base = transport::metadata(host, AWS_EC2_METADATA_SERVICE_ENDPOINT)?;
        let at = |path: &str| -> Url {
            let mut url = base.clone();
            url.set_path(path);
            url
        };
        let client = self.http.metadata()?;
        let session =
            client.put(at("/latest/api/token")).header("x-aws-ec2-metadata-token-ttl-seconds", INSTANCE_SESSION);
        let Some(session) = transport::probe(session).await? else { return Ok(None) };
        let Some(session) = found_unless(session, &NO_IDENTITY)? else { return Ok(None) };
        let session = Secret::from(String::from_utf8_lossy(&session.body).trim());
        let ask = |path: &str| client.get(at(path)).header("x-aws-ec2-metadata-token", session.expose());
        // Who gave a session is asked nothing that it could misunderstand.
        let Some(roles) = found_unless(transport::send(ask(ROLES_PATH)).await?, &[StatusCode::NOT_FOUND])? else {
            return Ok(None);
        };
        let text = String::from_utf8_lossy(&roles.body);
        let Some(role) = text.lines().next().map(str::trim).filter(|role| !role.is_empty()) else { return Ok(None) };
        let keys: RoleKeys = transport::send(ask(&format!("{ROLES_PATH}{role}"))).await?.json()?;
        Ok(Some(keys.into_keys()))
    }
}

const ROLES_PATH: &str = "/latest/meta-data/iam/security-credentials/";

/// Returns a success, or `None` where the status is one that means `absent`; every other is an error.
fn found_unless(answer: Answer, absent: &[StatusCode]) -> Result<Option<Answer>, CloudProblem> {
    if absent.contains(&answer.status) { Ok(None) } else { answer.success().map(Some) }
}

/// What a role's temporary keys look like in the container's and the instance's answers.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RoleKeys {
    access_key_id: String,
    secret_access_key: Secret,
    token: Option<Secret>,
}

impl RoleKeys {
    fn into_keys(self) -> AwsKeys {
        AwsKeys { access_key: self.access_key_id, secret_key: self.secret_access_key, session_token: self.token }
    }
}

/// Reads the XML of the security token service: the elements wanted hold plain text without entities.
fn parse_assumed(answer: Answer) -> Result<AwsKeys, CloudProblem> {
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    if !answer.status.is_success() {
        let problem = answer.success().err();
        return Err(match (problem, element(&text, "Message")) {
            (Some(CloudProblem::Answered { endpoint, status, .. }), Some(message)) => {
                let message = sealift_core::repository::foreign_text(message);
                CloudProblem::Answered { endpoint, status, message }
            }
            (problem, _) => problem.unwrap_or(CloudProblem::Unsendable),
        });
    }
    let keys = element(&text, "AccessKeyId").zip(element(&text, "SecretAccessKey")).zip(element(&text, "SessionToken"));
    let ((access_key, secret_key), token) = keys.ok_or_else(|| answer.malformed("no keys"))?;
    Ok(AwsKeys {
        access_key: access_key.to_owned(),
        secret_key: Secret::from(secret_key),
        session_token: Some(Secret::from(token)),
    })
}

fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    rest.split_once(&format!("</{name}>")).map(|(text, _)| text.trim())
}

/// Returns the time between two moments that is left, or none.
pub(super) fn time_left(until: f64, now: Timestamp) -> std::time::Duration {
    let left = until - now.as_duration().as_secs_f64();
    std::time::Duration::try_from_secs_f64(left.max(0.0)).unwrap_or_default()
}
