//! Many images in one go, which share their base layers.

use std::process::Command;

use sealift_sandbox::fixture;

use crate::Failure;
use crate::case::{COLUMNS, Tool, at_site};
use crate::copying::by_digest;
use crate::program;
use crate::site::Site;
use crate::stage::Stage;
use crate::table::Table;

/// Images, all signed.
const IMAGES: u64 = 200;
/// Processes of a peer at once: none of them takes more than one image.
const PROCESSES: &str = "8";

pub(crate) fn tables(stage: &Stage) -> Result<(), Failure> {
    let mut table = Table::new(format!("{IMAGES} signed images"), &COLUMNS);
    for site in Site::near(stage.peers())? {
        let mut images = Vec::new();
        for seed in 0..IMAGES {
            let image = fixture::image(1000 + seed);
            site.source.push(&format!("many/{seed}"), &image)?;
            images.push(by_digest(&format!("{}/many/{seed}", site.source.host()), &image));
        }
        let references: Vec<&str> = images.iter().map(String::as_str).collect();
        program::run(&mut stage.sealift(&[&["sign", "--key", "sealift.key"][..], &references].concat()))?;
        std::fs::write(stage.path("images"), images.join("\n"))?;
        let verify = [
            Tool::new("sealift verify", |_| {
                Ok(stage.sealift(&[&["verify", "--key", "sealift.pub"][..], &references].concat()))
            }),
            Tool::new("cosign 3 verify, 8 processes", |_| {
                let mut command = each(stage, "1");
                command.arg(stage.peers().path("cosign3"));
                command.args(["verify", "--key", "sealift.pub", "--insecure-ignore-tlog"]);
                Ok(command)
            }),
            Tool::new("cosign 3 verify, 1 process", |_| {
                let mut command = stage.command("cosign3");
                command.args(["verify", "--key", "sealift.pub", "--insecure-ignore-tlog"]).args(&references);
                Ok(command)
            }),
        ];
        at_site(&mut table, "verify all", &site, &verify)?;
    }
    table.print();
    Ok(())
}

/// Returns a command that runs another for every image of the list, several at once.
fn each(stage: &Stage, images: &str) -> Command {
    let mut command = stage.plain("xargs");
    command.arg("--arg-file").arg(stage.path("images")).args(["-P", PROCESSES, "-n", images]);
    command
}
