//! Signing and verifying one image with a key.

use sealift_sandbox::fixture;

use crate::Failure;
use crate::case::{COLUMNS, Tool, at_site};
use crate::copying::by_digest;
use crate::program;
use crate::site::Site;
use crate::stage::Stage;
use crate::table::Table;

pub(crate) fn tables(stage: &Stage) -> Result<(), Failure> {
    let mut table = Table::new("Sign and verify one image with a key", &COLUMNS);
    for site in Site::all(stage.peers())? {
        let image = fixture::image(1);
        // Each run of each tool has an image to itself: an image that has signatures costs more.
        let fresh = |tool: &str, run: usize| -> Result<String, Failure> {
            let repository = format!("{tool}/{run}");
            site.source.push(&repository, &image)?;
            Ok(by_digest(&format!("{}/{repository}", site.source.host()), &image))
        };
        let sign = [
            Tool::new("sealift sign", |run| {
                Ok(stage.sealift(&["sign", "--key", "sealift.key", &fresh("sealift", run)?]))
            }),
            Tool::new("cosign 3 sign", |run| {
                let mut command = stage.cosign_sign("sign");
                command.arg(fresh("cosign", run)?);
                Ok(command)
            }),
        ];
        at_site(&mut table, "sign", &site, &sign)?;
        let signed = fresh("verify", 0)?;
        program::run(&mut stage.sealift(&["sign", "--key", "sealift.key", &signed]))?;
        let verify = [
            Tool::new("sealift verify", |_| Ok(stage.sealift(&["verify", "--key", "sealift.pub", &signed]))),
            Tool::new("cosign 3 verify", |_| {
                let mut command = stage.command("cosign3");
                command.args(["verify", "--key", "sealift.pub", "--insecure-ignore-tlog", &signed]);
                Ok(command)
            }),
        ];
        at_site(&mut table, "verify, by digest", &site, &verify)?;
    }
    table.print();
    Ok(())
}
