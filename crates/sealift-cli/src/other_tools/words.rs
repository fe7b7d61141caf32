//! The words of other tools' command lines, and what each means here: data alone, which the tests read too.
//!
//! A word is left out only where leaving it out does what it asks for, and replaced only by what means the same: whatever
//! would weaken a check, or do less than was asked, is refused with what to do instead.

/// A word that people know from another tool, and `sealift` does not take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Word {
    /// The commands where it is typed, as in `trust init`; none: any. Of two entries for one place the first counts.
    pub(crate) at: &'static [&'static str],
    pub(crate) word: &'static str,
    pub(crate) meaning: Meaning,
}

/// What comes with a word, and what it means.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Meaning {
    /// A flag with a value that matters; the last equivalent is for any other.
    Choice(&'static [(&'static str, Equivalent)], Equivalent),
    /// A switch, as typed alone or with `=true`, and with `=false`.
    Switch(Equivalent, Equivalent),
    /// A flag with a value.
    Value(Equivalent),
    /// A command.
    Verb(Equivalent),
}

/// What stands here for a word of another tool.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Equivalent {
    /// What it asks for is done in any case: it is left out.
    Done,
    /// Why it is not taken, and what to do instead.
    No(&'static str, &'static str),
    /// These words mean the same; a value goes to the last.
    Ours(&'static [&'static str]),
}

use Equivalent::{Done, No, Ours};
use Meaning::{Choice, Switch, Value, Verb};

const SIGN: &[&str] = &["sign", "attest", "sign-blob", "attest-blob"];
const SIGN_IMAGES: &[&str] = &["sign", "attest"];
const SIGN_FILES: &[&str] = &["sign-blob", "attest-blob"];
const VERIFY: &[&str] = &["verify", "verify-attestation", "verify-blob", "verify-blob-attestation"];
const VERIFY_IMAGES: &[&str] = &["verify", "verify-attestation"];
const VERIFY_FILES: &[&str] = &["verify-blob", "verify-blob-attestation"];
const MOVE: &[&str] = &["copy", "promote"];
const KEYS: &[&str] = &["key generate", "generate-key-pair"];

/// Every word.
pub(crate) const WORDS: &[Word] = &[
    // cosign's commands.
    verb(
        "clean",
        No(
            "signatures are deleted one by one, or with their artifact",
            "`sealift tree REFERENCE` shows what is attached; delete each by its digest with `sealift delete --yes \
         REPOSITORY@DIGEST`, or all with the artifact by `sealift delete --yes --referrers REFERENCE`",
        ),
    ),
    verb(
        "initialize",
        No(
            "an installation is made known beside the others, and then named where it is meant",
            "`sealift trust init --url URL --root FILE` makes one known, and `--instance URL` or the variable \
         SEALIFT_INSTANCE says where it is meant; the public-good installation is built in and stays up to date",
        ),
    ),
    verb(
        "trusted-root",
        No(
            "trust roots are not put together here",
            "`sealift trust show --raw` prints that of an installation; authorities of your own go to `--ca-roots` and \
         `--timestamp-certificate-chain`, a file from elsewhere to `--trusted-root`",
        ),
    ),
    verb(
        "signing-config",
        No(
            "signing configurations are not put together here",
            "name the services with `--fulcio-url`, `--rekor-url` and `--timestamp-server-url`, or give a file from \
         elsewhere to `--signing-config`",
        ),
    ),
    verb(
        "dockerfile",
        No("Dockerfiles are not read", "name the images that it starts from: `sealift verify --key KEY IMAGE...`"),
    ),
    verb(
        "manifest",
        No(
            "there is no group of this name",
            "`sealift verify IMAGE...` verifies the images that a manifest of Kubernetes names, `sealift triangulate --type \
         digest REFERENCE` prints a digest, and `sealift tree REFERENCE` shows what is there",
        ),
    ),
    verb(
        "upload",
        No(
            "nothing but evidence is uploaded",
            "`sealift attach --type TYPE REFERENCE FILE` attaches a file to an artifact; what builds artifacts pushes them",
        ),
    ),
    verb(
        "generate",
        No(
            "payloads are not printed to be signed elsewhere",
            "`sealift sign --no-upload --bundle FILE REFERENCE` signs without storing; `sealift attach signature` stores what \
         was signed elsewhere",
        ),
    ),
    verb("piv-tool", NO_TOKEN),
    verb("pkcs11-tool", NO_TOKEN),
    at(
        &["bundle"],
        "create",
        Verb(No(
            "a bundle is made by what signs, or of one of an older version",
            "`sealift bundle upgrade OLD` rewrites an older bundle; `sealift verify-blob --signature FILE --certificate FILE` \
         reads the parts as they are",
        )),
    ),
    // Commands of oras, crane, skopeo, regctl, helm and notation.
    verb("cp", Ours(&["copy"])),
    verb(
        "sync",
        No(
            "repositories are not mirrored whole",
            "`sealift promote 'REPOSITORY:*' DESTINATION` moves all tags, verified; `sealift promote --from-file FILE` moves \
         what a file names",
        ),
    ),
    verb(
        "pull",
        No(
            "nothing is unpacked",
            "`sealift copy REFERENCE oci-layout://DIRECTORY:TAG` or `sealift save --to FILE.tar REFERENCE` brings an artifact \
         with all its evidence",
        ),
    ),
    verb(
        "push",
        No(
            "artifacts are pushed by what builds them",
            "`sealift copy oci-layout://DIRECTORY:TAG REFERENCE` pushes a layout, `sealift load FILE.tar REPOSITORY` an \
         archive, and `sealift attach` a file as an attachment",
        ),
    ),
    verb("discover", Ours(&["tree"])),
    verb("ls", No("tags are not listed", "`sealift tree REFERENCE` shows what is attached to an artifact")),
    verb("list", No("tags are not listed", "`sealift tree REFERENCE` shows what is attached to an artifact")),
    verb("rm", Ours(&["delete"])),
    verb(
        "digest",
        No(
            "it is one of the names that are printed",
            "`sealift triangulate --type digest REFERENCE` prints the reference with its digest",
        ),
    ),
    verb(
        "tag",
        No(
            "tags are moved with what they name",
            "`sealift promote --key KEY REFERENCE REPOSITORY:NEW-TAG` verifies and tags, also within one repository",
        ),
    ),
    verb("auth", No("there is no group of this name", "`sealift login REGISTRY`, `sealift logout REGISTRY`")),
    at(&["registry"], "login", Verb(No("it is a command of its own", "`sealift login REGISTRY`"))),
    at(&["registry"], "logout", Verb(No("it is a command of its own", "`sealift logout REGISTRY`"))),
    verb(
        "image",
        No(
            "there is no group of this name",
            "`sealift copy`, `sealift inspect`, `sealift delete` and the others are commands of their own",
        ),
    ),
    verb(
        "attestation",
        No(
            "there is no group of this name",
            "`sealift verify-attestation REFERENCE` and `sealift verify-blob-attestation FILE` verify, `sealift download \
         attestation REFERENCE` prints",
        ),
    ),
    verb(
        "cert",
        No(
            "there is no store of certificates",
            "certificates to trust are named where they are meant, with `--ca-roots FILE`",
        ),
    ),
    // Signing, as cosign's flags say.
    at(SIGN, "--certificate", Value(OWN_CERTIFICATE)),
    at(SIGN, "--cert", Value(OWN_CERTIFICATE)),
    at(SIGN, "--certificate-chain", Value(OWN_CERTIFICATE)),
    at(SIGN, "--cert-chain", Value(OWN_CERTIFICATE)),
    at(
        SIGN,
        "--use-signing-config",
        Switch(
            Done,
            No(
                "the installation says which services sign, unless they are named",
                "name them with `--fulcio-url`, `--rekor-url` and `--timestamp-server-url`",
            ),
        ),
    ),
    at(SIGN, "--sk", Switch(NO_TOKEN, Done)),
    at(SIGN, "--slot", Value(NO_TOKEN)),
    at(
        SIGN,
        "--signing-algorithm",
        Value(No(
            "the key says the algorithm; keys that are made for one certificate are ECDSA on P-256",
            "choose when the key is made: `sealift key generate --algorithm ALGORITHM`",
        )),
    ),
    at(SIGN_IMAGES, "--upload", Switch(Done, Ours(&["--no-upload"]))),
    at(SIGN_IMAGES, "--new-bundle-format", Switch(Done, Ours(&["--format", "legacy"]))),
    at(
        SIGN_FILES,
        "--new-bundle-format",
        Switch(
            Done,
            No(
                "files get bundles of the standardized form",
                "`sealift sign-blob --output-signature FILE` writes the signature alone as well",
            ),
        ),
    ),
    at(
        SIGN_IMAGES,
        "--registry-referrers-mode",
        Choice(
            &[("oci-1-1", Done), ("legacy", Ours(&["--format", "legacy"]))],
            No(
                "it is neither `legacy` nor `oci-1-1`",
                "`--format bundle`, `legacy` or `both` says how signatures are stored",
            ),
        ),
    ),
    at(
        SIGN_IMAGES,
        "--record-creation-timestamp",
        Switch(
            No(
                "a time that only the signer says is no proof",
                "`--timestamp-server-url URL` has an authority say the time",
            ),
            Done,
        ),
    ),
    at(
        &["sign"],
        "--payload",
        Value(No(
            "payloads are made from the artifact's digest",
            "`sealift attach signature --payload FILE --signature FILE REFERENCE` stores what was signed elsewhere",
        )),
    ),
    at(&["sign"], "--output-signature", Value(OUTPUT_OF_IMAGES)),
    at(&["sign"], "--output-payload", Value(OUTPUT_OF_IMAGES)),
    at(
        SIGN,
        "--output-certificate",
        Value(No(
            "the certificate is in the bundle",
            "`--bundle FILE` writes the bundle, and `sealift bundle inspect --output json FILE` shows what is in it",
        )),
    ),
    at(
        SIGN_FILES,
        "--rfc3161-timestamp",
        Value(No(
            "the timestamp is in the bundle",
            "`--bundle FILE` writes the bundle, and `--timestamp-server-url URL` asks for the timestamp",
        )),
    ),
    at(
        &["sign-blob"],
        "--b64",
        Switch(Done, No("a signature alone is written in base64", "decode it: `base64 -d FILE`")),
    ),
    at(
        SIGN,
        "--issue-certificate",
        Switch(
            No(
                "a key signs without a certificate",
                "leave out `--key`: an identity provider then says who signs, and a certificate is issued",
            ),
            Done,
        ),
    ),
    at(
        SIGN,
        "--insecure-skip-verify",
        Switch(
            No(
                "a certificate that no transparency log knows would be accepted by nobody",
                "give the trust root of the installation that signs, with `--trusted-root` or `--instance`",
            ),
            Done,
        ),
    ),
    at(SIGN, "--timestamp-client-cert", Value(AUTHORITY_TLS)),
    at(SIGN, "--timestamp-client-key", Value(AUTHORITY_TLS)),
    at(SIGN, "--timestamp-client-cacert", Value(AUTHORITY_TLS)),
    at(SIGN, "--timestamp-server-name", Value(AUTHORITY_TLS)),
    at(
        KEYS,
        "--kms",
        Value(No(
            "keys of a key management service are neither made nor used",
            "leave it out: the key is written as an encrypted file",
        )),
    ),
    // Verifying, as cosign's flags say.
    at(
        VERIFY,
        "--check-claims",
        Switch(
            Done,
            No(
                "what a signature says is signed is always compared with the artifact: without that, any signature would do",
                "leave it out",
            ),
        ),
    ),
    at(VERIFY_IMAGES, "--max-workers", Value(Ours(&["--concurrency"]))),
    at(VERIFY_FILES, "--max-workers", Value(Done)),
    at(
        VERIFY_IMAGES,
        "--local-image",
        Switch(
            No(
                "a local image is named as one",
                "`oci-layout://DIRECTORY:TAG`, also for what `cosign save` wrote; `sealift tree` shows what it holds",
            ),
            Done,
        ),
    ),
    at(VERIFY_IMAGES, "--new-bundle-format", Switch(Done, Done)),
    at(VERIFY_IMAGES, "--experimental-oci11", Switch(Done, Done)),
    at(VERIFY_IMAGES, "--bundle-from-oci", Switch(Done, Done)),
    at(VERIFY_IMAGES, "--registry-referrers-mode", Value(Done)),
    at(
        VERIFY_IMAGES,
        "--bundle",
        Value(No(
            "signatures of images are read where the image is",
            "`sealift attach --type application/vnd.dev.sigstore.bundle.v0.3+json REFERENCE FILE` puts it there",
        )),
    ),
    at(VERIFY_IMAGES, "--signature", Value(SIGNATURE_OF_IMAGES)),
    at(VERIFY_IMAGES, "--payload", Value(SIGNATURE_OF_IMAGES)),
    at(VERIFY_IMAGES, "--certificate", Value(CERTIFICATE_OF_IMAGES)),
    at(VERIFY_IMAGES, "--cert", Value(CERTIFICATE_OF_IMAGES)),
    at(
        VERIFY_IMAGES,
        "--attachment",
        Value(No(
            "signatures of an SBOM's tag are not verified",
            "verify the attestation: `sealift verify-attestation --type spdx REFERENCE`",
        )),
    ),
    at(
        &["verify-attestation", "verify-blob-attestation"],
        "--policy",
        Value(No(
            "policies in CUE and Rego are not run",
            "`sealift verify --policy FILE` judges signatures and attestations by a policy of sealift's; or give the payload to \
         another program: `sealift verify-attestation --output json REFERENCE | jq -r .payload | base64 -d`",
        )),
    ),
    at(&["verify-attestation", "verify-blob-attestation"], "--predicate-type", Value(Ours(&["--type"]))),
    at(VERIFY, "--sk", Switch(KEY_ON_TOKEN, Done)),
    at(VERIFY, "--slot", Value(KEY_ON_TOKEN)),
    at(
        VERIFY,
        "--rekor-url",
        Value(No(
            "no log is asked: what proves a signature comes with it",
            "name the trust root of the installation whose log it is, with `--trusted-root` or `--instance`",
        )),
    ),
    at(
        VERIFY,
        "--sct",
        Value(No(
            "what proves that a log knows the certificate is in the certificate",
            "leave it out, or accept certificates without it by `--insecure-ignore-sct`",
        )),
    ),
    at(
        VERIFY,
        "--signature-digest-algorithm",
        Value(No("the key and the signature say the algorithm", "leave it out")),
    ),
    at(
        VERIFY_FILES,
        "--rfc3161-timestamp",
        Value(No(
            "a timestamp is read from the bundle",
            "`cosign bundle create` puts signature, certificate and timestamp into one, which `--bundle` takes",
        )),
    ),
    at(VERIFY_FILES, "--digest", Value(DIGEST_OF_FILES)),
    at(VERIFY_FILES, "--digestAlg", Value(DIGEST_OF_FILES)),
    // Verifying, as `gh attestation verify` and notation say.
    at(
        VERIFY,
        "--deny-self-hosted-runners",
        Switch(Ours(&["--certificate-claim", "runner-environment=github-hosted"]), Done),
    ),
    at(
        VERIFY,
        "--signer-workflow",
        Value(No(
            "a workflow is named as its certificate does",
            "`--certificate-identity-glob 'https://github.com/OWNER/REPOSITORY/.github/workflows/FILE@*'` with \
         `--certificate-oidc-issuer https://token.actions.githubusercontent.com`",
        )),
    ),
    at(
        VERIFY,
        "--signer-repo",
        Value(No(
            "a workflow is named as its certificate does",
            "`--certificate-identity-glob 'https://github.com/OWNER/REPOSITORY/**'` with `--certificate-oidc-issuer \
         https://token.actions.githubusercontent.com`",
        )),
    ),
    at(VERIFY, "--owner", Value(SOURCE_CLAIMS)),
    at(VERIFY, "--repo", Value(SOURCE_CLAIMS)),
    at(VERIFY, "--source-ref", Value(SOURCE_CLAIMS)),
    at(VERIFY, "--source-digest", Value(SOURCE_CLAIMS)),
    at(VERIFY, "--cert-identity-regex", Value(Ours(&["--certificate-identity-regexp"]))),
    at(VERIFY, "--custom-trusted-root", Value(Ours(&["--trusted-root"]))),
    at(
        VERIFY,
        "--no-public-good",
        Switch(
            No(
                "only the installations that are named are trusted, and the public-good one where none is",
                "`--instance github` trusts GitHub's alone, `--trusted-root FILE` what the file says",
            ),
            Done,
        ),
    ),
    at(
        SIGN,
        "--expiry",
        Value(No(
            "a signature does not say until when it counts",
            "`sealift lifecycle set` marks an artifact's end of life, which `--fail-on-eol` denies",
        )),
    ),
    at(
        SIGN,
        "--signature-format",
        Value(No(
            "signatures are Sigstore bundles or cosign's, not those of notation",
            "`--format bundle`, `legacy` or `both` says how `sealift sign` stores them",
        )),
    ),
    // Registries.
    any(
        "--registry-referrers-mode",
        Value(No(
            "everything attached is found wherever it is, and listed in the way that the registry has",
            "leave it out",
        )),
    ),
    any(
        "--registry-server-name",
        Value(No(
            "a registry's certificate must name the host that the reference names",
            "use the name in the certificate; `--registry-cacert FILE` trusts an authority of your own",
        )),
    ),
    any("--k8s-keychain", Switch(Done, Done)),
    any(
        "--attachment-tag-prefix",
        Value(No(
            "tags of signatures have cosign's own names",
            "`--signature-repository REPOSITORY` keeps signatures apart",
        )),
    ),
    any("--ca-file", Value(Ours(&["--registry-cacert"]))),
    any("--cert-file", Value(Ours(&["--registry-client-cert"]))),
    any("--key-file", Value(Ours(&["--registry-client-key"]))),
    any("--insecure", Switch(INSECURE, Done)),
    any("--tls-verify", Switch(Done, INSECURE)),
    any(
        "--creds",
        Value(No(
            "name and password are two flags",
            "`--registry-username USER --registry-password PASSWORD`, or `sealift login REGISTRY`",
        )),
    ),
    any("--authfile", Value(CREDENTIALS_FILE)),
    any("--registry-config", Value(CREDENTIALS_FILE)),
    any("--oci-layout", Switch(LAYOUT, Done)),
    any("--output-file", Value(No("results are written to standard output", "`> FILE` writes them to a file"))),
    any("--retry-times", Value(Done)),
    any("--no-tty", Switch(Ours(&["--no-progress"]), Done)),
    // Copying.
    at(&["copy"], "--force", Switch(Done, TAG_MOVES)),
    at(&["copy"], "-f", Switch(Done, TAG_MOVES)),
    at(&["copy"], "--no-clobber", Switch(TAG_MOVES, Done)),
    at(&["copy"], "--only", Value(NO_PART)),
    at(&["copy"], "--sig-only", Switch(NO_PART, Done)),
    at(&["copy"], "--recursive", Switch(Ours(&["--referrers"]), Ours(&["--referrers=false"]))),
    at(&["copy"], "--all", Switch(Done, NO_PLATFORMS)),
    at(&["copy"], "-a", Switch(Done, NO_PLATFORMS)),
    at(&["copy"], "--multi-arch", Choice(&[("all", Done)], NO_PLATFORMS)),
    at(
        &["copy"],
        "--all-tags",
        Switch(
            No(
                "one image is copied at a time",
                "`sealift promote 'REPOSITORY:*' DESTINATION` moves all tags, verified",
            ),
            Done,
        ),
    ),
    at(
        &["copy"],
        "--remove-signatures",
        Switch(
            No(
                "what is attached is copied, or left behind with all else",
                "`--referrers=false` copies the artifact alone; `sealift promote --exclude TYPE` chooses",
            ),
            Done,
        ),
    ),
    at(
        MOVE,
        "--digest-tags",
        Switch(
            Done,
            No(
                "tags that stand for signatures travel with what they sign",
                "`sealift copy --referrers=false` copies the artifact alone; `sealift promote --exclude TYPE` chooses",
            ),
        ),
    ),
    at(MOVE, "--preserve-digests", Switch(Done, Done)),
    at(MOVE, "--fast", Switch(Done, Done)),
    at(MOVE, "--force-recursive", Switch(Done, Done)),
    at(MOVE, "--referrers-src", Value(REFERRERS_APART)),
    at(MOVE, "--referrers-tgt", Value(REFERRERS_APART)),
    at(
        MOVE,
        "--src-creds",
        Value(No(
            "name and password are two flags",
            "`--from-username USER --from-password PASSWORD`, or `sealift login REGISTRY`",
        )),
    ),
    at(
        MOVE,
        "--dest-creds",
        Value(No(
            "name and password are two flags",
            "`--to-username USER --to-password PASSWORD`, or `sealift login REGISTRY`",
        )),
    ),
    at(MOVE, "--src-tls-verify", Switch(Done, INSECURE_END)),
    at(MOVE, "--dest-tls-verify", Switch(Done, INSECURE_END)),
    at(MOVE, "--from-insecure", Switch(INSECURE_END, Done)),
    at(MOVE, "--to-insecure", Switch(INSECURE_END, Done)),
    at(MOVE, "--src-registry-token", Value(Ours(&["--from-token"]))),
    at(MOVE, "--dest-registry-token", Value(Ours(&["--to-token"]))),
    at(MOVE, "--src-cert-dir", Value(Ours(&["--from-cert-dir"]))),
    at(MOVE, "--dest-cert-dir", Value(Ours(&["--to-cert-dir"]))),
    at(MOVE, "--from-ca-file", Value(Ours(&["--from-cacert"]))),
    at(MOVE, "--to-ca-file", Value(Ours(&["--to-cacert"]))),
    at(MOVE, "--from-cert-file", Value(Ours(&["--from-client-cert"]))),
    at(MOVE, "--to-cert-file", Value(Ours(&["--to-client-cert"]))),
    at(MOVE, "--from-key-file", Value(Ours(&["--from-client-key"]))),
    at(MOVE, "--to-key-file", Value(Ours(&["--to-client-key"]))),
    at(MOVE, "--src-authfile", Value(CREDENTIALS_FILE)),
    at(MOVE, "--dest-authfile", Value(CREDENTIALS_FILE)),
    at(MOVE, "--from-registry-config", Value(CREDENTIALS_FILE)),
    at(MOVE, "--to-registry-config", Value(CREDENTIALS_FILE)),
    at(MOVE, "--from-oci-layout", Switch(LAYOUT, Done)),
    at(MOVE, "--to-oci-layout", Switch(LAYOUT, Done)),
    at(&["promote"], "--confirm", Switch(Done, Ours(&["--dry-run"]))),
    at(
        &["copy"],
        "--confirm",
        Switch(Done, No("a copy has no plan to look at", "`sealift promote --dry-run` prints what would be moved")),
    ),
    at(
        &["promote"],
        "--no-verify",
        Switch(No("a promotion verifies at both ends", "`sealift copy` copies without verifying"), Done),
    ),
    // What is left of cosign's.
    at(
        &["save"],
        "--dir",
        Value(No(
            "images are saved in one file",
            "`sealift save --to FILE.tar REFERENCE`, or a directory by `sealift copy REFERENCE oci-layout://DIRECTORY:TAG`",
        )),
    ),
    at(&["load"], "--dir", Value(No("the archive comes first, without a flag", "`sealift load DIRECTORY REPOSITORY`"))),
    at(&["delete"], "-f", Switch(Ours(&["--yes"]), Done)),
    at(
        &["trust init"],
        "--staging",
        Switch(
            No(
                "Sigstore's staging installation is not built in",
                "`sealift trust init --url URL --root FILE` makes it known by its address and its first root",
            ),
            Done,
        ),
    ),
    at(
        &["attach"],
        "--attestation",
        Value(No(
            "an attestation is attached by what signs it",
            "`sealift attest` signs and attaches; a Sigstore bundle is attached by `sealift attach --type \
         application/vnd.dev.sigstore.bundle.v0.3+json REFERENCE FILE`",
        )),
    ),
    at(
        &["env"],
        "--show-descriptions",
        Switch(Done, No("every variable comes with what it is for", "`sealift env | grep -v '^#'` leaves that out")),
    ),
    at(
        &["env"],
        "--show-sensitive-values",
        Switch(No("secrets are never shown", "`printenv NAME` shows a variable"), Done),
    ),
    at(&["version"], "--json", Switch(Ours(&["--output", "json"]), Done)),
];

const NO_TOKEN: Equivalent = No(
    "keys on hardware tokens are not supported",
    "sign with `cosign sign --sk`: `sealift verify --key` verifies that with the public key as a file",
);
const KEY_ON_TOKEN: Equivalent = No(
    "keys on hardware tokens are not supported",
    "`cosign public-key --sk > token.pub` exports the public key, for `--key token.pub`",
);
const OWN_CERTIFICATE: Equivalent = No(
    "a key signs without a certificate, and without a key one is issued",
    "leave it out; signatures that others made with a certificate are verified with `--certificate-chain` or `--ca-roots`",
);
const OUTPUT_OF_IMAGES: Equivalent = No(
    "signature and payload are in the bundle",
    "`--bundle FILE` writes the bundle, and `sealift bundle inspect FILE` shows what is in it",
);
const AUTHORITY_TLS: Equivalent = No(
    "client certificates and other names for timestamp authorities are not supported",
    "name an authority that everybody may ask with `--timestamp-server-url`",
);
const SIGNATURE_OF_IMAGES: Equivalent = No(
    "signatures of images are read where the image is",
    "`sealift attach signature --signature FILE --payload FILE REFERENCE` puts it there",
);
const CERTIFICATE_OF_IMAGES: Equivalent = No(
    "the certificate is stored with the signature",
    "name whom it must be for with `--certificate-identity` and `--certificate-oidc-issuer`, and an authority of your own \
     with `--certificate-chain` or `--ca-roots`",
);
const DIGEST_OF_FILES: Equivalent = No("a digest is given in place of the file", "as in `sha256:...`");
const SOURCE_CLAIMS: Equivalent = No(
    "what a certificate says of the source is demanded claim by claim",
    "`--certificate-claim source-repository-owner-uri=https://github.com/OWNER`, `source-repository-uri=`, \
     `source-repository-ref=` or `source-repository-digest=`",
);
const INSECURE: Equivalent = No(
    "checks are switched off by what they are",
    "`--plain-http HOST` speaks HTTP with one registry, `--registry-cacert FILE` trusts an authority of your own, and \
     `--insecure-skip-tls-verify` accepts any certificate",
);
const INSECURE_END: Equivalent = No(
    "checks are switched off by what they are",
    "`--from-plain-http` and `--to-plain-http` speak HTTP with one end, `--from-cacert FILE` and `--to-cacert FILE` trust \
     an authority of your own, and `--from-insecure-skip-tls-verify` and `--to-insecure-skip-tls-verify` accept any \
     certificate",
);
const CREDENTIALS_FILE: Equivalent = No(
    "files of credentials are named by variables",
    "set REGISTRY_AUTH_FILE to the file, or DOCKER_CONFIG to its directory",
);
const LAYOUT: Equivalent = No("a layout is named as one", "`oci-layout://DIRECTORY:TAG` in the place of a reference");
const TAG_MOVES: Equivalent =
    No("a tag at the destination is moved", "`sealift promote` refuses to move a tag that holds something else");
const NO_PART: Equivalent = No(
    "the artifact and what is attached to it travel together",
    "what is there already is not moved again; `sealift promote --exclude TYPE` leaves attachments behind",
);
const NO_PLATFORMS: Equivalent =
    No("an index is copied with every platform", "`--platform OS/ARCHITECTURE` copies one platform alone");
const REFERRERS_APART: Equivalent = No(
    "what is attached is looked for beside the artifact, or for both ends in one repository",
    "`--signature-repository REPOSITORY` names that",
);

const fn at(at: &'static [&'static str], word: &'static str, meaning: Meaning) -> Word {
    Word { at, word, meaning }
}

const fn any(word: &'static str, meaning: Meaning) -> Word {
    Word { at: &[], word, meaning }
}

const fn verb(word: &'static str, equivalent: Equivalent) -> Word {
    Word { at: &[""], word, meaning: Verb(equivalent) }
}
