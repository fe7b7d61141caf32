//! Certificates for single registries, in the folders that docker and podman read: `FOLDER/HOST[:PORT]/`.
//!
//! Files `*.crt` hold authorities that are trusted for this registry; `NAME.cert` and `NAME.key` are the certificate that
//! it is shown, and its key. They are for the registry itself, never for where it sends us: another realm, another store.
//! Format: <https://github.com/containers/image/blob/v5.36.2/docs/containers-certs.d.5.md>.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use sealift_core::oci::RegistryHost;

use crate::access::Tls;
use crate::clients::Clients;
use crate::redact::Secret;

/// The largest file read; a system's whole bundle of authorities has 250 KiB.
const MAX_FILE_BYTES: u64 = 4 * 1024 * 1024;
/// The most files looked at of one registry; stops a folder of something else from being read whole.
const MAX_FILES: usize = 100;

/// Folders that hold one of certificates for each of several registries. Of one registry the first that there is counts,
/// unless it was given a folder of its own.
#[derive(Clone, Debug, Default)]
pub struct CertificateFolders {
    shared: Vec<PathBuf>,
    own: BTreeMap<RegistryHost, PathBuf>,
}

impl CertificateFolders {
    /// Looks in these folders, in order; those that are not there are passed over.
    pub fn new(folders: Vec<PathBuf>) -> Self {
        Self { shared: folders, own: BTreeMap::new() }
    }

    /// Looks for the certificates of `host` in `folder` and nowhere else; the folder must be there.
    pub fn set_folder_of(&mut self, host: RegistryHost, folder: PathBuf) {
        self.own.insert(host, folder);
    }

    /// Returns `http`, with the certificates of `host` where a folder holds some.
    pub(crate) fn clients_of(&self, host: &RegistryHost, http: &Clients) -> io::Result<Clients> {
        // Docker takes a folder by the spelling, so that one with the port of HTTPS is another.
        let written = host.writes_https_port().then(|| format!("{host}:443"));
        let names = || written.iter().map(String::as_str).chain([host.as_str()]);
        let mut shared = self.shared.iter().flat_map(|folder| names().map(|name| folder.join(name)));
        let own = self.own.get(host).cloned();
        let Some(folder) = own.or_else(|| shared.find(|folder| folder.is_dir())) else { return Ok(http.clone()) };
        let tls = extended(http.own_tls(), &folder)?;
        http.with_own_tls(tls).map_err(|error| unusable(&folder, &error.to_string()))
    }
}

/// Returns `tls` with what `folder` holds. A client certificate that `tls` has already was chosen, and stays.
fn extended(tls: &Tls, folder: &Path) -> io::Result<Tls> {
    let mut tls = tls.clone();
    let files = std::fs::read_dir(folder).map_err(|error| of_file(folder, &error))?;
    let mut files = files.take(MAX_FILES + 1).map(|file| Ok(file?.path())).collect::<io::Result<Vec<_>>>()?;
    if files.len() > MAX_FILES {
        return Err(unusable(folder, &format!("it holds more than {MAX_FILES} files")));
    }
    files.sort_unstable();
    let ending = |wanted: &'static str| move |file: &&PathBuf| file.extension() == Some(OsStr::new(wanted));
    for authority in files.iter().filter(ending("crt")) {
        tls.authorities.push(read(authority)?);
    }
    if tls.client_identity.is_some() {
        return Ok(tls);
    }
    let certificates: Vec<_> = files.iter().filter(ending("cert")).collect();
    let keys = files.iter().filter(ending("key"));
    if let Some(alone) = keys.into_iter().find(|key| !key.with_extension("cert").is_file()) {
        return Err(unusable(alone, "there is no certificate beside it with the ending `.cert`"));
    }
    match certificates.as_slice() {
        [] => {}
        [certificate] => tls.client_identity = Some(identity(certificate)?),
        _ => return Err(unusable(folder, "it holds several client certificates, and only one can be shown")),
    }
    Ok(tls)
}

fn identity(certificate: &Path) -> io::Result<Secret> {
    let key = certificate.with_extension("key");
    if !key.is_file() {
        return Err(unusable(
            certificate,
            "there is no key beside it with the ending `.key`; authorities end in `.crt`",
        ));
    }
    let text = |file: &Path| String::from_utf8(read(file)?).map_err(|_| unusable(file, "it is not PEM"));
    Ok(Secret::from(format!("{}\n{}", text(certificate)?, text(&key)?)))
}

fn read(file: &Path) -> io::Result<Vec<u8>> {
    let failed = |error| of_file(file, &error);
    let mut bytes = Vec::new();
    std::fs::File::open(file).map_err(failed)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    match bytes.len() as u64 > MAX_FILE_BYTES {
        true => Err(unusable(file, &format!("it is larger than {MAX_FILE_BYTES} bytes"))),
        false => Ok(bytes),
    }
}

fn of_file(file: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("`{}`: {error}", file.display()))
}

fn unusable(file: &Path, problem: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("`{}`: {problem}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_read_as_docker_reads_it() {
        for (files, authorities, outcome) in [
            (&[][..], 0, Ok(None)),
            (&["ca.crt", "other.crt", "readme.txt"], 2, Ok(None)),
            (&["client.cert", "client.key"], 0, Ok(Some("client.cert\nclient.key"))),
            (&["ca.crt", "client.cert", "client.key"], 1, Ok(Some("client.cert\nclient.key"))),
            (&["client.cert"], 0, Err("client.cert`: there is no key")),
            (&["client.key"], 0, Err("client.key`: there is no certificate")),
            (&["a.cert", "a.key", "b.cert", "b.key"], 0, Err("several client certificates")),
        ] {
            let folder = tempfile::tempdir().unwrap();
            for file in files {
                std::fs::write(folder.path().join(file), file).unwrap();
            }
            match (extended(&Tls::default(), folder.path()), outcome) {
                (Ok(tls), Ok(identity)) => {
                    assert_eq!(tls.authorities.len(), authorities, "{files:?}");
                    assert_eq!(tls.client_identity.as_ref().map(Secret::expose), identity, "{files:?}");
                }
                (Err(error), Err(words)) => assert!(error.to_string().contains(words), "{error}"),
                (found, _) => panic!("{files:?}: {found:?}"),
            }
        }
    }

    #[test]
    fn a_client_certificate_that_was_chosen_stays() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("client.cert"), "another").unwrap();
        let mut chosen = Tls::default();
        chosen.client_identity = Some(Secret::from("chosen"));
        let found = extended(&chosen, folder.path()).unwrap();
        assert_eq!(found.client_identity.as_ref().map(Secret::expose), Some("chosen"));
    }
}
