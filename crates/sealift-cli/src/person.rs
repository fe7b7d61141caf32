//! The person at the terminal, who signs in.

use std::io::{self, Write as _};
use std::process::{Command, Stdio};

use async_trait::async_trait;
use sealift_keyless::oidc::{DeviceCode, Person};
use url::Url;

/// Whoever sits at the terminal. Everything is said on standard error.
#[derive(Clone, Debug)]
pub(crate) struct TerminalPerson {
    /// The program that opens pages; by default the system's.
    pub(crate) browser: Option<String>,
}

#[async_trait]
impl Person for TerminalPerson {
    async fn visit(&self, url: &Url) -> io::Result<()> {
        say(format_args!("Sign in with your browser. If none opens, go to:\n  {url}"))?;
        // Where no browser can be started, the address is there to be copied.
        if let Err(error) = self.open(url) {
            tracing::debug!(%error, "no browser could be started");
        }
        Ok(())
    }

    async fn ask_for_code(&self, url: &Url) -> io::Result<String> {
        say(format_args!("Sign in with any browser at:\n  {url}"))?;
        write!(anstream::stderr(), "Code shown there: ")?;
        anstream::stderr().flush()?;
        // Reading would hold up the connections that are kept open.
        tokio::task::spawn_blocking(|| {
            let mut code = String::new();
            io::stdin().read_line(&mut code).map(|_| code.trim().to_owned())
        })
        .await
        .map_err(io::Error::other)?
    }

    async fn show_code(&self, code: &DeviceCode) -> io::Result<()> {
        let address = code.complete_address.as_ref().unwrap_or(&code.address);
        say(format_args!("Sign in on any device with the code {} at:\n  {address}", code.user_code))
    }
}

impl TerminalPerson {
    fn open(&self, url: &Url) -> io::Result<()> {
        let (program, args): (&str, &[&str]) = match &self.browser {
            Some(browser) => (browser, &[]),
            None if cfg!(target_os = "macos") => ("open", &[]),
            None if cfg!(target_os = "windows") => ("rundll32", &["url.dll,FileProtocolHandler"]),
            None => ("xdg-open", &[]),
        };
        let mut command = Command::new(program);
        command.args(args).arg(url.as_str()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().map(|_| ())
    }
}

fn say(text: std::fmt::Arguments<'_>) -> io::Result<()> {
    writeln!(anstream::stderr(), "{text}")
}
