//! Credential helpers, as programs on the path.

#![cfg(unix)]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use sealift_core::oci::RegistryHost;
use sealift_oci::keychain::{
    Credential, CredentialStore, DockerConfigKeychain, Keychain, KeychainError, KeychainSources, Resource, Stored,
};

/// Set in the second process, which has the helpers on its path.
const HELPERS: &str = "SEALIFT_TEST_HELPERS";
/// Keeps what it is given in files, and fails for some servers.
const PROGRAM: &str = r#"#!/bin/sh
dir=$SEALIFT_TEST_HELPERS
input=$(cat)
case "$1 $input" in
    "get broken.test") echo "the keychain is locked"; exit 1 ;;
    "get garbage.test") echo "{" ;;
    "get endless.test") yes ;;
    "get token.test") echo '{"ServerURL":"token.test","Username":"<token>","Secret":"refresh"}' ;;
    "get "*)
        if [ -f "$dir/stored" ] && grep -q "\"$input\"" "$dir/stored"; then cat "$dir/stored"
        else echo "credentials not found in native keychain"; exit 1; fi ;;
    "store "*) printf %s "$input" > "$dir/stored" ;;
    "erase "*) rm -f "$dir/stored" ;;
esac
"#;

/// Runs one test of this binary again, in a process whose path has the helper.
#[expect(clippy::disallowed_methods, reason = "the other process finds programs where this one does")]
fn run_with_helpers(test: &str) {
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("docker-credential-fake");
    std::fs::write(&program, PROGRAM).unwrap();
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
    let mut path = directory.path().as_os_str().to_owned();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]).env("PATH", path).env(HELPERS, directory.path());
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

fn host(text: &str) -> RegistryHost {
    text.parse().unwrap()
}

fn sources(directory: &Path, config: &str) -> KeychainSources {
    std::fs::write(directory.join("config.json"), config).unwrap();
    KeychainSources { docker_config: Some(directory.to_owned()), ..KeychainSources::default() }
}

async fn ask(keychain: &DockerConfigKeychain, server: &str) -> Result<Credential, KeychainError> {
    let resource = Resource { host: host(server), path: Some("team/app".to_owned()) };
    keychain.resolve(&resource).await.map(|found| found.credential().clone())
}

#[expect(clippy::disallowed_methods, reason = "how the test tells its other process apart")]
#[tokio::test]
async fn helpers_are_asked_and_keep_logins() {
    let Some(directory) = std::env::var_os(HELPERS) else {
        return run_with_helpers("keychain::helpers_are_asked_and_keep_logins");
    };
    let sources = sources(Path::new(&directory), r#"{"credsStore":"fake","auths":{"file.test":{"auth":"dTpw"}}}"#);
    let keychain = DockerConfigKeychain::new(sources.clone());
    assert_eq!(ask(&keychain, "nobody.test").await.unwrap(), Credential::Anonymous);
    assert_eq!(ask(&keychain, "file.test").await.unwrap(), Credential::from_pair("u", "p"));
    assert_eq!(ask(&keychain, "token.test").await.unwrap(), Credential::IdentityToken("refresh".into()));
    for (server, expected) in [("broken.test", "locked"), ("garbage.test", "not JSON"), ("endless.test", "too long")] {
        let failed = ask(&keychain, server).await.unwrap_err();
        assert!(failed.to_string().contains(expected), "{server}: {failed}");
    }

    let store = CredentialStore::new(&sources).unwrap();
    let (server, credential) = (host("docker.io"), Credential::from_pair("user", "a:b\"c"));
    let helper = Stored::Helper("docker-credential-fake".to_owned());
    assert_eq!(store.store(&server, &credential).await.unwrap(), helper);
    let later = || DockerConfigKeychain::new(sources.clone());
    assert_eq!(ask(&later(), "docker.io").await.unwrap(), credential);
    assert_eq!(store.erase(&server).await.unwrap(), Some(helper));
    assert_eq!(ask(&later(), "docker.io").await.unwrap(), Credential::Anonymous);
}

#[tokio::test]
async fn a_helper_for_one_host_must_be_there_and_a_store_for_all_need_not() {
    let directory = tempfile::tempdir().unwrap();
    let config = r#"{"credHelpers":{"a.test":"sealift-is-not-installed"},"credsStore":"sealift-is-not-installed"}"#;
    let keychain = DockerConfigKeychain::new(sources(directory.path(), config));
    assert!(matches!(ask(&keychain, "a.test").await, Err(KeychainError::Helper { .. })));
    assert_eq!(ask(&keychain, "b.test").await.unwrap(), Credential::Anonymous);
}
