//! Verifying a bundle that is at hand: no registry, no network.

use sealift_sandbox::sigstore::{Identity, LogVersion, Sigstore, SigstoreOptions, TrustedRootVersion};

use crate::Failure;
use crate::case::{Tool, alone};
use crate::program;
use crate::stage::Stage;
use crate::table::Table;

const SIGNER: &str = "dev@example.com";

pub(crate) fn tables(stage: &Stage) -> Result<(), Failure> {
    let sigstore = Sigstore::start(SigstoreOptions::default())?;
    let identity = Identity::email(SIGNER);
    let issuer = sigstore.issuer(&identity);
    std::fs::write(stage.path("blob"), b"artifact")?;
    std::fs::write(stage.path("token"), sigstore.mint(&identity)?)?;
    std::fs::write(stage.path("sandbox.trust.json"), sigstore.trusted_root(TrustedRootVersion::V0_1))?;
    std::fs::write(stage.path("sandbox.services.json"), sigstore.signing_config(&[LogVersion::V1]))?;
    let mut sign = stage.command("cosign3");
    sign.args(["sign-blob", "--identity-token", "token", "--bundle", "bundle.json", "-y"]);
    sign.args(["--trusted-root", "sandbox.trust.json", "--signing-config", "sandbox.services.json", "blob"]);
    program::run(&mut sign)?;
    let claims = ["--certificate-identity", SIGNER, "--certificate-oidc-issuer", &issuer];
    let verify = ["verify-blob", "--bundle", "bundle.json", "--trusted-root", "sandbox.trust.json"];
    let mut table = Table::new(
        "Verify a keyless bundle at hand: certificate, log entry and timestamp",
        &["job", "tool", "wall ms", "times ours", "cpu ms", "peak MiB"],
    );
    let tools = [
        Tool::new("sealift verify-blob", |_| {
            let mut command = stage.sealift(&verify);
            command.args(claims).arg("blob");
            Ok(command)
        }),
        Tool::new("cosign 3 verify-blob", |_| {
            let mut command = stage.command("cosign3");
            command.args(verify).args(claims).arg("blob");
            Ok(command)
        }),
    ];
    alone(&mut table, "verify a blob", &tools)?;
    table.print();
    Ok(())
}
