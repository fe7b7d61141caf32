//! Starting, which every command pays for, and the size of the program.

use std::path::Path;

use crate::Failure;
use crate::case::{Tool, alone};
use crate::stage::Stage;
use crate::table::Table;

pub(crate) fn tables(stage: &Stage) -> Result<(), Failure> {
    let size = std::fs::metadata(Path::new(env!("CARGO_BIN_EXE_sealift")))?.len();
    let columns = ["job", "tool", "wall ms", "times ours", "cpu ms", "peak MiB"];
    let mut table = Table::new(format!("Start ({} KiB of program)", size / 1024), &columns);
    let mut tools = vec![Tool::new("sealift --help", |_| Ok(stage.sealift(&["--help"])))];
    for (name, peer, args) in [
        ("cosign 3 version", "cosign3", "version"),
        ("cosign 2 version", "cosign2", "version"),
        ("oras version", "oras", "version"),
        ("crane version", "crane", "version"),
        ("notation version", "notation", "version"),
        ("skopeo --version", "skopeo", "--version"),
    ] {
        tools.push(Tool::new(name, move |_| {
            let mut command = stage.command(peer);
            command.arg(args);
            Ok(command)
        }));
    }
    alone(&mut table, "start", &tools)?;
    table.print();
    Ok(())
}
