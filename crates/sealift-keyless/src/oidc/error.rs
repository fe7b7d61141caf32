//! Why there is no identity.

use std::io;
use std::path::PathBuf;

use sealift_core::crypto::KeyError;

use super::TokenError;
use crate::transport::{Refusal, TransportError};

/// Says why there is no token. Never holds a token, a code or a part of one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// The agent that knows this workload said no.
    #[error("the SPIFFE agent gives no identity token: status {status}")]
    Agent {
        /// The status of gRPC, bounded and printable; 7 is "permission denied".
        status: String,
    },
    /// The person, or the issuer, said no.
    #[error("the sign-in was denied")]
    Denied,
    /// An address that the issuer names is not `https`.
    #[error("the issuer names `{found}` as its {endpoint}, which is no https address")]
    Endpoint {
        /// What the address is for, such as `token_endpoint`.
        endpoint: &'static str,
        /// The address, bounded and printable.
        found: String,
    },
    /// Nobody signed in in time.
    #[error("nobody signed in in time")]
    Expired,
    /// A file could not be read.
    #[error("the identity token file {} could not be read", .path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The issuer calls itself differently than it was asked for.
    #[error("issuer `{expected}` calls itself `{found}`")]
    Issuer {
        /// The issuer asked.
        expected: String,
        /// What it says.
        found: String,
    },
    /// The issuer's address is none.
    #[error("`{issuer}` is no address of an issuer")]
    IssuerAddress {
        /// The text.
        issuer: String,
        /// What is wrong with it.
        #[source]
        source: url::ParseError,
    },
    /// No port on this machine could be listened on.
    #[error("no port of this machine can wait for the browser")]
    Listen(#[source] io::Error),
    /// An answer lacks what every such answer has. What the parser says is left out: it repeats what it read, which
    /// may be a token.
    #[error("the answer of {who} is malformed")]
    Malformed {
        /// Whose answer.
        who: &'static str,
    },
    /// The machine's surroundings offer identities, but not to this job.
    #[error("this {place} job may not have an identity token")]
    NotPermitted {
        /// Where it runs, such as `GitHub Actions`.
        place: &'static str,
        /// What the job's definition lacks.
        lacks: &'static str,
    },
    /// The person could not be talked to.
    #[error("the sign-in could not be shown")]
    Person(#[source] io::Error),
    /// A program that hands out tokens failed.
    #[error("`{program}` handed out no identity token")]
    Program {
        /// Its name.
        program: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There is no randomness.
    #[error("the sign-in could not be protected")]
    Random(#[source] KeyError),
    /// A service said no.
    #[error("{who} gives no identity token")]
    Refused {
        /// Who said so.
        who: &'static str,
        /// Its words.
        #[source]
        source: Refusal,
    },
    /// The issuer ended the sign-in.
    #[error("the sign-in failed: {code}")]
    SignIn {
        /// The error code of OAuth, such as `server_error`.
        code: String,
    },
    /// The token is not one, or not for this.
    #[error("the identity token cannot be used")]
    Token(#[source] TokenError),
    /// No answer came.
    #[error("the issuer of identities could not be asked")]
    Transport(#[from] TransportError),
    /// The issuer offers no such way to sign in.
    #[error("issuer `{issuer}` offers no {flow}")]
    Unsupported {
        /// The issuer.
        issuer: String,
        /// The way, such as `device flow`.
        flow: &'static str,
    },
}

impl IdentityError {
    /// Says whether trying again later may go better.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Expired => true,
            Self::Transport(error) => error.may_pass(),
            _ => false,
        }
    }
}
