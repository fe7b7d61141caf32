//! The configuration files that people and other programs read.

use std::io;
use std::path::{Path, PathBuf};

use super::{LogVersion, Sigstore, TrustedRootVersion};

/// Where [`Sigstore::write_files`] wrote what.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SigstoreFiles {
    /// Trusted root: all keys and certificates.
    pub trusted_root: PathBuf,
    /// Signing configuration with both versions of the log.
    pub signing_config: PathBuf,
    /// Signing configuration with version 1 of the log only.
    pub signing_config_v1: PathBuf,
    /// Trusted root and signing configuration in one, for sigstore-python.
    pub trust_config: PathBuf,
    /// As `trust_config`, with version 1 of the log only.
    pub trust_config_v1: PathBuf,
    /// First root of the TUF repository.
    pub tuf_root: PathBuf,
    /// Token about the configured identity. Good for ten minutes.
    pub token: PathBuf,
    /// Certificates of the authority, the root's last: `SIGSTORE_ROOT_FILE` of cosign 2.
    pub fulcio_chain: PathBuf,
    /// Key of the certificate transparency log: `SIGSTORE_CT_LOG_PUBLIC_KEY_FILE`.
    pub ct_log_key: PathBuf,
    /// Key of version 1 of the log: `SIGSTORE_REKOR_PUBLIC_KEY`.
    pub rekor_key: PathBuf,
}

impl SigstoreFiles {
    /// Returns every file's name and path.
    pub fn named(&self) -> [(&'static str, &Path); 10] {
        [
            ("trusted-root", &self.trusted_root),
            ("signing-config", &self.signing_config),
            ("signing-config-v1", &self.signing_config_v1),
            ("trust-config", &self.trust_config),
            ("trust-config-v1", &self.trust_config_v1),
            ("tuf-root", &self.tuf_root),
            ("token", &self.token),
            ("fulcio-chain", &self.fulcio_chain),
            ("ct-log-key", &self.ct_log_key),
            ("rekor-key", &self.rekor_key),
        ]
    }
}

impl Sigstore {
    /// Writes the configuration files into a folder, which is made where it is missing.
    ///
    /// # Errors
    /// Fails when a file cannot be written, or the token cannot be signed.
    pub fn write_files(&self, folder: &Path) -> io::Result<SigstoreFiles> {
        std::fs::create_dir_all(folder)?;
        let write = |name: &str, bytes: &[u8]| {
            let path = folder.join(name);
            std::fs::write(&path, bytes).map(|()| path)
        };
        let token = self.mint(&self.services.oidc.identity()).map_err(io::Error::other)?;
        let both = [LogVersion::V2, LogVersion::V1];
        let fulcio = &self.services.fulcio;
        Ok(SigstoreFiles {
            trusted_root: write("trusted_root.json", self.trusted_root(TrustedRootVersion::V0_1).as_bytes())?,
            signing_config: write("signing_config.json", self.signing_config(&both).as_bytes())?,
            signing_config_v1: write("signing_config.v1.json", self.signing_config(&[LogVersion::V1]).as_bytes())?,
            trust_config: write("trust_config.json", self.trust_config(&both).as_bytes())?,
            trust_config_v1: write("trust_config.v1.json", self.trust_config(&[LogVersion::V1]).as_bytes())?,
            tuf_root: write("tuf_root.json", &self.tuf_root())?,
            token: write("token", token.as_bytes())?,
            fulcio_chain: write("fulcio.pem", [fulcio.issuing.pem(), fulcio.root.pem()].concat().as_bytes())?,
            ct_log_key: write("ctfe.pub", self.services.ct_log.key.public_pem().as_bytes())?,
            rekor_key: write("rekor.pub", self.services.rekor_v1.key.public_pem().as_bytes())?,
        })
    }
}
