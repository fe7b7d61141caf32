//! Settings in files: the one that is named, else the project's before the user's.
//!
//! A project's file comes with the project, from whoever wrote it: it may name mirrors of content, which is checked, but
//! nothing by which somebody else could answer for a registry or listen. Unknown fields are refused, and every error
//! says in which file and where.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use sealift_core::document::{Document, DocumentError, Entry, MAX_DOCUMENT_BYTES};
use sealift_core::oci::RegistryHost;
use sealift_oci::{MirrorRule, Original};

use crate::config::Environment;
use crate::error::CliError;
use crate::files;

/// Name of a project's file, in the working directory.
const PROJECT_FILE: &str = ".sealift.yaml";
/// Where the user's file is, below the configuration directory.
const USER_FILE: &str = "sealift/config.yaml";
/// The most entries of one list; a longer one is no setting.
const MAX_ENTRIES: usize = 256;

/// What the files say, taken together.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    pub(crate) mirrors: Vec<MirrorRule>,
    pub(crate) https: BTreeSet<RegistryHost>,
    pub(crate) plain_http: BTreeSet<RegistryHost>,
    /// Files of certificate authorities.
    pub(crate) authorities: Vec<PathBuf>,
}

/// Whose file it is, and so what it may say.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Owner {
    Project,
    User,
}

impl Settings {
    /// Reads the file that is named by `flag` or by the environment, or else the project's and the user's. A named file
    /// must be there, the others need not.
    pub(crate) fn load(flag: Option<&Path>, environment: &Environment) -> Result<Self, CliError> {
        let mut settings = Self::default();
        if let Some(named) = flag.or(environment.config.as_deref()) {
            settings.read(named, &files::read(named, MAX_DOCUMENT_BYTES as u64)?, Owner::User)?;
            return Ok(settings);
        }
        let user = environment.config_directory().map(|directory| (directory.join(USER_FILE), Owner::User));
        // The project's come first: of equal prefixes the first rule counts.
        for (path, owner) in [(PathBuf::from(PROJECT_FILE), Owner::Project)].into_iter().chain(user) {
            match files::read(&path, MAX_DOCUMENT_BYTES as u64) {
                Ok(bytes) => settings.read(&path, &bytes, owner)?,
                Err(CliError::Read { source, .. }) if is_absent(source.kind()) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(settings)
    }

    fn read(&mut self, path: &Path, bytes: &[u8], owner: Owner) -> Result<(), CliError> {
        let document = Document::parse(bytes, path.display().to_string());
        let document = document.map_err(CliError::Config)?;
        let directory = path.parent().unwrap_or(Path::new(""));
        self.add(&document.root(), directory, owner).map_err(CliError::Config)
    }

    fn add(&mut self, root: &Entry<'_>, directory: &Path, owner: Owner) -> Result<(), DocumentError> {
        let Some(registries) = root.fields(&["registries"])?.optional("registries") else { return Ok(()) };
        let registries = registries.fields(&["certificateAuthorities", "https", "mirrors", "plainHttp"])?;
        for name in ["certificateAuthorities", "plainHttp"] {
            if let (Some(entry), Owner::Project) = (registries.optional(name), owner) {
                return Err(entry.expected(NOT_OF_A_PROJECT));
            }
        }
        if let Some(entry) = registries.optional("certificateAuthorities") {
            for file in entry.list("files", MAX_ENTRIES)? {
                self.authorities.push(directory.join(file.text("a file")?));
            }
        }
        for (name, hosts) in [("https", &mut self.https), ("plainHttp", &mut self.plain_http)] {
            let Some(entry) = registries.optional(name) else { continue };
            for host in entry.list("registries", MAX_ENTRIES)? {
                hosts.insert(host.parsed("a registry, as `host[:port]`")?);
            }
        }
        if let Some(entry) = registries.optional("mirrors") {
            for rule in entry.list("rules", MAX_ENTRIES)? {
                self.mirrors.push(mirror_rule(&rule, owner)?);
            }
        }
        Ok(())
    }
}

/// What a project's file may not set.
const NOT_OF_A_PROJECT: &str = "nothing here: this belongs into the user's file, or into one that `--config` names";

fn mirror_rule(entry: &Entry<'_>, owner: Owner) -> Result<MirrorRule, DocumentError> {
    const PREFIX: &str = "a registry or the beginning of a repository's name, as in `docker.io/library`";
    let fields = entry.fields(&["of", "at", "original"])?;
    let prefix = fields.required("of")?.parsed(PREFIX)?;
    let mirrors = fields.required("at")?.list("mirrors", MAX_ENTRIES)?;
    let mirrors = mirrors.iter().map(|mirror| mirror.parsed(PREFIX)).collect::<Result<_, _>>()?;
    let mut rule = MirrorRule::new(prefix, mirrors);
    if let Some(original) = fields.optional("original") {
        rule.original =
            original.one_of(&[("first", Original::First), ("last", Original::Last), ("never", Original::Never)])?;
        if owner == Owner::Project && rule.original != Original::First {
            return Err(original.expected("`first`: a project's file cannot let a mirror say what a tag names"));
        }
    }
    Ok(rule)
}

fn is_absent(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::NotFound | ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, owner: Owner) -> Result<Settings, String> {
        let mut settings = Settings::default();
        let read = settings.read(Path::new("dir/f.yaml"), text.as_bytes(), owner);
        let said = |error| match error {
            CliError::Config(error) => error.to_string(),
            other => other.to_string(),
        };
        read.map(|()| settings).map_err(said)
    }

    #[test]
    fn settings_are_read() {
        let text = "registries:\n  plainHttp: [\"reg.lan:5000\"]\n  certificateAuthorities: [ca.pem, /etc/ca.pem]\n  \
                    mirrors:\n    - of: docker.io\n      at: [mirror.lan/hub]\n      original: never\n";
        let settings = read(text, Owner::User).unwrap();
        assert!(settings.plain_http.contains(&"reg.lan:5000".parse().unwrap()));
        assert!(read("registries: {https: [localhost]}", Owner::Project).unwrap().https.len() == 1);
        assert_eq!(settings.authorities, [Path::new("dir/ca.pem"), Path::new("/etc/ca.pem")]);
        assert_eq!(settings.mirrors[0].original, Original::Never);
        assert_eq!(settings.mirrors[0].mirrors, ["mirror.lan/hub".parse().unwrap()]);
        assert!(read("registries: {}\n", Owner::Project).unwrap().mirrors.is_empty());
    }

    #[test]
    fn errors_say_where() {
        use Owner::{Project, User};
        for (owner, text, expected) in [
            (User, "registry: {}", "dir/f.yaml:1:1: registry: unknown field; known are registries"),
            (User, "registries:\n  mirrors:\n  - at: [x.test]\n", "dir/f.yaml:3:5: registries.mirrors[0]: "),
            (
                User,
                "registries:\n  mirrors:\n  - of: library\n    at: [x.test]\n",
                "registries.mirrors[0].of: `library`",
            ),
            (User, "registries: {mirrors: [{of: a.test, at: []}]}", "registries.mirrors[0].at: expected a list"),
            (User, "registries: {plainHttp: [\"http://a.test\"]}", "registries.plainHttp[0]: `http://a.test` is not"),
            (Project, "registries: {plainHttp: [a.test]}", "registries.plainHttp: expected nothing here"),
            (Project, "registries: {certificateAuthorities: [a]}", "certificateAuthorities: expected nothing here"),
            (Project, "registries: {mirrors: [{of: a.test, at: [b.test], original: last}]}", "expected `first`: a pro"),
        ] {
            let error = read(text, owner).unwrap_err();
            assert!(error.contains(expected), "{error}\n{expected}");
        }
    }
}
