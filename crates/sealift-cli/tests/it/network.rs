//! How requests reach registries: proxies, and the credentials that go along.

use std::path::Path;

use sealift_sandbox::fixture;
use sealift_sandbox::peers::{DockerRegistry, Peers};
use sealift_sandbox::registry::{Auth, RegistryOptions, TokenAuth};
use sealift_sandbox::sigstore::LoopbackAuthority;

use crate::support::{Outcome, User, registry, write_layout};

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

/// Starts a registry that speaks TLS as `127.0.0.1` under `authority`, and only with clients of the same authority.
fn tls_registry(peers: &Peers, authority: &LoopbackAuthority) -> DockerRegistry {
    let server = authority.server("registry.test").unwrap();
    let configure = |files: &Path| {
        let [certificate, key, known] = ["cert.pem", "key.pem", "clients.pem"].map(|name| files.join(name));
        std::fs::write(&certificate, &server.certificate).unwrap();
        std::fs::write(&key, &server.key).unwrap();
        std::fs::write(&known, authority.pem()).unwrap();
        let [certificate, key, known] = [certificate, key, known].map(|path| path.display().to_string());
        let tls = format!("{{certificate: {certificate}, key: {key}, clientcas: [{known}]}}");
        format!("http: {{addr: \"127.0.0.1:0\", tls: {tls}}}")
    };
    DockerRegistry::start_with(peers, configure).unwrap()
}

#[test]
fn certificates_are_for_one_end() {
    let Some(peers) = Peers::find() else { return };
    let user = User::new();
    let (one, two) = (LoopbackAuthority::new().unwrap(), LoopbackAuthority::new().unwrap());
    for (name, authority) in [("one", &one), ("two", &two)] {
        let client = authority.client("builder").unwrap();
        std::fs::create_dir(user.path(name)).unwrap();
        user.write(&format!("{name}/ca.crt"), authority.pem());
        user.write(&format!("{name}/client.cert"), client.certificate);
        user.write(&format!("{name}/client.key"), client.key);
    }
    let (source, destination) = (tls_registry(&peers, &one), tls_registry(&peers, &two));
    let (from, to) = (format!("{}/team/app:v1", source.host()), format!("{}/prod/app:v1", destination.host()));
    let run = |args: &[&str]| {
        let https = ["--timeout", "2s", "--https", &source.host(), "--https", &destination.host()];
        user.run(&[args, &https[..]].concat())
    };
    write_layout(&user.path("layout"), &fixture::image(1), "v1");
    run(&["copy", "oci-layout://./layout:v1", &from, "--to-cert-dir", "one"]).assert_code(0);
    run(&["tree", &from, "--cert-dir", "one"]).assert_code(0);
    run(&["tree", &from, "--cert-dir", "two"]).assert_code(22);
    run(&["tree", &from, "--cert-dir", "none"]).assert_code(22).assert_stderr("`none`");

    let ends = |from_client: &str, to_client: &str, more: &[&str]| {
        let [from_cert, from_key] = ["cert", "key"].map(|kind| format!("{from_client}/client.{kind}"));
        let [to_cert, to_key] = ["cert", "key"].map(|kind| format!("{to_client}/client.{kind}"));
        let from_client = ["--from-client-cert", &from_cert, "--from-client-key", &from_key];
        let to_client = ["--to-client-cert", &to_cert, "--to-client-key", &to_key];
        run(&[&["copy", &from, &to], &from_client[..], &to_client[..], more].concat())
    };
    let authorities = ["--from-cacert", "one/ca.crt", "--to-cacert", "two/ca.crt"];
    ends("one", "two", &authorities).assert_code(0);
    ends("two", "one", &authorities).assert_code(21);
    ends("one", "two", &["--from-cacert", "two/ca.crt", "--to-cacert", "one/ca.crt"]).assert_code(22);
    let unchecked = ["--from-insecure-skip-tls-verify", "--to-insecure-skip-tls-verify"];
    ends("one", "two", &unchecked).assert_code(0);
    // What is not checked at one end is at the other.
    ends("one", "two", &unchecked[..1]).assert_code(22);
    ends("one", "two", &unchecked[1..]).assert_code(22);
    run(&["copy", &from, &to, "--from-cert-dir", "one", "--to-cert-dir", "two"]).assert_code(0);

    let here = format!("{}/other/app:v1", source.host());
    let differing = ["--from-cert-dir", "one", "--to-cacert", "two/ca.crt"];
    run(&[&["copy", &from, &here], &differing[..]].concat()).assert_code(2).assert_stderr("both ends are in");
    run(&["copy", &from, &here, "--from-cert-dir", "one"]).assert_code(0);
    // What is said of every registry is no word of the other end.
    run(&["copy", &from, &here, "--cert-dir", "one", "--from-cacert", "one/ca.crt"]).assert_code(0);
    run(&["copy", &from, &here, "--cert-dir", "two", "--to-cert-dir", "one"]).assert_code(0);
}
