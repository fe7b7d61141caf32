//! The contract and the quirks of a real registry: CNCF distribution, as `crates/sealift-cli/tests/peers/install`
//! brings it.

use std::path::Path;
use std::sync::Arc;

use futures_util::future::join_all;
use sealift_core::oci::{Digest, Reference, RegistryHost, RepositoryName};
use sealift_core::repository::{Arrival, ReferrersListing};
use sealift_oci::keychain::{Credential, ExplicitKeychain};
use sealift_oci::redact::Secret;
use sealift_oci::{Access, CertificateFolders, Client, ClientError, LoginCheck};
use sealift_sandbox::conformance;
use sealift_sandbox::fixture::{self, Pattern};
use sealift_sandbox::peers::{DockerRegistry, Peers};
use sealift_sandbox::registry::{Auth, Endpoint, RegistryOptions, TokenAuth};
use sealift_sandbox::sigstore::{CertificateFiles, LoopbackAuthority, RegistryTokens};

use crate::support::{count, kind, read, start};

/// `user:pass`, hashed with bcrypt, the only kind that distribution reads, in the fewest rounds: each request costs one.
const HTPASSWD: &str = "user:$2b$04$CsiC1w2NihX/3nF3FsI/C.wuMW.zSYh6O7104AqYos/JICwiNflVG\n";

struct Distribution {
    registry: DockerRegistry,
    host: RegistryHost,
}

impl Distribution {
    /// Starts a registry that wants a password, or says that there is none to start.
    fn start() -> Option<Self> {
        Self::start_with(|files| {
            std::fs::write(files.join("htpasswd"), HTPASSWD).unwrap();
            format!("auth: {{htpasswd: {{realm: test, path: {}}}}}", files.join("htpasswd").display())
        })
    }

    /// Starts a registry whose configuration has what `configure` adds for its folder.
    fn start_with(configure: impl FnOnce(&Path) -> String) -> Option<Self> {
        let registry = DockerRegistry::start_with(&Peers::find()?, configure).unwrap();
        let host = registry.host().parse().unwrap();
        Some(Self { registry, host })
    }

    fn access(&self) -> Access {
        let credential = Credential::from_pair("user", "pass");
        Access::with_keychain(Arc::new(ExplicitKeychain::new(self.host.clone(), credential)))
    }

    fn client(&self) -> Client {
        Client::new(self.access()).unwrap()
    }

    fn name(&self, path: &str) -> RepositoryName {
        format!("{}/{path}", self.host).parse::<Reference>().unwrap().repository()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_upholds_the_contract() {
    let Some(registry) = Distribution::start() else { return };
    let repository = registry.client().open(&registry.name("team/app")).await.unwrap();
    conformance::repository(&*repository).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_takes_logins_and_refuses_wrong_ones() {
    let Some(registry) = Distribution::start() else { return };
    let client = registry.client();
    for (password, expected) in [("pass", "ok"), ("wrong", "unauthenticated")] {
        let checked = client.check_login(&registry.host, &Credential::from_pair("user", password)).await;
        assert_eq!(kind(&checked), expected);
        assert!(checked.is_err() || checked.is_ok_and(|checked| checked == LoginCheck::Accepted));
    }
    let anonymous = Client::new(Access::anonymous()).unwrap().open(&registry.name("team/app")).await.unwrap();
    assert_eq!(kind(&anonymous.tags().await), "unauthenticated");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_keeps_large_blobs_mounts_them_and_loses_no_referrer() {
    let Some(registry) = Distribution::start() else { return };
    let client = registry.client();
    let staging = client.open(&registry.name("staging/app")).await.unwrap();
    let prod = client.open(&registry.name("prod/app")).await.unwrap();
    let image = fixture::large_image(1, 20 << 20);
    let subject = image.push(&*staging, Some(&"v1".parse().unwrap())).await.unwrap();
    for (blob, _) in image.blobs() {
        assert_eq!(prod.transfer(blob, staging.as_read()).await.unwrap(), Arrival::Mounted);
        assert_eq!(Digest::sha256(&read(prod.as_read(), blob).await.unwrap()), blob.digest);
    }
    let signatures: Vec<_> = (0..16_u8)
        .map(|number| fixture::artifact("application/x.sig", "application/x.layer", &[number], Some(&subject)))
        .collect();
    let pushed = join_all(signatures.iter().map(|signature| signature.push(&*staging, None))).await;
    assert!(pushed.iter().all(Result::is_ok), "{pushed:?}");
    assert_eq!(staging.referrers(&subject.digest, ReferrersListing::Api).await.unwrap(), None);
    let listed = staging.referrers(&subject.digest, ReferrersListing::FallbackTag).await.unwrap();
    assert_eq!(listed.unwrap().len(), 16);
    let other = Pattern::new(7, 2 << 20);
    let blob = other.descriptor("application/octet-stream");
    staging.push(&blob, other.content()).await.unwrap();
    assert!(staging.exists(&blob).await.unwrap() && !prod.exists(&blob).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn it_takes_tokens_that_it_checks_itself() {
    let tokens = Arc::new(RegistryTokens::new().unwrap());
    let auth = TokenAuth {
        user: "user".to_owned(),
        password: "pass".to_owned(),
        signed: Some(Arc::clone(&tokens)),
        ..TokenAuth::default()
    };
    let service = start(RegistryOptions::default().with_auth(Auth::Token(auth)));
    let realm = format!("{}/token", service.url());
    let Some(registry) = Distribution::start_with(|files| {
        std::fs::write(files.join("root.pem"), tokens.pem()).unwrap();
        format!(
            "auth: {{token: {{realm: \"{realm}\", service: sealift-sandbox, issuer: {}, rootcertbundle: {}}}}}",
            RegistryTokens::ISSUER,
            files.join("root.pem").display()
        )
    }) else {
        return;
    };
    let client = registry.client();
    let repository = client.open(&registry.name("team/app")).await.unwrap();
    conformance::repository(&*repository).await;
    let other = client.open(&registry.name("team/other")).await.unwrap();
    let image = fixture::image(1).push(&*repository, Some(&"v1".parse().unwrap())).await.unwrap();
    let layer =
        repository.manifest(&image.digest.into()).await.unwrap().parse().unwrap().children().next().unwrap().clone();
    assert_eq!(
        other.transfer(&layer, repository.as_read()).await.unwrap(),
        Arrival::Mounted,
        "two scopes in one token"
    );
    for (password, expected) in [("pass", "ok"), ("wrong", "unauthenticated")] {
        let checked = client.check_login(&registry.host, &Credential::from_pair("user", password)).await;
        assert_eq!(kind(&checked), expected);
    }
    let asked = count(&service, "GET", Endpoint::Token);
    assert!(asked <= 12, "{asked} tokens for one repository, its deletions, a mount and two logins");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_speaks_tls_under_a_private_authority() {
    let authority = LoopbackAuthority::new().unwrap();
    let server = authority.server("registry.test").unwrap();
    let Some(registry) = Distribution::start_with(|files| {
        let path = |name: &str| files.join(name).display().to_string();
        std::fs::write(path("cert.pem"), &server.certificate).unwrap();
        std::fs::write(path("key.pem"), &server.key).unwrap();
        let (certificate, key) = (path("cert.pem"), path("key.pem"));
        format!("http: {{addr: \"127.0.0.1:0\", tls: {{certificate: {certificate}, key: {key}}}}}")
    }) else {
        return;
    };
    // Loopback is plain unless told otherwise, so the registry goes by a name.
    let port = registry.host.to_string().rsplit_once(':').unwrap().1.to_owned();
    let name = |path: &str| format!("registry.test:{port}/{path}").parse::<Reference>().unwrap().repository();
    let mut access = Access::anonymous();
    access.retry.retries = 1;
    access.names.insert("registry.test".to_owned(), vec!["127.0.0.1".parse().unwrap()]);
    let open = async |access: Access| Client::new(access).unwrap().open(&name("team/app")).await.unwrap();
    assert_eq!(kind(&open(access.clone()).await.tags().await), "unavailable", "nobody knows the authority");
    let stranger = LoopbackAuthority::new().unwrap();
    let mut misled = access.clone();
    misled.tls.authorities.push(stranger.pem().into_bytes());
    assert_eq!(kind(&open(misled).await.tags().await), "unavailable", "it is another one");
    access.tls.authorities.push(authority.pem().into_bytes());
    conformance::repository(&*open(access).await).await;
    assert!(registry.registry.folder().join("data").is_dir());
}

#[tokio::test(flavor = "multi_thread")]
async fn it_knows_its_clients_by_their_certificates() {
    let (servers, clients) = (LoopbackAuthority::new().unwrap(), LoopbackAuthority::new().unwrap());
    let server = servers.server("registry.test").unwrap();
    let Some(registry) = Distribution::start_with(|files| {
        let [certificate, key, known] = ["cert.pem", "key.pem", "clients.pem"].map(|name| files.join(name));
        std::fs::write(&certificate, &server.certificate).unwrap();
        std::fs::write(&key, &server.key).unwrap();
        std::fs::write(&known, clients.pem()).unwrap();
        format!(
            "http: {{addr: \"127.0.0.1:0\", tls: {{certificate: {}, key: {}, clientcas: [{}]}}}}",
            certificate.display(),
            key.display(),
            known.display()
        )
    }) else {
        return;
    };
    let access = |identity: Option<String>| {
        let mut access = Access::anonymous();
        access.https.insert(registry.host.clone());
        access.retry.retries = 1;
        access.tls.authorities.push(servers.pem().into_bytes());
        access.tls.client_identity = identity.map(Secret::from);
        access
    };
    let (known, other) = (clients.client("builder").unwrap(), clients.client("other").unwrap());
    let stranger = servers.client("builder").unwrap();
    let both = |files: &CertificateFiles| Some(format!("{}{}", files.certificate, files.key));
    for (identity, expected) in [
        (both(&known), "not found"),
        (both(&other), "not found"),
        (None, "client certificate"),
        (both(&stranger), "client certificate"),
    ] {
        let repository = Client::new(access(identity)).unwrap().open(&registry.name("team/app")).await.unwrap();
        let listed = repository.tags().await;
        assert_eq!(kind(&listed), expected, "{listed:?}");
    }
    // The same from a folder, for this registry under this name and for no other.
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join(registry.host.to_string());
    std::fs::create_dir(&own).unwrap();
    for (file, content) in [("ca.crt", &servers.pem()), ("client.cert", &known.certificate), ("client.key", &known.key)]
    {
        std::fs::write(own.join(file), content).unwrap();
    }
    let mut by_folder = Access::anonymous();
    let by_name = registry.host.to_string().replace("127.0.0.1", "localhost");
    by_folder.https.extend([registry.host.clone(), by_name.parse().unwrap()]);
    by_folder.retry.retries = 1;
    let nowhere = folder.path().join("nowhere");
    by_folder.certificates = CertificateFolders::new(vec![nowhere, folder.path().to_owned()]);
    let client = Client::new(by_folder).unwrap();
    let other_name = format!("{by_name}/team/app").parse::<Reference>().unwrap().repository();
    for (name, expected) in [(registry.name("team/app"), "not found"), (other_name, "unavailable")] {
        let listed = client.open(&name).await.unwrap().tags().await;
        assert_eq!(kind(&listed), expected, "{listed:?}");
    }
    let mixed = Client::new(access(Some(format!("{}{}", known.certificate, other.key))));
    assert!(matches!(mixed, Err(ClientError::KeyMismatch(_))), "{mixed:?}");
    conformance::repository(&*Client::new(access(both(&known))).unwrap().open(&registry.name("app")).await.unwrap())
        .await;
}
