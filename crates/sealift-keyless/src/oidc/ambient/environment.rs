//! What the environment says about identities, as a value.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::secret::Secret;

/// The variables, files and programs that identities come from. Its `Debug` names the variables and shows none.
#[derive(Clone)]
pub struct Environment {
    variables: BTreeMap<&'static str, Secret>,
    token_file: PathBuf,
    product_name_file: PathBuf,
    circleci: Vec<String>,
}

impl Environment {
    /// Every variable that is read.
    pub const VARIABLES: [&'static str; 13] = [
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
        "ACTIONS_ID_TOKEN_REQUEST_URL",
        "BUILDKITE_AGENT_ACCESS_TOKEN",
        "BUILDKITE_AGENT_ENDPOINT",
        "BUILDKITE_JOB_ID",
        "CIRCLECI",
        "GCE_METADATA_HOST",
        "GITHUB_ACTIONS",
        "GITLAB_CI",
        "GOOGLE_IAM_CREDENTIALS_ENDPOINT",
        "GOOGLE_SERVICE_ACCOUNT_NAME",
        "SIGSTORE_ID_TOKEN",
        "SPIFFE_ENDPOINT_SOCKET",
    ];

    /// Takes what `variable` returns for each of [`Environment::VARIABLES`]; empty is not set.
    pub fn new(variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name| variable(name).filter(|value| !value.is_empty()).map(|value| (name, Secret::from(value)));
        Self {
            variables: Self::VARIABLES.into_iter().filter_map(set).collect(),
            token_file: PathBuf::from(TOKEN_FILE),
            product_name_file: PathBuf::from(PRODUCT_NAME_FILE),
            circleci: vec!["circleci".to_owned()],
        }
    }

    /// Sets the file that a token is kept fresh in; the default is where cosign looks,
    /// `/var/run/sigstore/cosign/oidc-token`.
    #[must_use]
    pub fn with_token_file(self, path: &Path) -> Self {
        Self { token_file: path.to_owned(), ..self }
    }

    /// Sets the file by whose content a machine of Google Cloud is known; the default is Linux's.
    #[must_use]
    pub fn with_product_name_file(self, path: &Path) -> Self {
        Self { product_name_file: path.to_owned(), ..self }
    }

    /// Sets the program that CircleCI's jobs ask for tokens, with its first arguments; the default is `circleci`.
    #[must_use]
    pub fn with_circleci(self, command: &[&str]) -> Self {
        Self { circleci: command.iter().map(|&word| word.to_owned()).collect(), ..self }
    }

    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(Secret::expose)
    }

    pub(super) fn secret(&self, name: &str) -> Option<Secret> {
        self.variables.get(name).cloned()
    }

    pub(super) fn is_true(&self, name: &str) -> bool {
        self.variable(name) == Some("true")
    }

    pub(super) fn token_file(&self) -> &Path {
        &self.token_file
    }

    pub(super) fn product_name_file(&self) -> &Path {
        &self.product_name_file
    }

    pub(super) fn circleci(&self) -> &[String] {
        &self.circleci
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.variables.keys().collect();
        f.debug_struct("Environment").field("variables", &names).finish_non_exhaustive()
    }
}

const TOKEN_FILE: &str = "/var/run/sigstore/cosign/oidc-token";
const PRODUCT_NAME_FILE: &str = "/sys/class/dmi/id/product_name";
