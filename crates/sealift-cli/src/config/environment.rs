//! Every environment variable sealift reads: the only file with their names, besides the clouds' own in
//! [`CLOUD_VARIABLES`].
//!
//! Read once, at the start; everything below takes values.

use std::borrow::Cow;
use std::ffi::OsString;
use std::path::PathBuf;

use sealift_oci::keychain::{CLOUD_VARIABLES, CloudVariable};

/// Passphrase of the private key.
pub(crate) const SEALIFT_PASSWORD: &str = "SEALIFT_PASSWORD";
/// Passphrase of the private key, by cosign's name.
pub(crate) const COSIGN_PASSWORD: &str = "COSIGN_PASSWORD";
/// What `--verbose` shows, as a tracing filter.
pub(crate) const SEALIFT_LOG: &str = "SEALIFT_LOG";
/// The repository where signatures are kept, instead of the artifact's own.
pub(crate) const SEALIFT_SIGNATURE_REPOSITORY: &str = "SEALIFT_SIGNATURE_REPOSITORY";
/// The same, by cosign's name.
pub(crate) const COSIGN_REPOSITORY: &str = "COSIGN_REPOSITORY";
/// The configuration file, instead of the project's and the user's.
pub(crate) const SEALIFT_CONFIG: &str = "SEALIFT_CONFIG";
/// Whether clouds are asked for credentials for their own registries; `off` asks none.
pub(crate) const SEALIFT_CLOUD_CREDENTIALS: &str = "SEALIFT_CLOUD_CREDENTIALS";
/// Directory of docker's `config.json`.
pub(crate) const DOCKER_CONFIG: &str = "DOCKER_CONFIG";
/// Contents of a docker `config.json`.
pub(crate) const DOCKER_AUTH_CONFIG: &str = "DOCKER_AUTH_CONFIG";
/// Podman's `auth.json`.
pub(crate) const REGISTRY_AUTH_FILE: &str = "REGISTRY_AUTH_FILE";
/// Directory of configuration files.
pub(crate) const XDG_CONFIG_HOME: &str = "XDG_CONFIG_HOME";
/// Directory of podman's default `containers/auth.json`.
pub(crate) const XDG_RUNTIME_DIR: &str = "XDG_RUNTIME_DIR";
/// Home directory.
pub(crate) const HOME: &str = "HOME";
/// The key that cosign signs with, and verifies by.
pub(crate) const COSIGN_KEY: &str = "COSIGN_KEY";
/// Annotations that cosign demands.
pub(crate) const COSIGN_ANNOTATIONS: &str = "COSIGN_ANNOTATIONS";
/// What cosign demands of a certificate: `--certificate-github-workflow-name`.
pub(crate) const COSIGN_WORKFLOW_NAME: &str = "COSIGN_CERTIFICATE_GITHUB_WORKFLOW_NAME";
/// What cosign demands of a certificate: `--certificate-github-workflow-ref`.
pub(crate) const COSIGN_WORKFLOW_REF: &str = "COSIGN_CERTIFICATE_GITHUB_WORKFLOW_REF";
/// What cosign demands of a certificate: `--certificate-github-workflow-repository`.
pub(crate) const COSIGN_WORKFLOW_REPOSITORY: &str = "COSIGN_CERTIFICATE_GITHUB_WORKFLOW_REPOSITORY";
/// What cosign demands of a certificate: `--certificate-github-workflow-sha`.
pub(crate) const COSIGN_WORKFLOW_SHA: &str = "COSIGN_CERTIFICATE_GITHUB_WORKFLOW_SHA";
/// What cosign demands of a certificate: `--certificate-github-workflow-trigger`.
pub(crate) const COSIGN_WORKFLOW_TRIGGER: &str = "COSIGN_CERTIFICATE_GITHUB_WORKFLOW_TRIGGER";
/// Whether cosign logs signatures, which `--tlog-upload` answers.
pub(crate) const COSIGN_TLOG_UPLOAD: &str = "COSIGN_TLOG_UPLOAD";
/// Time to put into what is made, in seconds since 1970: makes output reproducible.
pub(crate) const SOURCE_DATE_EPOCH: &str = "SOURCE_DATE_EPOCH";

/// Sigstore installation that is meant where none is named.
pub(crate) const SEALIFT_INSTANCE: &str = "SEALIFT_INSTANCE";
/// Directory of what is kept from run to run.
pub(crate) const XDG_DATA_HOME: &str = "XDG_DATA_HOME";
/// Program that opens pages.
pub(crate) const BROWSER: &str = "BROWSER";

/// Where proxies are named, as the HTTP client reads them.
const PROXIES: [&str; 6] = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];

/// Whether a variable's value may be shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Exposure {
    Public,
    Secret,
}

/// Every variable but the clouds': its name, whether its value may be shown, and what it is for.
const VARIABLES: &[(&str, Exposure, &str)] = &[
    (SEALIFT_PASSWORD, Exposure::Secret, "passphrase of the private key"),
    (COSIGN_PASSWORD, Exposure::Secret, "passphrase of the private key, when SEALIFT_PASSWORD is not set"),
    (SEALIFT_LOG, Exposure::Public, "tracing filter for standard error, such as `sealift_oci=debug`"),
    (SEALIFT_SIGNATURE_REPOSITORY, Exposure::Public, "repository where signatures are kept"),
    (COSIGN_REPOSITORY, Exposure::Public, "the same, when SEALIFT_SIGNATURE_REPOSITORY is not set"),
    (SEALIFT_CONFIG, Exposure::Public, "configuration file, instead of .sealift.yaml and the user's"),
    (SEALIFT_CLOUD_CREDENTIALS, Exposure::Public, "`off` asks no cloud for credentials for its own registries"),
    (DOCKER_CONFIG, Exposure::Public, "directory of docker's config.json, by default ~/.docker"),
    (DOCKER_AUTH_CONFIG, Exposure::Secret, "contents of a docker config.json, read before the file"),
    (REGISTRY_AUTH_FILE, Exposure::Public, "podman's auth.json"),
    (XDG_CONFIG_HOME, Exposure::Public, "directory of the user's sealift/config.yaml, by default ~/.config"),
    (XDG_RUNTIME_DIR, Exposure::Public, "directory of podman's default containers/auth.json"),
    (HOME, Exposure::Public, "home directory"),
    (SOURCE_DATE_EPOCH, Exposure::Public, "creation time of what is made, in seconds since 1970"),
    (SEALIFT_INSTANCE, Exposure::Public, "Sigstore installation that is meant where none is named"),
    (XDG_DATA_HOME, Exposure::Public, "directory of what is kept, by default ~/.local/share"),
    (BROWSER, Exposure::Public, "program that opens pages when a person signs in"),
    ("SIGSTORE_ID_TOKEN", Exposure::Secret, "identity token to sign as"),
    ("ACTIONS_ID_TOKEN_REQUEST_URL", Exposure::Public, "where a job of GitHub Actions asks for its identity"),
    ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", Exposure::Secret, "what a job of GitHub Actions asks with"),
    ("GITLAB_CI", Exposure::Public, "says that this is a job of GitLab"),
    ("BUILDKITE_AGENT_ACCESS_TOKEN", Exposure::Secret, "what a job of Buildkite asks for its identity with"),
    ("BUILDKITE_AGENT_ENDPOINT", Exposure::Public, "where a job of Buildkite asks"),
    ("BUILDKITE_JOB_ID", Exposure::Public, "the job of Buildkite"),
    ("CIRCLECI", Exposure::Public, "says that this is a job of CircleCI"),
    ("GOOGLE_SERVICE_ACCOUNT_NAME", Exposure::Public, "service account of Google Cloud to sign as"),
    ("GOOGLE_IAM_CREDENTIALS_ENDPOINT", Exposure::Public, "where Google Cloud is asked to act as it"),
    ("SPIFFE_ENDPOINT_SOCKET", Exposure::Public, "where a SPIFFE agent says who a workload is"),
    ("HTTPS_PROXY", Exposure::Secret, "proxy for registries, also HTTP_PROXY and ALL_PROXY"),
    ("NO_PROXY", Exposure::Public, "hosts that are reached without the proxy"),
    ("NO_COLOR", Exposure::Public, "when set, no colour"),
    ("CLICOLOR_FORCE", Exposure::Public, "when set, colour even without a terminal"),
];

/// A variable that cosign reads and sealift does not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OtherVariable {
    pub(crate) name: &'static str,
    exposure: Exposure,
    pub(crate) effect: Effect,
    /// What says the same here.
    pub(crate) instead: &'static str,
    /// The values that ask for what is done in any case.
    usual: &'static [&'static str],
}

/// The value of [`COSIGN_TLOG_UPLOAD`] that is cosign's default, in every spelling that cosign reads.
const YES: &[&str] = &["true", "True", "TRUE", "t", "T", "1"];

/// What it changes for cosign.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Effect {
    /// Who vouches for signers: whoever sets it means another installation than the public-good one.
    Trust,
    /// With which services is signed, and what becomes public.
    Signing,
    /// Where trust roots are kept, which may be those of another installation.
    Cache,
    /// Who signs, or what is demanded of signatures: to leave it out would do something else, or accept more.
    Command,
    /// None of these.
    Other,
}

/// Instead of what says where an installation publishes whom to trust.
const INSTANCE_MADE_KNOWN: &str = "`sealift trust init --url URL --root FILE` once, then `--instance URL`";
/// Instead of the key of a log.
const KEYS_OF_LOGS: &str = "`--trusted-root FILE`, which holds the keys of logs";
/// Instead of what leads to a key on a hardware token.
const NO_TOKENS: &str = "keys on hardware tokens are not supported";

/// Every variable of cosign's that changes whom it trusts, and the others that people set.
const OTHERS: &[OtherVariable] = &[
    other(
        "SIGSTORE_ROOT_FILE",
        Effect::Trust,
        "`--ca-roots FILE`, or `--trusted-root FILE` for all of an installation",
    ),
    other("SIGSTORE_REKOR_PUBLIC_KEY", Effect::Trust, KEYS_OF_LOGS),
    other("SIGSTORE_CT_LOG_PUBLIC_KEY_FILE", Effect::Trust, KEYS_OF_LOGS),
    other("SIGSTORE_TSA_CERTIFICATE_FILE", Effect::Trust, OWN_AUTHORITY),
    other("TUF_MIRROR", Effect::Trust, INSTANCE_MADE_KNOWN).unless(&["https://tuf-repo-cdn.sigstore.dev"]),
    other("TUF_ROOT_JSON", Effect::Trust, INSTANCE_MADE_KNOWN),
    other("COSIGN_TRUSTED_ROOT", Effect::Trust, "`--trusted-root FILE`"),
    other("COSIGN_CA_ROOTS", Effect::Trust, "`--ca-roots FILE`"),
    other("COSIGN_CERTIFICATE_CHAIN", Effect::Trust, "`--certificate-chain FILE`"),
    other("COSIGN_TIMESTAMP_CERTIFICATE_CHAIN", Effect::Trust, OWN_AUTHORITY),
    other("COSIGN_SIGNING_CONFIG", Effect::Signing, "`--signing-config FILE`"),
    other("COSIGN_FULCIO_URL", Effect::Signing, "`--fulcio-url URL`").unless(&["https://fulcio.sigstore.dev"]),
    other("COSIGN_REKOR_URL", Effect::Signing, "`--rekor-url URL`").unless(&["https://rekor.sigstore.dev"]),
    other("COSIGN_TIMESTAMP_SERVER_URL", Effect::Signing, "`--timestamp-server-url URL`")
        .unless(&["https://timestamp.sigstore.dev/api/v1/timestamp"]),
    other(COSIGN_TLOG_UPLOAD, Effect::Signing, "`--tlog-upload=false`").unless(YES),
    OtherVariable {
        name: COSIGN_KEY,
        exposure: Exposure::Secret,
        effect: Effect::Command,
        instead: "`--key KEY`",
        usual: &[],
    },
    other(COSIGN_ANNOTATIONS, Effect::Command, "`--annotation KEY=VALUE`"),
    other(COSIGN_WORKFLOW_NAME, Effect::Command, "`--certificate-github-workflow-name VALUE`"),
    other(COSIGN_WORKFLOW_REF, Effect::Command, "`--certificate-github-workflow-ref VALUE`"),
    other(COSIGN_WORKFLOW_REPOSITORY, Effect::Command, "`--certificate-github-workflow-repository VALUE`"),
    other(COSIGN_WORKFLOW_SHA, Effect::Command, "`--certificate-github-workflow-sha VALUE`"),
    other(COSIGN_WORKFLOW_TRIGGER, Effect::Command, "`--certificate-github-workflow-trigger VALUE`"),
    other(
        "TUF_ROOT",
        Effect::Cache,
        "trust roots are kept in XDG_DATA_HOME; `sealift trust init` makes an installation of one's own known",
    ),
    other(
        "COSIGN_EXPERIMENTAL",
        Effect::Other,
        "nothing to say: what it once switched on is done where it is asked for",
    ),
    other("COSIGN_MAX_ATTACHMENT_SIZE", Effect::Other, "nothing to say: everything that is read is bounded"),
    other("COSIGN_DOCKER_MEDIA_TYPES", Effect::Other, "nothing to say: signatures have the media types of OCI"),
    other("COSIGN_PKCS11_MODULE_PATH", Effect::Other, NO_TOKENS),
    other("COSIGN_PKCS11_IGNORE_CERTIFICATE", Effect::Other, NO_TOKENS),
    OtherVariable {
        name: "COSIGN_PKCS11_PIN",
        exposure: Exposure::Secret,
        effect: Effect::Other,
        instead: NO_TOKENS,
        usual: &[],
    },
];

/// A timestamp authority beside an installation: alone it is one that issues no certificates.
const OWN_AUTHORITY: &str = "`--instance public-good --timestamp-certificate-chain FILE`";

const fn other(name: &'static str, effect: Effect, instead: &'static str) -> OtherVariable {
    OtherVariable { name, exposure: Exposure::Public, effect, instead, usual: &[] }
}

impl OtherVariable {
    /// Returns the same, but for values that ask for what is done in any case.
    const fn unless(self, usual: &'static [&'static str]) -> Self {
        Self { usual, ..self }
    }

    /// Says whether it is set, and asks for something else than what is done in any case.
    fn asks(&self) -> bool {
        let Some(value) = named(self.name).filter(|value| !value.is_empty()) else { return false };
        // What is not text is none of the usual values.
        !value.to_str().is_some_and(|text| self.usual.contains(&text.strip_suffix('/').unwrap_or(text)))
    }
}

/// Returns every variable of other tools that is not read, and of cosign's flags in variables those that are set: its
/// name, whether its value may be shown, and what says the same here.
pub(crate) fn unread() -> impl Iterator<Item = (Cow<'static, str>, Exposure, Cow<'static, str>)> {
    let others = OTHERS.iter().map(|other| (other.name.into(), other.exposure, other.instead.into()));
    let is_known = |name: &str| {
        OTHERS.iter().any(|other| other.name == name) || VARIABLES.iter().any(|(variable, ..)| *variable == name)
    };
    let mut flags = names();
    flags.retain(|name| name.starts_with("COSIGN_") && !is_known(name));
    flags.sort_unstable();
    others.chain(flags.into_iter().map(|name| {
        let flag = name["COSIGN_".len()..].to_ascii_lowercase().replace('_', "-");
        (name.into(), Exposure::Secret, format!("flags are not read from variables; give `--{flag}`").into())
    }))
}

/// Returns every variable that is read: its name, whether its value may be shown, and what it is for.
pub(crate) fn variables() -> impl Iterator<Item = (&'static str, Exposure, &'static str)> {
    let exposure = |is_secret| if is_secret { Exposure::Secret } else { Exposure::Public };
    let clouds = CLOUD_VARIABLES;
    let clouds = clouds
        .into_iter()
        .map(move |CloudVariable { name, is_secret, meaning, .. }| (name, exposure(is_secret), meaning));
    VARIABLES.iter().copied().chain(clouds)
}

/// The values, as found at the start.
#[derive(Clone, Default)]
pub(crate) struct Environment {
    pub(crate) browser: Option<String>,
    pub(crate) data_home: Option<PathBuf>,
    pub(crate) cloud_credentials: Option<String>,
    pub(crate) config: Option<PathBuf>,
    pub(crate) config_home: Option<PathBuf>,
    pub(crate) docker_auth_config: Option<String>,
    pub(crate) docker_config: Option<PathBuf>,
    pub(crate) home: Option<PathBuf>,
    pub(crate) instance: Option<String>,
    pub(crate) log: Option<String>,
    /// The variables of other tools that are set and not read, and ask for something else than what is done.
    pub(crate) others: Vec<OtherVariable>,
    /// The passphrase and the variable it is in.
    pub(crate) passphrase: Option<(&'static str, String)>,
    /// Addresses of proxies, with whatever secrets they carry.
    pub(crate) proxies: Vec<String>,
    pub(crate) registry_auth_file: Option<PathBuf>,
    /// The repository of signatures.
    pub(crate) signature_repository: Option<String>,
    pub(crate) runtime_directory: Option<PathBuf>,
    pub(crate) source_date_epoch: Option<String>,
}

impl Environment {
    /// Reads every variable.
    pub(crate) fn read() -> Self {
        let path = |name| named(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        // An empty passphrase is legal, so set-but-empty counts as set.
        let passphrase = [SEALIFT_PASSWORD, COSIGN_PASSWORD].into_iter().find_map(|name| Some((name, text(name)?)));
        Self {
            browser: text(BROWSER).filter(|program| !program.is_empty()),
            data_home: path(XDG_DATA_HOME),
            cloud_credentials: text(SEALIFT_CLOUD_CREDENTIALS),
            config: path(SEALIFT_CONFIG),
            config_home: path(XDG_CONFIG_HOME),
            docker_auth_config: text(DOCKER_AUTH_CONFIG),
            docker_config: path(DOCKER_CONFIG),
            home: path(HOME),
            instance: text(SEALIFT_INSTANCE).filter(|name| !name.is_empty()),
            log: text(SEALIFT_LOG),
            others: OTHERS.iter().filter(|other| other.asks()).copied().collect(),
            passphrase,
            proxies: PROXIES.into_iter().filter_map(text).collect(),
            registry_auth_file: path(REGISTRY_AUTH_FILE),
            signature_repository: [SEALIFT_SIGNATURE_REPOSITORY, COSIGN_REPOSITORY]
                .into_iter()
                .find_map(|name| text(name).filter(|value| !value.is_empty())),
            runtime_directory: path(XDG_RUNTIME_DIR),
            source_date_epoch: text(SOURCE_DATE_EPOCH),
        }
    }
}

impl Environment {
    /// Returns the directory of the user's configuration files.
    pub(crate) fn config_directory(&self) -> Option<PathBuf> {
        self.config_home.clone().or_else(|| Some(self.home.as_ref()?.join(".config")))
    }

    /// Returns where podman and docker have the certificates of single registries: the user's folders, then the system's.
    pub(crate) fn certificate_folders(&self) -> Vec<PathBuf> {
        let roots = self.config_directory().into_iter().chain([PathBuf::from("/etc")]);
        roots.flat_map(|root| ["containers", "docker"].map(|tool| root.join(tool).join("certs.d"))).collect()
    }
}

/// Returns the value of the variable a user named, as in `env://NAME`.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
pub(crate) fn named(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

/// Returns the names of all variables.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
fn names() -> Vec<String> {
    std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()).collect()
}

/// Returns the value of a variable for display; a secret's value is never returned.
pub(crate) fn shown(name: &str, exposure: Exposure) -> Option<String> {
    let value = named(name)?;
    Some(match exposure {
        Exposure::Public => value.to_string_lossy().into_owned(),
        Exposure::Secret => "(set)".to_owned(),
    })
}

/// Returns the value of a variable that a cloud sets.
pub(crate) fn of_cloud(name: &'static str) -> Option<String> {
    text(name)
}

fn text(name: &str) -> Option<String> {
    named(name)?.into_string().ok()
}

#[cfg(test)]
mod tests {
    use sealift_keyless::oidc::ambient;

    use super::*;

    #[test]
    fn every_variable_that_identities_come_from_is_in_the_list() {
        for name in ambient::Environment::VARIABLES {
            assert!(variables().any(|(listed, ..)| listed == name), "{name}");
        }
    }

    #[test]
    fn the_usual_mirror_is_that_of_the_installation_that_is_meant() {
        let mirror = OTHERS.iter().find(|other| other.name == "TUF_MIRROR").unwrap();
        assert_eq!(mirror.usual, [sealift_keyless::trust::public_good().url()]);
    }
}
