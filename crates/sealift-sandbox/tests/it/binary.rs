//! The program: what it prints, how it ends, what it logs.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

fn sandbox(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sealift-sandbox"));
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn lines(child: &mut Child, count: usize) -> Vec<String> {
    BufReader::new(child.stdout.take().unwrap()).lines().take(count).map(Result::unwrap).collect()
}

#[tokio::test]
async fn up_runs_two_registries_until_standard_input_closes() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let storage = folder.path().join("data");
    let arguments = ["up", "--until-stdin-closes", "--no-referrers-api", "--auth", "basic:anna:secret"];
    let mut child = sandbox(&arguments).arg("--storage").arg(&storage).arg("--log").arg(&log).spawn().unwrap();
    let lines = lines(&mut child, 2);
    for (line, name) in lines.iter().zip(["staging", "prod"]) {
        let host = line.strip_prefix(&format!("{name}=")).unwrap();
        let ping = reqwest::Client::builder().no_proxy().build().unwrap().get(format!("http://{host}/v2/"));
        assert_eq!(ping.try_clone().unwrap().send().await.unwrap().status(), 401);
        assert_eq!(ping.basic_auth("anna", Some("secret")).send().await.unwrap().status(), 200);
        assert!(storage.join(name).join("blobs").is_dir());
    }
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
    let log = std::fs::read_to_string(log).unwrap();
    let logged: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let seen: Vec<_> = logged
        .iter()
        .map(|entry| (entry["registry"].as_str().unwrap(), entry["request"]["status"].as_u64().unwrap()))
        .collect();
    assert_eq!(seen, [("staging", 401), ("staging", 200), ("prod", 401), ("prod", 200)]);
    assert!(!log.contains("secret"));
}

#[tokio::test]
async fn up_runs_a_sigstore_and_writes_its_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("sigstore");
    let arguments = ["up", "--until-stdin-closes", "--identity", "workflow:acme/app", "--sigstore"];
    let mut child = sandbox(&arguments).arg(&config).spawn().unwrap();
    let lines = lines(&mut child, 22);
    let value = |name: &str| lines.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).unwrap();
    let discovery = format!("{}/actions/.well-known/openid-configuration", value("oidc"));
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    assert_eq!(client.get(discovery).send().await.unwrap().status(), 200);
    let root: Value = serde_json::from_slice(&std::fs::read(value("trusted-root")).unwrap()).unwrap();
    assert_eq!(root["certificateAuthorities"][0]["uri"], value("fulcio"));
    assert_eq!(std::fs::read_to_string(value("token")).unwrap().split('.').count(), 3);
    assert!(lines[19].starts_with("# A sandbox: "));
    assert!(lines[21].contains("/acme/app/.github/workflows/release.yml@refs/heads/main"));
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_taken_address_is_an_error() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = sandbox(&["registry", "--listen", &address]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().starts_with(&format!("error: cannot listen on {address}: ")));
}
