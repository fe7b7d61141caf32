//! The sandbox for people: registries, and a Sigstore if asked, on loopback until Ctrl-C.
//!
//! Standard output has one line `NAME=HOST:PORT` for each registry. With a Sigstore, one line `NAME=URL` for each
//! service and one `NAME=PATH` for each file follow, then lines for people, which begin with `#`.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Mutex;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use sealift_sandbox::registry::{
    Auth, Emulation, LoggedRequest, Mount, Registry, RegistryError, RegistryOptions, Storage,
};
use sealift_sandbox::sigstore::{Identity, Sigstore, SigstoreError, SigstoreOptions};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&error);
            ExitCode::FAILURE
        }
    }
}

/// OCI registries on loopback, for trying things out
#[derive(Debug, Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run one registry
    Registry {
        /// Address to listen on; port 0 is any free one
        #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:5000")]
        listen: String,
        /// Behave as this registry does, with the user and the password that are printed: acr, artifactory,
        /// distribution, docker-hub, ecr, ecr-public, gar, ghcr, gitlab, harbor, quay, zot, and variants
        #[arg(long = "as", value_name = "REGISTRY", conflicts_with_all = EMULATED)]
        emulation: Option<Emulation>,
        /// Create this repository, where a push does not; repeat for several
        #[arg(long, value_name = "NAME", requires = "emulation")]
        repository: Vec<String>,
        #[command(flatten)]
        manners: Manners,
    },
    /// Run two registries, `staging` and `prod`
    Up {
        /// Address of staging
        #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:0")]
        staging: String,
        /// Address of prod
        #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:0")]
        prod: String,
        #[command(flatten)]
        sigstore: SigstoreArguments,
        #[command(flatten)]
        manners: Manners,
    },
}

/// Whether there is a Sigstore, too.
#[derive(Args, Debug)]
struct SigstoreArguments {
    /// Run a whole Sigstore, too, and write its configuration files into this folder
    #[arg(long = "sigstore", value_name = "DIR")]
    folder: Option<PathBuf>,
    /// First of the Sigstore's seven ports; 0 takes any free ones
    #[arg(long = "sigstore-port", value_name = "PORT", default_value_t = 0, requires = "folder")]
    first_port: u16,
    /// Who signs: an e-mail address, or `workflow:OWNER/REPOSITORY`
    #[arg(long, value_name = "WHO", default_value = "dev@example.com", requires = "folder")]
    identity: String,
}

/// How the registries behave.
#[derive(Args, Debug)]
struct Manners {
    /// Keep content in this folder, instead of in memory
    #[arg(long, value_name = "DIR")]
    storage: Option<PathBuf>,
    /// Ask for credentials: `basic:USER:PASSWORD` or `token:USER:PASSWORD`
    #[arg(long, value_name = "KIND:USER:PASSWORD")]
    auth: Option<Credentials>,
    /// Have no referrers API, so that clients use the fallback tag
    #[arg(long)]
    no_referrers_api: bool,
    /// Do not filter referrers by artifact type
    #[arg(long)]
    no_filters: bool,
    /// Cut listings into pages of this many entries
    #[arg(long, value_name = "ENTRIES")]
    page_size: Option<usize>,
    /// Refuse to mount blobs across repositories
    #[arg(long)]
    no_mount: bool,
    /// Refuse to delete
    #[arg(long)]
    no_deletes: bool,
    /// Refuse to take a blob in a single POST, as docker-registry does
    #[arg(long)]
    no_single_post: bool,
    /// Honour `If-Match` and `If-None-Match` when a manifest is put
    #[arg(long)]
    conditional_writes: bool,
    /// Milliseconds every request waits
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 0)]
    latency: u64,
    /// Append every answered request to this file, one JSON object a line
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Stop when standard input ends, too
    #[arg(long)]
    until_stdin_closes: bool,
}

/// What an emulated registry decides itself.
const EMULATED: [&str; 8] = [
    "auth",
    "no_referrers_api",
    "no_filters",
    "page_size",
    "no_mount",
    "no_deletes",
    "no_single_post",
    "conditional_writes",
];

#[derive(Clone, Debug)]
struct Credentials(Auth);

impl FromStr for Credentials {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts: Vec<_> = text.splitn(3, ':').collect();
        match parts[..] {
            ["basic", user, password] => Ok(Self(Auth::basic(user, password))),
            ["token", user, password] => Ok(Self(Auth::token(user, password))),
            _ => Err("expected `basic:USER:PASSWORD` or `token:USER:PASSWORD`"),
        }
    }
}

fn run(cli: Cli) -> Result<(), SandboxError> {
    let (places, manners, sigstore) = match cli.command {
        Command::Registry { listen, emulation: Some(emulation), repository, manners } => {
            return emulate(emulation, listen, &repository, &manners);
        }
        Command::Registry { listen, manners, .. } => {
            (vec![("registry", listen, manners.storage.clone())], manners, None)
        }
        Command::Up { staging, prod, sigstore, manners } => {
            let folder = |name: &str| manners.storage.as_ref().map(|folder| folder.join(name));
            (vec![("staging", staging, folder("staging")), ("prod", prod, folder("prod"))], manners, Some(sigstore))
        }
    };
    let mut registries = Vec::new();
    for (name, listen, storage) in places {
        let registry = start(name, manners.options(listen, storage), manners.log.as_deref())?;
        announce(&format!("{name}={}", registry.host())).map_err(SandboxError::Output)?;
        registries.push(registry);
    }
    let _sigstore = sigstore.map(|arguments| start_sigstore(&arguments)).transpose()?;
    wait(manners.until_stdin_closes).map_err(SandboxError::Signal)
}

/// Runs one registry that behaves as another does; what it differs in is the emulation's, not the flags'.
fn emulate(
    emulation: Emulation,
    listen: String,
    repositories: &[String],
    manners: &Manners,
) -> Result<(), SandboxError> {
    let mut options = RegistryOptions { listen, ..emulation.options() };
    options.storage = manners.storage.clone().map_or(Storage::Memory, Storage::Folder);
    options.latency = Duration::from_millis(manners.latency);
    let registry = start("registry", options, manners.log.as_deref())?;
    for repository in repositories {
        registry.create_repository(repository);
    }
    let (host, user, password) = (registry.host(), emulation.user(), Emulation::PASSWORD);
    let text = format!(
        "registry={host}\n# {emulation}, emulated from what is documented: docs/registries/{}.md\n\
         # log in: echo {password} | sealift login -u {user} --password-stdin {host}",
        emulation.page()
    );
    announce(&text).map_err(SandboxError::Output)?;
    wait(manners.until_stdin_closes).map_err(SandboxError::Signal)
}

impl Manners {
    fn options(&self, listen: String, storage: Option<PathBuf>) -> RegistryOptions {
        RegistryOptions {
            listen,
            storage: storage.map_or(Storage::Memory, Storage::Folder),
            referrers_api: !self.no_referrers_api,
            filters: !self.no_filters,
            page_size: self.page_size,
            mount: if self.no_mount { Mount::No } else { Mount::Yes },
            auth: self.auth.clone().map_or(Auth::None, |credentials| credentials.0),
            deletes: !self.no_deletes,
            single_post: !self.no_single_post,
            conditional_writes: self.conditional_writes,
            latency: Duration::from_millis(self.latency),
            ..RegistryOptions::default()
        }
    }
}

fn start(name: &'static str, options: RegistryOptions, log: Option<&Path>) -> Result<Registry, SandboxError> {
    let Some(path) = log else { return Ok(Registry::start(options)?) };
    let opened = OpenOptions::new().create(true).append(true).open(path);
    let file = Mutex::new(opened.map_err(|source| SandboxError::Log { path: path.to_owned(), source })?);
    let observer = move |request: &LoggedRequest| {
        let line = format!("{}\n", serde_json::json!({ "registry": name, "request": request }));
        if let Ok(mut file) = file.lock() {
            // At once, as two registries append to one file. A full disk ends the log, not the registry.
            let _ = file.write_all(line.as_bytes());
        }
    };
    Ok(Registry::start_observed(options, observer)?)
}

/// Starts the Sigstore, if one is wanted, and says where it answers and how to use it.
fn start_sigstore(arguments: &SigstoreArguments) -> Result<Option<Sigstore>, SandboxError> {
    let Some(folder) = &arguments.folder else { return Ok(None) };
    let identity = match arguments.identity.strip_prefix("workflow:") {
        Some(repository) => Identity::workflow(repository),
        None => Identity::email(&arguments.identity),
    };
    let (subject, issuer) = (identity.subject(), identity.clone());
    let options = SigstoreOptions { first_port: arguments.first_port, identity, ..SigstoreOptions::default() };
    let sigstore = Sigstore::start(options)?;
    let issuer = sigstore.issuer(&issuer);
    let files =
        sigstore.write_files(folder).map_err(|source| SandboxError::Files { folder: folder.clone(), source })?;
    let mut text = String::new();
    for (name, url) in sigstore.urls().named() {
        text.push_str(&format!("{name}={url}\n"));
    }
    for (name, path) in files.named() {
        text.push_str(&format!("{name}={}\n", path.display()));
    }
    let (config, root, token) = (files.signing_config.display(), files.trusted_root.display(), files.token.display());
    text.push_str(&format!(
        "# A sandbox: keys live as long as this program, and signatures mean nothing elsewhere.\n\
         # sign:   cosign sign --signing-config {config} --trusted-root {root} --identity-token {token} -y IMAGE@DIGEST\n\
         # verify: cosign verify --trusted-root {root} --use-signed-timestamps --certificate-identity {subject} \
         --certificate-oidc-issuer {issuer} IMAGE@DIGEST"
    ));
    announce(&text).map_err(SandboxError::Output)?;
    Ok(Some(sigstore))
}

/// Waits for Ctrl-C, for the signal to end, or for the end of standard input.
fn wait(until_stdin_closes: bool) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut terminated = signal(SignalKind::terminate())?;
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => interrupted,
            _ = terminated.recv() => Ok(()),
            () = stdin_closes(), if until_stdin_closes => Ok(()),
        }
    })
}

/// Reads on a thread that nothing waits for: a read from a terminal cannot be interrupted.
async fn stdin_closes() {
    let (closed, closes) = oneshot::channel();
    std::thread::spawn(move || {
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        let _ = closed.send(());
    });
    // An error means that the thread is gone, and standard input with it.
    let _ = closes.await;
}

fn announce(line: &str) -> io::Result<()> {
    let mut output = io::stdout().lock();
    writeln!(output, "{line}")?;
    output.flush()
}

/// Prints an error and its causes.
fn say(error: &SandboxError) {
    let mut text = format!("error: {error}");
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    // Where standard error is closed, nobody listens.
    let _ = writeln!(io::stderr(), "{text}");
}

/// Says why the sandbox does not run.
#[derive(Debug, thiserror::Error)]
enum SandboxError {
    #[error("cannot write the configuration files into {}", folder.display())]
    Files {
        folder: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot write to {}", path.display())]
    Log {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot write the addresses")]
    Output(#[source] io::Error),
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error("cannot wait for signals")]
    Signal(#[source] io::Error),
    #[error(transparent)]
    Sigstore(#[from] SigstoreError),
}
