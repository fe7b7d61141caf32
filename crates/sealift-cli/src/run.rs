//! Runs a command and says how it ended.

use tokio::runtime::{Builder, Runtime};

use crate::args::output::Format;
use crate::cli::{Cli, Command};
use crate::commands::{
    attach, attest, attest_blob, bundle, completions, copy, delete, docs, download, env, inspect, key, load, login,
    logout, man, migrate, promote, referrers, save, sign, sign_blob, tree, triangulate, trust, verify,
    verify_attestation, verify_blob, verify_blob_attestation, version,
};
use crate::config::Environment;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::trace;

/// Runs the command and returns what the process says about it.
pub(crate) fn run(cli: Cli) -> Exit {
    let environment = Environment::read();
    trace::start(cli.global.verbose, environment.log.as_deref());
    let context = Context::new(&cli.global, environment);
    match dispatch(&cli.command, &context) {
        Ok(exit) => exit,
        Err(error) => {
            context.printer.failure(cli.command.format(), &error);
            error.exit()
        }
    }
}

fn dispatch(command: &Command, context: &Context) -> Result<Exit, CliError> {
    let printer = context.printer;
    let format = command.format();
    match command {
        Command::Key(args) => printer.report(format, &args.command.run(context)?),
        Command::GenerateKeyPair(args) => printer.report(format, &key::generate(args, key::COSIGN_PREFIX, context)?),
        Command::ImportKeyPair(args) => printer.report(format, &key::import(args, key::COSIGN_PREFIX, context)?),
        Command::PublicKey(args) => printer.report(format, &key::public(args, context)?),
        Command::Completions(args) => printer.report(format, &completions::run(args)),
        Command::Man(args) => printer.report(format, &man::run(args)?),
        Command::Docs(args) => printer.report(format, &docs::run(args)?),
        Command::Policy(args) => printer.report(format, &args.command.run()?),
        Command::Env(_) => printer.report(format, &env::run()),
        Command::Version(_) => printer.report(format, &version::run()),
        other => {
            let runtime = runtime(other).map_err(CliError::Runtime)?;
            let exit = runtime.block_on(dispatch_async(other, context));
            // A connection that still closes must not hold up the answer.
            runtime.shutdown_background();
            exit
        }
    }
}

async fn dispatch_async(command: &Command, context: &Context) -> Result<Exit, CliError> {
    let printer = context.printer;
    let format = command.format();
    match command {
        Command::Sign(args) => printer.report(format, &sign::run(args, context).await?),
        Command::Verify(args) => verify::run(args, context).await,
        Command::Attest(args) => printer.report(format, &attest::run(args, context).await?),
        Command::VerifyAttestation(args) => printer.report(format, &verify_attestation::run(args, context).await?),
        Command::SignBlob(args) => printer.report(format, &sign_blob::run(args, context).await?),
        Command::VerifyBlob(args) => printer.report(format, &verify_blob::run(args, context).await?),
        Command::AttestBlob(args) => printer.report(format, &attest_blob::run(args, context).await?),
        Command::VerifyBlobAttestation(args) => {
            printer.report(format, &verify_blob_attestation::run(args, context).await?)
        }
        Command::Bundle(args) => bundle::run(args, context).await,
        Command::Lifecycle(args) => args.command.run(context).await,
        Command::Trust(args) => trust::run(args, context).await,
        Command::Promote(args) => promote::run(args, context).await,
        Command::Copy(args) => printer.report(format, &copy::run(args, context).await?),
        Command::Save(args) => printer.report(format, &save::run(args, context).await?),
        Command::Load(args) => printer.report(format, &load::run(args, context).await?),
        Command::Tree(args) => tree::print(&tree::run(args, context).await?, args.output, context),
        Command::Inspect(args) => inspect::run(args, context).await,
        Command::Attach(args) => printer.report(format, &attach::run(args, context).await?),
        Command::Download(args) => printer.report(format, &download::run(args, context).await?),
        Command::Delete(args) => printer.report(format, &delete::run(args, context).await?),
        Command::Migrate(args) => printer.report(format, &migrate::run(args, context).await?),
        Command::Referrers(args) => printer.report(format, &referrers::run(args, context).await?),
        Command::Triangulate(args) => printer.report(format, &triangulate::run(args, context).await?),
        Command::Quarantine(args) => args.command.run(context).await,
        Command::Registry(args) => args.command.run(context).await,
        Command::Login(args) => printer.report(format, &login::run(args, context).await?),
        Command::Logout(args) => printer.report(format, &logout::run(args, context).await?),
        // The others need no runtime, and `dispatch` has run them.
        _ => Ok(Exit::Internal),
    }
}

/// Starts threads only for commands that hash and move a lot; the others start faster without.
fn runtime(command: &Command) -> std::io::Result<Runtime> {
    match command {
        Command::Copy(_) | Command::Load(_) | Command::Promote(_) | Command::Save(_) => {
            Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build()
        }
        _ => Builder::new_current_thread().enable_all().build(),
    }
}

/// Threads that copy: one hashes while the other moves bytes.
const WORKERS: usize = 2;

impl Command {
    /// Returns how results and failures are written.
    fn format(&self) -> Format {
        match self {
            Self::Key(args) => args.command.format(),
            Self::GenerateKeyPair(args) => args.format(),
            Self::ImportKeyPair(args) => args.format(),
            Self::PublicKey(args) => args.format(),
            Self::Sign(args) => args.output.output,
            Self::Verify(args) => args.output.output,
            Self::Attest(args) => args.output.output,
            Self::VerifyAttestation(args) => args.output.output,
            Self::SignBlob(args) => args.output.output,
            Self::VerifyBlob(args) => args.output.output,
            Self::AttestBlob(args) => args.output.output,
            Self::VerifyBlobAttestation(args) => args.output.output,
            Self::Bundle(args) => args.format(),
            Self::Lifecycle(args) => args.command.format(),
            Self::Policy(args) => args.command.format(),
            Self::Trust(args) => args.format(),
            Self::Promote(args) => args.output.output,
            Self::Copy(args) => args.output.output,
            Self::Save(args) => args.output.output,
            Self::Load(args) => args.output.output,
            Self::Quarantine(args) => args.command.format(),
            Self::Registry(args) => args.command.format(),
            Self::Tree(args) => args.output.failure_format(),
            Self::Inspect(args) => args.output.output,
            Self::Attach(args) => args.format(),
            Self::Delete(args) => args.output.output,
            Self::Migrate(args) => args.output.output,
            Self::Referrers(args) => args.format(),
            Self::Env(args) => args.output.output,
            Self::Version(args) => args.output.output,
            _ => Format::Text,
        }
    }
}
