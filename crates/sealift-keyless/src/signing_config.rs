//! `signing_config.json`, version 0.2: which services to sign with.
//!
//! Chooses by the time it is given and never asks a clock. Refuses what it does not know, as a misspelt selector would
//! otherwise be no demand at all.
//! Specification: <https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_trustroot.proto>.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use jiff::Timestamp;
use sealift_core::repository::foreign_text;
use serde::Deserialize;
use url::Url;

/// The services that an instance signs with, by kind and by time.
#[derive(Clone, Debug)]
pub struct SigningConfig {
    certificate_authorities: Vec<Service>,
    identity_providers: Vec<Service>,
    logs: Vec<Service>,
    log_demand: Option<Demand>,
    timestamp_authorities: Vec<Service>,
    timestamp_demand: Option<Demand>,
}

/// The services chosen for one signature.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Services {
    /// The certificate authority.
    pub fulcio: Url,
    /// The issuer of identity tokens.
    pub oidc_issuer: Url,
    /// Transparency logs, all of which must take the signature; none where the instance has none.
    pub rekor: Vec<(Url, ApiVersion)>,
    /// Where to ask for timestamps, everywhere; none where the instance has none.
    pub timestamp: Vec<Url>,
}

/// Version of a transparency log's API.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum ApiVersion {
    /// Rekor 1: promises and times.
    V1,
    /// Rekor 2: tiles, without either.
    V2,
}

impl SigningConfig {
    /// Reads the JSON document.
    ///
    /// # Errors
    /// [`SigningConfigError`] when it is malformed, of another version, or beyond a bound.
    pub fn parse(json: &[u8]) -> Result<Self, SigningConfigError> {
        if json.len() > MAX_SIGNING_CONFIG_BYTES {
            return Err(SigningConfigError::TooLarge { limit: MAX_SIGNING_CONFIG_BYTES });
        }
        let document: Document = serde_json::from_slice(json).map_err(SigningConfigError::Json)?;
        if document.media_type != MEDIA_TYPE {
            return Err(SigningConfigError::MediaType { found: foreign_text(&document.media_type) });
        }
        Ok(Self {
            certificate_authorities: services("caUrls", document.ca_urls)?,
            identity_providers: services("oidcUrls", document.oidc_urls)?,
            logs: services("rekorTlogUrls", document.rekor_tlog_urls)?,
            log_demand: demand("rekorTlogConfig", document.rekor_tlog_config)?,
            timestamp_authorities: services("tsaUrls", document.tsa_urls)?,
            timestamp_demand: demand("tsaConfig", document.tsa_config)?,
        })
    }

    /// Chooses the services to sign with at `now`: of each operator the newest that is in its time and speaks the
    /// highest version known here, and as many operators as the document demands.
    ///
    /// # Errors
    /// [`SigningConfigError::NoService`] and [`SigningConfigError::TooFewServices`] when the demand cannot be met;
    /// [`SigningConfigError::NoSelector`] when there are services and no word on how many to use.
    pub fn choose(&self, now: Timestamp) -> Result<Services, SigningConfigError> {
        let only = |path, services: &[Service]| {
            let chosen = one_per_operator(services, &[1], now).into_iter().next();
            chosen.map(|service| service.url.clone()).ok_or(SigningConfigError::NoService { path })
        };
        let logs = select("rekorTlogUrls", &self.logs, self.log_demand, &[2, 1], now)?;
        let version = |service: &Service| if service.version == 2 { ApiVersion::V2 } else { ApiVersion::V1 };
        let authorities = select("tsaUrls", &self.timestamp_authorities, self.timestamp_demand, &[1], now)?;
        Ok(Services {
            fulcio: only("caUrls", &self.certificate_authorities)?,
            oidc_issuer: only("oidcUrls", &self.identity_providers)?,
            rekor: logs.into_iter().map(|service| (service.url.clone(), version(service))).collect(),
            timestamp: authorities.into_iter().map(|service| service.url.clone()).collect(),
        })
    }
}

#[derive(Clone, Debug)]
struct Service {
    url: Url,
    version: u32,
    start: Timestamp,
    end: Option<Timestamp>,
    operator: String,
}

impl Service {
    fn is_valid_at(&self, now: Timestamp) -> bool {
        self.start <= now && self.end.is_none_or(|end| now < end)
    }
}

/// How many operators' services to use.
#[derive(Clone, Copy, Debug)]
enum Demand {
    All,
    Any,
    Exact(usize),
}

fn select<'a>(
    path: &'static str,
    services: &'a [Service],
    demand: Option<Demand>,
    versions: &[u32],
    now: Timestamp,
) -> Result<Vec<&'a Service>, SigningConfigError> {
    // An instance without such services, as GitHub's without a log, demands none.
    if services.is_empty() && demand.is_none() {
        return Ok(Vec::new());
    }
    let demand = demand.ok_or(SigningConfigError::NoSelector { path })?;
    let mut found = one_per_operator(services, versions, now);
    if found.is_empty() {
        return Err(SigningConfigError::NoService { path });
    }
    match demand {
        Demand::All => {}
        Demand::Any => found.truncate(1),
        Demand::Exact(count) if found.len() < count => {
            return Err(SigningConfigError::TooFewServices { path, required: count, found: found.len() });
        }
        Demand::Exact(count) => found.truncate(count),
    }
    Ok(found)
}

/// Returns the best service of each operator: two of one operator fail together. Highest version first, then newest.
fn one_per_operator<'a>(services: &'a [Service], versions: &[u32], now: Timestamp) -> Vec<&'a Service> {
    let mut usable: Vec<&Service> =
        services.iter().filter(|service| versions.contains(&service.version) && service.is_valid_at(now)).collect();
    usable.sort_by_key(|service| Reverse((service.version, service.start)));
    let mut operators = BTreeSet::new();
    usable.retain(|service| operators.insert(service.operator.as_str()));
    usable
}

fn services(path: &'static str, found: Vec<ServiceJson>) -> Result<Vec<Service>, SigningConfigError> {
    if found.len() > MAX_SERVICES {
        return Err(SigningConfigError::TooMany { path, limit: MAX_SERVICES });
    }
    let read = |(index, service): (usize, ServiceJson)| {
        service.read().map_err(|source| SigningConfigError::Service { path, index, source })
    };
    found.into_iter().enumerate().map(read).collect()
}

fn demand(path: &'static str, found: Option<DemandJson>) -> Result<Option<Demand>, SigningConfigError> {
    let Some(found) = found else { return Ok(None) };
    match (found.selector, found.count) {
        (Selector::All, 0) => Ok(Some(Demand::All)),
        (Selector::Any, 0) => Ok(Some(Demand::Any)),
        (Selector::Exact, 1..) => Ok(Some(Demand::Exact(usize::try_from(found.count).unwrap_or(usize::MAX)))),
        (_, count) => Err(SigningConfigError::Count { path, count }),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Document {
    media_type: String,
    #[serde(default)]
    ca_urls: Vec<ServiceJson>,
    #[serde(default)]
    oidc_urls: Vec<ServiceJson>,
    #[serde(default)]
    rekor_tlog_urls: Vec<ServiceJson>,
    rekor_tlog_config: Option<DemandJson>,
    #[serde(default)]
    tsa_urls: Vec<ServiceJson>,
    tsa_config: Option<DemandJson>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ServiceJson {
    url: String,
    major_api_version: u32,
    valid_for: Option<ValidityJson>,
    #[serde(default)]
    operator: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ValidityJson {
    start: Option<String>,
    end: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DemandJson {
    selector: Selector,
    #[serde(default)]
    count: u32,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Selector {
    All,
    Any,
    Exact,
}

impl ServiceJson {
    fn read(self) -> Result<Service, ServiceError> {
        if self.url.len() > MAX_URL_BYTES {
            return Err(ServiceError::Url);
        }
        let url = Url::parse(&self.url).map_err(|_| ServiceError::Url)?;
        let has_credentials = !url.username().is_empty() || url.password().is_some();
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() || has_credentials {
            return Err(ServiceError::Url);
        }
        let validity = self.valid_for.ok_or(ServiceError::NoStart)?;
        let time = |text: String| text.parse::<Timestamp>().map_err(|_| ServiceError::Time);
        Ok(Service {
            url,
            version: self.major_api_version,
            start: time(validity.start.ok_or(ServiceError::NoStart)?)?,
            end: validity.end.map(time).transpose()?,
            operator: self.operator,
        })
    }
}

/// Says why a document is no signing configuration, or why it names nothing to sign with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SigningConfigError {
    /// The count does not fit the selector: EXACT needs one, ANY and ALL have none.
    #[error("`{path}` of the signing configuration has count {count}, which does not fit its selector")]
    Count {
        /// Which demand.
        path: &'static str,
        /// The count found.
        count: u32,
    },
    /// It is not the JSON of a signing configuration.
    #[error("the signing configuration is not JSON of its type")]
    Json(#[source] serde_json::Error),
    /// It is of another version or something else.
    #[error("`{found}` is no media type of a signing configuration known here")]
    MediaType {
        /// The media type found, bounded and printable.
        found: String,
    },
    /// There are services, and no word on how many of them to use.
    #[error("the signing configuration has `{path}` and does not say how many to use")]
    NoSelector {
        /// Which list.
        path: &'static str,
    },
    /// No service is in its time and of a known version.
    #[error("the signing configuration has none of `{path}` that is valid now and speaks a known version")]
    NoService {
        /// Which list.
        path: &'static str,
    },
    /// One service is unusable.
    #[error("{path}[{index}] of the signing configuration is unusable")]
    Service {
        /// Which list.
        path: &'static str,
        /// Which of them, from 0.
        index: usize,
        /// What is wrong.
        source: ServiceError,
    },
    /// Fewer operators than demanded.
    #[error("the signing configuration demands {required} of `{path}`, and {found} are valid now")]
    TooFewServices {
        /// Which list.
        path: &'static str,
        /// How many are demanded.
        required: usize,
        /// How many there are.
        found: usize,
    },
    /// It is larger than any.
    #[error("the signing configuration has more than {limit} bytes")]
    TooLarge {
        /// Largest size, in bytes.
        limit: usize,
    },
    /// A list is longer than any.
    #[error("the signing configuration has more than {limit} of `{path}`")]
    TooMany {
        /// Which list.
        path: &'static str,
        /// Most entries.
        limit: usize,
    },
}

/// Says why one service of a signing configuration is unusable.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// It does not say since when it is valid; that is not "since ever".
    #[error("`validFor.start` is missing")]
    NoStart,
    /// A time is not RFC 3339.
    #[error("a time of `validFor` is not RFC 3339")]
    Time,
    /// It is not an HTTP URL of a host, or it has credentials in it.
    #[error("its URL is not an HTTP URL without credentials")]
    Url,
}

const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.signingconfig.v0.2+json";
/// The largest document read; the public one takes 1 KiB. Stops reading whatever a path names.
pub const MAX_SIGNING_CONFIG_BYTES: usize = 1024 * 1024;
/// The most services of one kind. Stops a selector ALL from asking everybody on a list without end.
const MAX_SERVICES: usize = 32;
/// The longest URL.
const MAX_URL_BYTES: usize = 2048;

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn service(url: &str, version: u32, operator: &str, window: (&str, Option<&str>)) -> Value {
        let mut validity = json!({ "start": window.0 });
        if let Some(end) = window.1 {
            validity["end"] = end.into();
        }
        json!({ "url": url, "majorApiVersion": version, "operator": operator, "validFor": validity })
    }

    const EVER: (&str, Option<&str>) = ("2020-01-01T00:00:00Z", None);

    fn document(logs: Vec<Value>, demand: Value) -> Value {
        json!({
            "mediaType": MEDIA_TYPE,
            "caUrls": [service("https://ca.test", 1, "a", EVER)],
            "oidcUrls": [service("https://oidc.test", 1, "a", EVER)],
            "rekorTlogUrls": logs,
            "rekorTlogConfig": demand,
        })
    }

    fn now() -> Timestamp {
        "2025-01-01T00:00:00Z".parse().unwrap()
    }

    fn chosen(document: &Value) -> Result<Vec<String>, SigningConfigError> {
        let services = SigningConfig::parse(document.to_string().as_bytes())?.choose(now())?;
        Ok(services.rekor.iter().map(|(url, version)| format!("{} {version:?}", url.host_str().unwrap())).collect())
    }

    #[test]
    fn selectors_count_operators() {
        let logs = || {
            vec![
                service("https://a1.test", 1, "a", EVER),
                service("https://a2.test", 2, "a", EVER),
                service("https://b1.test", 1, "b", EVER),
                service("https://c3.test", 3, "c", EVER),
            ]
        };
        for (demand, expected) in [
            (json!({ "selector": "ANY" }), Some(vec!["a2.test V2"])),
            (json!({ "selector": "ALL" }), Some(vec!["a2.test V2", "b1.test V1"])),
            (json!({ "selector": "EXACT", "count": 1 }), Some(vec!["a2.test V2"])),
            (json!({ "selector": "EXACT", "count": 2 }), Some(vec!["a2.test V2", "b1.test V1"])),
            (json!({ "selector": "EXACT", "count": 3 }), None),
            (json!({ "selector": "EXACT" }), None),
            (json!({ "selector": "ANY", "count": 1 }), None),
            (json!({ "selector": "SERVICE_SELECTOR_UNDEFINED" }), None),
            (json!({}), None),
            (Value::Null, None),
        ] {
            let found = chosen(&document(logs(), demand.clone()));
            match expected {
                Some(expected) => assert_eq!(found.unwrap(), expected, "{demand}"),
                None => assert!(found.is_err(), "{demand}: {found:?}"),
            }
        }
    }

    #[test]
    fn windows_begin_inclusively_and_end_exclusively() {
        for (window, is_valid) in [
            (("2025-01-01T00:00:00Z", None), true),
            (("2025-01-01T00:00:01Z", None), false),
            (("2020-01-01T00:00:00Z", Some("2025-01-01T00:00:00Z")), false),
            (("2020-01-01T00:00:00Z", Some("2025-01-01T00:00:01Z")), true),
        ] {
            let found =
                chosen(&document(vec![service("https://a.test", 1, "a", window)], json!({ "selector": "ANY" })));
            assert_eq!(found.is_ok(), is_valid, "{window:?}");
        }
    }

    #[test]
    fn the_newest_of_an_operator_is_used() {
        let logs = vec![
            service("https://old.test", 1, "a", EVER),
            service("https://new.test", 1, "a", ("2024-01-01T00:00:00Z", None)),
            service("https://next.test", 2, "a", ("2026-01-01T00:00:00Z", None)),
        ];
        assert_eq!(chosen(&document(logs, json!({ "selector": "ALL" }))).unwrap(), ["new.test V1"]);
    }

    #[test]
    fn an_instance_may_have_no_log() {
        let mut document = document(Vec::new(), Value::Null);
        assert!(chosen(&document).unwrap().is_empty());
        document["rekorTlogConfig"] = json!({ "selector": "ANY" });
        assert!(matches!(chosen(&document), Err(SigningConfigError::NoService { path: "rekorTlogUrls" })));
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        let good = || document(vec![service("https://a.test", 1, "a", EVER)], json!({ "selector": "ANY" }));
        chosen(&good()).unwrap();
        let changes: [fn(&mut Value); 10] = [
            |document| document["mediaType"] = "application/vnd.dev.sigstore.signingconfig.v0.1+json".into(),
            |document| document["rekorTlogURLs"] = json!([]),
            |document| document["rekorTlogUrls"][0]["validFor"]["until"] = "2025-01-01T00:00:00Z".into(),
            |document| document["rekorTlogUrls"][0]["validFor"] = json!({ "end": "2026-01-01T00:00:00Z" }),
            |document| document["rekorTlogUrls"][0]["validFor"]["start"] = "yesterday".into(),
            |document| document["rekorTlogUrls"][0]["url"] = "file:///etc/passwd".into(),
            |document| document["rekorTlogUrls"][0]["url"] = "https://user:secret@a.test".into(),
            |document| document["rekorTlogUrls"][0]["majorApiVersion"] = (-1).into(),
            |document| document["rekorTlogUrls"] = vec![document["rekorTlogUrls"][0].clone(); 33].into(),
            |document| document["caUrls"] = json!([]),
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let mut document = good();
            change(&mut document);
            assert!(chosen(&document).is_err(), "change {number}: {document}");
        }
        let large = vec![b' '; MAX_SIGNING_CONFIG_BYTES + 1];
        assert!(matches!(SigningConfig::parse(&large), Err(SigningConfigError::TooLarge { .. })));
    }
}
