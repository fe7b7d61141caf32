//! Which hosts are registries of which cloud. Everything else gets no cloud's credentials.

use sealift_core::oci::RegistryHost;

/// A cloud's registry service.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Cloud {
    /// Azure Container Registry.
    Acr(Azure),
    /// Amazon ECR, private.
    Ecr(EcrRegistry),
    /// Amazon ECR Public.
    EcrPublic,
    /// Google Artifact Registry, and the older gcr.io.
    Gar,
    /// GitHub's container registry.
    Ghcr,
}

/// One of Azure's clouds, which share nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Azure {
    China,
    Government,
    Public,
}

/// What the host of a private ECR registry says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct EcrRegistry {
    pub(super) region: String,
    /// The partition's domain, such as `amazonaws.com`.
    pub(super) domain: &'static str,
    pub(super) endpoint: EcrEndpoint,
}

/// Which of ECR's endpoints the registry belongs to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum EcrEndpoint {
    Fips,
    Usual,
}

impl Cloud {
    /// Returns the cloud that serves `host`; a host with a port is no cloud's.
    pub(super) fn of(host: &RegistryHost) -> Option<Self> {
        let host = host.as_str();
        if let Some(azure) = azure(host) {
            return Some(Self::Acr(azure));
        }
        match host {
            "ghcr.io" => Some(Self::Ghcr),
            "public.ecr.aws" => Some(Self::EcrPublic),
            "gcr.io" => Some(Self::Gar),
            _ if is_label_below(host, ".gcr.io") || is_label_below(host, ".pkg.dev") => Some(Self::Gar),
            _ => ecr(host).map(Self::Ecr),
        }
    }
}

fn azure(host: &str) -> Option<Azure> {
    [(".azurecr.io", Azure::Public), (".azurecr.cn", Azure::China), (".azurecr.us", Azure::Government)]
        .into_iter()
        .find(|(domain, _)| is_label_below(host, domain))
        .map(|(_, azure)| azure)
}

/// Says whether `host` is exactly one label in front of `domain`.
fn is_label_below(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain).is_some_and(is_label)
}

fn is_label(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// Reads `<12 digits>.dkr.ecr[-fips].<region>.amazonaws.com` and the dual-stack spelling
/// `<12 digits>.dkr-ecr[-fips].<region>.on.aws`, of every partition.
fn ecr(host: &str) -> Option<EcrRegistry> {
    let (account, rest) = host.split_once('.')?;
    if account.len() != ACCOUNT_DIGITS || !account.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let rest = rest.strip_prefix("dkr.").or_else(|| rest.strip_prefix("dkr-"))?;
    let (service, rest) = rest.split_once('.')?;
    let endpoint = match service {
        "ecr" => EcrEndpoint::Usual,
        "ecr-fips" => EcrEndpoint::Fips,
        _ => return None,
    };
    let (region, domain) = rest.split_once('.')?;
    let domain = match domain {
        "amazonaws.com" | "on.aws" => "amazonaws.com",
        "amazonaws.com.cn" | "on.amazonwebservices.com.cn" => "amazonaws.com.cn",
        "amazonaws.eu" | "on.amazonwebservices.eu" => "amazonaws.eu",
        _ => return None,
    };
    is_label(region).then(|| EcrRegistry { region: region.to_owned(), domain, endpoint })
}

/// Length of an AWS account's number.
const ACCOUNT_DIGITS: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    fn of(host: &str) -> Option<Cloud> {
        Cloud::of(&host.parse().unwrap())
    }

    #[test]
    fn registries_are_recognised_by_their_exact_hosts() {
        let ecr = |region: &str, domain, endpoint| {
            Some(Cloud::Ecr(EcrRegistry { region: region.to_owned(), domain, endpoint }))
        };
        let (usual, fips) = (EcrEndpoint::Usual, EcrEndpoint::Fips);
        for (host, expected) in [
            ("123456789012.dkr.ecr.eu-west-1.amazonaws.com", ecr("eu-west-1", "amazonaws.com", usual)),
            ("123456789012.dkr.ecr-fips.us-east-1.amazonaws.com", ecr("us-east-1", "amazonaws.com", fips)),
            ("123456789012.dkr-ecr.eu-west-1.on.aws", ecr("eu-west-1", "amazonaws.com", usual)),
            ("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", ecr("cn-north-1", "amazonaws.com.cn", usual)),
            ("public.ecr.aws", Some(Cloud::EcrPublic)),
            ("myreg.azurecr.io", Some(Cloud::Acr(Azure::Public))),
            ("myreg-a1b2.azurecr.io", Some(Cloud::Acr(Azure::Public))),
            ("myreg.azurecr.cn", Some(Cloud::Acr(Azure::China))),
            ("myreg.azurecr.us", Some(Cloud::Acr(Azure::Government))),
            ("gcr.io", Some(Cloud::Gar)),
            ("eu.gcr.io", Some(Cloud::Gar)),
            ("europe-docker.pkg.dev", Some(Cloud::Gar)),
            ("GHCR.io", Some(Cloud::Ghcr)),
            ("ghcr.io:443", Some(Cloud::Ghcr)),
        ] {
            assert_eq!(of(host), expected, "{host}");
        }
    }

    #[test]
    fn lookalikes_are_nobodys() {
        for host in [
            "12345678901.dkr.ecr.eu-west-1.amazonaws.com",
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com.evil.test",
            "123456789012.dkr.ecr.evil.test.amazonaws.com",
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com:5000",
            "x23456789012.dkr.ecr.eu-west-1.amazonaws.com",
            "123456789012.dkr.s3.eu-west-1.amazonaws.com",
            "a.123456789012.dkr.ecr.eu-west-1.amazonaws.com",
            "azurecr.io",
            "evil.myreg.azurecr.io",
            "myreg.azurecr.io.evil.test",
            "evilazurecr.io",
            "myreg.azurecr.io:5000",
            "pkg.dev",
            "a.b.pkg.dev",
            "evilgcr.io",
            "gcr.io.evil.test",
            "ghcr.io:5000",
            "x.ghcr.io",
            "docker.io",
            "127.0.0.1:5000",
        ] {
            assert_eq!(of(host), None, "{host}");
        }
    }
}
