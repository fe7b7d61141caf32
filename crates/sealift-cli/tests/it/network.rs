//! How requests reach registries: proxies, and the credentials that go along.

use sealift_sandbox::fixture;
use sealift_sandbox::registry::{Auth, RegistryOptions, TokenAuth};
use sealift_sandbox::sigstore::LoopbackAuthority;

use crate::support::{Outcome, User, registry};

const VERIFY: [&str; 6] = ["verify", "--key", "sealift.pub", "--timeout", "1s", "--plain-http"];

fn run_with(user: &User, args: &[&str], variables: &[(&str, &str)]) -> Outcome {
    let mut command = user.command(env!("CARGO_BIN_EXE_sealift"));
    user.run_command(command.args(args).envs(variables.iter().copied()))
}

#[test]
fn a_github_job_reads_ghcr_with_its_token_through_a_proxy() {
    // The sandbox is the proxy: whatever host is named, it answers.
    let registry = registry(RegistryOptions::default().with_auth(Auth::token("octocat", "ghs_job")));
    let proxy = format!("http://{}", registry.host());
    let user = User::with_key();
    let job = [("HTTP_PROXY", proxy.as_str()), ("GITHUB_ACTOR", "octocat"), ("GITHUB_TOKEN", "ghs_job")];
    let image = "ghcr.io/team/app:v1";
    let sign = ["sign", "--key", "sealift.key", "--plain-http", "ghcr.io", image];
    run_with(&user, &sign, &job).assert_code(0);
    let verify = [&VERIFY[..], &["ghcr.io", image]].concat();
    run_with(&user, &verify, &job).assert_code(0);
    let off = [&job[..], &[("SEALIFT_CLOUD_CREDENTIALS", "off")]].concat();
    run_with(&user, &verify, &off).assert_code(21);
    let elsewhere = [&VERIFY[..], &["reg.test", "reg.test/team/app:v1"]].concat();
    run_with(&user, &elsewhere, &job).assert_code(21);
    // A login comes first.
    let config = r#"{"auths":{"ghcr.io":{"username":"octocat","password":"wrong"}}}"#;
    run_with(&user, &verify, &[&job[..], &[("DOCKER_AUTH_CONFIG", config)]].concat()).assert_code(21);
    let shown = run_with(&user, &["env"], &job).assert_code(0).assert_stdout("GITHUB_TOKEN=(set)");
    assert!(!shown.stdout.contains("ghs_job"));
}

#[test]
fn docker_hub_is_one_registry_under_every_name() {
    let registry = registry(RegistryOptions::default().with_auth(Auth::token("anna", "pat")));
    registry.add("library/app", &fixture::image(2), Some("v1")).unwrap();
    let proxy = format!("http://{}", registry.host());
    let login = r#"{"auths":{"https://index.docker.io/v1/":{"username":"anna","password":"pat"}}}"#;
    let variables = [("HTTP_PROXY", proxy.as_str()), ("DOCKER_AUTH_CONFIG", login)];
    let user = User::with_key();
    run_with(&user, &["sign", "--key", "sealift.key", "--plain-http", "docker.io", "app:v1"], &variables)
        .assert_code(0);
    for name in ["app", "library/app", "docker.io/app", "index.docker.io/library/app", "registry-1.docker.io/app"] {
        let image = format!("{name}:v1");
        let verify = [&VERIFY[..], &["docker.io", "--output", "json", &image]].concat();
        let verified = run_with(&user, &verify, &variables).assert_code(0);
        assert!(verified.stdout.contains("docker.io/library/app"), "{name}: {}", verified.stdout);
    }
}

#[test]
fn a_proxy_with_a_private_address_leads_to_token_services() {
    // The sandbox is the proxy, under a name of this machine; it opens no tunnel to the realm.
    let auth = TokenAuth { realm: Some("https://auth.test/token".to_owned()), ..TokenAuth::default() };
    let registry = registry(RegistryOptions::default().with_auth(Auth::Token(auth)));
    let (_, port) = registry.host().rsplit_once(':').map(|(host, port)| (host.to_owned(), port.to_owned())).unwrap();
    let user = User::with_key();
    let verify = [&VERIFY[..], &["reg.test", "reg.test/team/app:v1"]].concat();
    for proxy in [format!("http://localhost:{port}"), format!("LOCALHOST:{port}")] {
        let through = [("HTTP_PROXY", proxy.as_str()), ("HTTPS_PROXY", proxy.as_str())];
        let refused = run_with(&user, &verify, &through).assert_code(22);
        assert!(!refused.stderr.contains("private"), "{}", refused.stderr);
    }
}

#[test]
fn hosts_without_proxy_are_reached_without() {
    let registry = registry(RegistryOptions::default());
    let user = User::with_key();
    user.at(&registry, &["sign", "--key", "sealift.key", "@team/app:v1"]).assert_code(0);
    // Nobody listens there.
    let dead = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let proxy = format!("http://{dead}");
    let (host, image) = (registry.host(), registry.reference("team/app:v1"));
    let verify = [&VERIFY[..], &[&host, &image]].concat();
    run_with(&user, &verify, &[("HTTP_PROXY", &proxy)]).assert_code(22);
    run_with(&user, &verify, &[("HTTP_PROXY", &proxy), ("NO_PROXY", "127.0.0.1")]).assert_code(0);
}

#[test]
fn https_is_spoken_where_the_user_says_so() {
    let registry = registry(RegistryOptions::default());
    let user = User::with_key();
    let (host, image) = (registry.host(), registry.reference("team/app:v1"));
    let tree = ["tree", "--timeout", "1s", &image];
    user.run(&tree).assert_code(0);
    // What listens there speaks no TLS.
    user.run(&[&tree[..], &["--https", &host]].concat()).assert_code(22);
    user.write(".sealift.yaml", format!("registries:\n  https: [\"{host}\"]\n"));
    user.run(&tree).assert_code(22);
    user.run(&[&tree[..], &["--plain-http", &host]].concat()).assert_code(22);
}

#[test]
fn certificates_of_a_registry_are_where_podman_and_docker_have_them() {
    let registry = registry(RegistryOptions::default());
    let user = User::with_key();
    let (host, image) = (registry.host(), registry.reference("team/app:v1"));
    let folder = |tool: &str| user.path(&format!(".config/{tool}/certs.d/{host}"));
    let tree = ["tree", "--timeout", "1s", "--https", &host, &image];
    // The last one written is looked into first.
    for tool in ["docker", "containers"] {
        std::fs::create_dir_all(folder(tool)).unwrap();
        std::fs::write(folder(tool).join("client.cert"), "").unwrap();
        let named = format!("{tool}/certs.d/{host}/client.cert`: there is no key");
        user.run(&tree).assert_code(22).assert_stderr(&named);
    }
    user.run(&["tree", &image]).assert_code(0);
}

#[test]
fn a_client_certificate_comes_with_its_own_key() {
    let registry = registry(RegistryOptions::default());
    let user = User::with_key();
    let authority = LoopbackAuthority::new().unwrap();
    for name in ["one", "two"] {
        let files = authority.client(name).unwrap();
        user.write(&format!("{name}.pem"), files.certificate);
        user.write(&format!("{name}.key"), files.key);
    }
    let image = registry.reference("team/app:v1");
    let tree = |certificate, key| {
        user.run(&["tree", "--registry-client-cert", certificate, "--registry-client-key", key, &image])
    };
    tree("one.pem", "one.key").assert_code(0);
    tree("one.pem", "two.key").assert_code(20).assert_stderr("do not belong together");
    tree("one.key", "one.key").assert_code(20).assert_stderr("holds no PEM certificate with its private key");
    tree("one.pem", "none.key").assert_code(20).assert_stderr("none.key");
}
