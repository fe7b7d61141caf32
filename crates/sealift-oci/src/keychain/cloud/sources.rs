//! What the search for a cloud's credentials starts from, as values.

use std::collections::BTreeMap;
use std::path::PathBuf;

use url::Url;

use crate::redact::Secret;

/// A variable by which a cloud tells its programs who they are.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct CloudVariable {
    /// Its name.
    pub name: &'static str,
    /// Whether its value may not be shown.
    pub is_secret: bool,
    /// What it is for.
    pub meaning: &'static str,
}

/// Every variable that is looked at. All but ghcr.io's are the names that the clouds' own programs read.
pub const CLOUD_VARIABLES: [CloudVariable; 29] = [
    secret(AWS_ACCESS_KEY_ID, "ECR: access key; with AWS_SECRET_ACCESS_KEY"),
    secret(AWS_SECRET_ACCESS_KEY, "ECR: secret key"),
    secret(AWS_SESSION_TOKEN, "ECR: session token of temporary keys"),
    public(AWS_WEB_IDENTITY_TOKEN_FILE, "ECR: file with a web identity token; with AWS_ROLE_ARN"),
    public(AWS_ROLE_ARN, "ECR: role assumed with the web identity token"),
    public(AWS_ROLE_SESSION_NAME, "ECR: name of that session"),
    public(AWS_CONTAINER_CREDENTIALS_RELATIVE_URI, "ECR: path of the container's role"),
    public(AWS_CONTAINER_CREDENTIALS_FULL_URI, "ECR: address of the container's role"),
    secret(AWS_CONTAINER_AUTHORIZATION_TOKEN, "ECR: token for that address"),
    public(AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE, "ECR: file with that token"),
    public(AWS_EC2_METADATA_DISABLED, "ECR: `true` asks no instance role"),
    public(AWS_EC2_METADATA_SERVICE_ENDPOINT, "ECR: address of the instance metadata service"),
    public(AWS_ENDPOINT_URL_ECR, "ECR: address of the service"),
    public(AWS_ENDPOINT_URL_ECR_PUBLIC, "ECR Public: address of the service"),
    public(AWS_ENDPOINT_URL_STS, "ECR: address of the security token service"),
    public(AZURE_TENANT_ID, "ACR: tenant of the service principal"),
    public(AZURE_CLIENT_ID, "ACR: service principal, or the managed identity among several"),
    secret(AZURE_CLIENT_SECRET, "ACR: secret of the service principal"),
    public(AZURE_FEDERATED_TOKEN_FILE, "ACR: file with a federated token of the service principal"),
    public(AZURE_AUTHORITY_HOST, "ACR: address of the identity service"),
    public(AZURE_POD_IDENTITY_AUTHORITY_HOST, "ACR: address of the instance metadata service"),
    public(IDENTITY_ENDPOINT, "ACR: address of the app's managed identity; with IDENTITY_HEADER"),
    secret(IDENTITY_HEADER, "ACR: token for that address"),
    public(GOOGLE_APPLICATION_CREDENTIALS, "Artifact Registry: key file or workload identity file"),
    public(CLOUDSDK_CONFIG, "Artifact Registry: directory of gcloud, by default ~/.config/gcloud"),
    public(GCE_METADATA_HOST, "Artifact Registry: host of the metadata server"),
    secret(GITHUB_TOKEN, "ghcr.io: token of the job; with GITHUB_ACTOR or GITHUB_ACTIONS"),
    public(GITHUB_ACTOR, "ghcr.io: user name for the token"),
    public(GITHUB_ACTIONS, "ghcr.io: set by GitHub in its jobs"),
];

pub(super) const AWS_ACCESS_KEY_ID: &str = "AWS_ACCESS_KEY_ID";
pub(super) const AWS_CONTAINER_AUTHORIZATION_TOKEN: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN";
pub(super) const AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE";
pub(super) const AWS_CONTAINER_CREDENTIALS_FULL_URI: &str = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
pub(super) const AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: &str = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI";
pub(super) const AWS_EC2_METADATA_DISABLED: &str = "AWS_EC2_METADATA_DISABLED";
pub(super) const AWS_EC2_METADATA_SERVICE_ENDPOINT: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT";
pub(super) const AWS_ENDPOINT_URL_ECR: &str = "AWS_ENDPOINT_URL_ECR";
pub(super) const AWS_ENDPOINT_URL_ECR_PUBLIC: &str = "AWS_ENDPOINT_URL_ECR_PUBLIC";
pub(super) const AWS_ENDPOINT_URL_STS: &str = "AWS_ENDPOINT_URL_STS";
pub(super) const AWS_ROLE_ARN: &str = "AWS_ROLE_ARN";
pub(super) const AWS_ROLE_SESSION_NAME: &str = "AWS_ROLE_SESSION_NAME";
pub(super) const AWS_SECRET_ACCESS_KEY: &str = "AWS_SECRET_ACCESS_KEY";
pub(super) const AWS_SESSION_TOKEN: &str = "AWS_SESSION_TOKEN";
pub(super) const AWS_WEB_IDENTITY_TOKEN_FILE: &str = "AWS_WEB_IDENTITY_TOKEN_FILE";
pub(super) const AZURE_AUTHORITY_HOST: &str = "AZURE_AUTHORITY_HOST";
pub(super) const AZURE_CLIENT_ID: &str = "AZURE_CLIENT_ID";
pub(super) const AZURE_CLIENT_SECRET: &str = "AZURE_CLIENT_SECRET";
pub(super) const AZURE_FEDERATED_TOKEN_FILE: &str = "AZURE_FEDERATED_TOKEN_FILE";
pub(super) const AZURE_POD_IDENTITY_AUTHORITY_HOST: &str = "AZURE_POD_IDENTITY_AUTHORITY_HOST";
pub(super) const AZURE_TENANT_ID: &str = "AZURE_TENANT_ID";
pub(super) const CLOUDSDK_CONFIG: &str = "CLOUDSDK_CONFIG";
pub(super) const GCE_METADATA_HOST: &str = "GCE_METADATA_HOST";
pub(super) const GITHUB_ACTIONS: &str = "GITHUB_ACTIONS";
pub(super) const GITHUB_ACTOR: &str = "GITHUB_ACTOR";
pub(super) const GITHUB_TOKEN: &str = "GITHUB_TOKEN";
pub(super) const GOOGLE_APPLICATION_CREDENTIALS: &str = "GOOGLE_APPLICATION_CREDENTIALS";
pub(super) const IDENTITY_ENDPOINT: &str = "IDENTITY_ENDPOINT";
pub(super) const IDENTITY_HEADER: &str = "IDENTITY_HEADER";

const fn public(name: &'static str, meaning: &'static str) -> CloudVariable {
    CloudVariable { name, is_secret: false, meaning }
}

const fn secret(name: &'static str, meaning: &'static str) -> CloudVariable {
    CloudVariable { name, is_secret: true, meaning }
}

/// The environment, the home directory and the clock, given by the caller.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CloudSources {
    values: BTreeMap<&'static str, Secret>,
    /// The home directory, where gcloud keeps its application default credentials.
    pub home: Option<PathBuf>,
    /// The present time, which signed requests carry.
    pub clock: fn() -> jiff::Timestamp,
    /// Where ACR registries exchange tokens, instead of at their own hosts.
    pub acr_origin: Option<Url>,
}

impl CloudSources {
    /// Returns sources with the values that `lookup` gives for [`CLOUD_VARIABLES`]; an empty value is none.
    pub fn new(lookup: impl Fn(&'static str) -> Option<String>, clock: fn() -> jiff::Timestamp) -> Self {
        let value = |name| lookup(name).filter(|value| !value.is_empty()).map(Secret::from);
        let values = CLOUD_VARIABLES.iter().filter_map(|variable| Some((variable.name, value(variable.name)?)));
        Self { values: values.collect(), home: None, clock, acr_origin: None }
    }

    /// Returns the value of a variable.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(Secret::expose)
    }

    /// Returns the value of a variable that is secret.
    pub(super) fn secret(&self, name: &str) -> Option<Secret> {
        self.values.get(name).cloned()
    }
}
