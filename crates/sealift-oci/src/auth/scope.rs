//! What a token allows: resources and actions.
//!
//! Grammar: <https://distribution.github.io/distribution/spec/auth/scope/>.

use std::fmt;

/// The most scopes taken from a challenge; stops token requests of arbitrary length.
const MAX_SCOPES: usize = 8;
/// The example that GHCR gives as scope before it knows the repository; asking for it is denied.
const PLACEHOLDER: &str = "repository:user/image:pull";

/// Actions that nobody needs and nobody can do harm with: ACR asks for it beside `pull`.
const HARMLESS: [&str; 1] = ["metadata_read"];

/// One resource and the actions wanted on it.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Scope {
    /// `repository:org/name`, type and name together.
    resource: String,
    /// Sorted, without duplicates.
    actions: Vec<String>,
}

impl Scope {
    /// Returns a scope on a repository.
    pub(crate) fn repository(path: &str, actions: &[&str]) -> Self {
        let mut scope = Self { resource: format!("repository:{path}"), actions: Vec::new() };
        scope.add(actions.iter().copied());
        scope
    }

    /// Reads `type:name:action,action`; the name may hold colons, as a host with a port does.
    fn parse(text: &str) -> Option<Self> {
        let (resource, actions) = text.rsplit_once(':')?;
        resource.contains(':').then(|| {
            let mut scope = Self { resource: resource.to_owned(), actions: Vec::new() };
            scope.add(actions.split(',').filter(|action| !action.is_empty()));
            scope
        })
    }

    fn add<'a>(&mut self, actions: impl IntoIterator<Item = &'a str>) {
        for action in actions {
            if let Err(place) = self.actions.binary_search_by(|known| known.as_str().cmp(action)) {
                self.actions.insert(place, action.to_owned());
            }
        }
    }

    fn covers(&self, other: &Self) -> bool {
        self.resource == other.resource
            && other.actions.iter().all(|action| self.actions.contains(action) || self.actions.iter().any(|a| a == "*"))
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.resource, self.actions.join(","))
    }
}

/// Several scopes, in the order to ask for them: some token services read only the first.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) struct ScopeSet(Vec<Scope>);

impl ScopeSet {
    /// Returns reading of one repository.
    pub(crate) fn pull(path: &str) -> Self {
        Self(vec![Scope::repository(path, &["pull"])])
    }

    /// Returns reading and writing of one repository.
    pub(crate) fn push(path: &str) -> Self {
        Self(vec![Scope::repository(path, &["pull", "push"])])
    }

    /// Returns what mounting from `source` needs: both repositories in one token.
    pub(crate) fn mount(path: &str, source: &str) -> Self {
        Self::push(path).with(&Self::pull(source))
    }

    /// Returns reading, writing and deleting in one repository.
    pub(crate) fn delete(path: &str) -> Self {
        Self(vec![Scope::repository(path, &["delete", "pull", "push"])])
    }

    /// Returns reading the attributes that ACR keeps about a repository; older registries give them to who may pull.
    pub(crate) fn attributes(path: &str) -> Self {
        Self(vec![Scope::repository(path, &["metadata_read", "pull"])])
    }

    /// Returns changing these attributes; older registries let who may push.
    pub(crate) fn attribute_changes(path: &str) -> Self {
        Self(vec![Scope::repository(path, &["metadata_read", "metadata_write", "pull", "push"])])
    }

    /// Returns listing all repositories.
    pub(crate) fn catalog() -> Self {
        Self(vec![Scope { resource: "registry:catalog".to_owned(), actions: vec!["*".to_owned()] }])
    }

    /// Reads the `scope` parameter of a challenge; what is not a scope, or is only an example, is left out.
    pub(crate) fn parse_challenge(text: &str) -> Self {
        let scopes = text.split_ascii_whitespace().filter(|scope| *scope != PLACEHOLDER).filter_map(Scope::parse);
        scopes.take(MAX_SCOPES).fold(Self::default(), |set, scope| set.with(&Self(vec![scope])))
    }

    /// Returns what of a challenge may be asked for where `needed` is: the same repositories, also under a name that has
    /// its first parts more or less (JFrog maps repositories), and no other actions.
    pub(crate) fn limited_to(&self, needed: &Self) -> Self {
        let limited = self.0.iter().filter_map(|challenged| {
            let need = needed.0.iter().find(|need| is_same_repository(&need.resource, &challenged.resource))?;
            let may = |action: &&String| need.actions.contains(action) || HARMLESS.contains(&action.as_str());
            let actions: Vec<_> = challenged.actions.iter().filter(may).cloned().collect();
            (!actions.is_empty()).then(|| Scope { resource: challenged.resource.clone(), actions })
        });
        Self(limited.collect())
    }

    /// Returns both, this one's scopes first.
    pub(crate) fn with(&self, others: &Self) -> Self {
        let mut union = self.clone();
        for other in &others.0 {
            match union.0.iter_mut().find(|scope| scope.resource == other.resource) {
                Some(scope) => scope.add(other.actions.iter().map(String::as_str)),
                None => union.0.push(other.clone()),
            }
        }
        union
    }

    /// Says whether a token for this set serves where `needed` is asked for.
    pub(crate) fn covers(&self, needed: &Self) -> bool {
        needed.0.iter().all(|wanted| self.0.iter().any(|scope| scope.covers(wanted)))
    }

    /// Returns the scopes in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Scope> {
        self.0.iter()
    }
}

fn is_same_repository(needed: &str, challenged: &str) -> bool {
    let ends_with = |long: &str, short: &str| long.strip_suffix(short).is_some_and(|rest| rest.ends_with('/'));
    match (needed.strip_prefix("repository:"), challenged.strip_prefix("repository:")) {
        (Some(needed), Some(challenged)) => {
            needed == challenged || ends_with(needed, challenged) || ends_with(challenged, needed)
        }
        _ => needed == challenged,
    }
}

impl fmt::Display for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scopes: Vec<_> = self.0.iter().map(Scope::to_string).collect();
        f.write_str(&scopes.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unions_keep_the_first_scope_first() {
        let challenged = ScopeSet::parse_challenge("repository:flask:pull junk registry:catalog:*");
        let union = challenged.with(&ScopeSet::push("docker/flask")).with(&ScopeSet::push("flask"));
        assert_eq!(
            union.to_string(),
            "repository:flask:pull,push registry:catalog:* repository:docker/flask:pull,push"
        );
        assert!(union.covers(&ScopeSet::pull("docker/flask")));
        assert!(!ScopeSet::pull("a").covers(&ScopeSet::push("a")));
    }

    #[test]
    fn the_placeholder_of_ghcr_is_no_scope() {
        assert_eq!(ScopeSet::parse_challenge(PLACEHOLDER), ScopeSet::default());
    }

    #[test]
    fn a_challenge_gets_no_more_than_is_needed() {
        for (challenged, needed, expected) in [
            ("repository:a/b:pull,push,delete", ScopeSet::pull("a/b"), "repository:a/b:pull"),
            ("repository:a/b:pull,metadata_read", ScopeSet::pull("a/b"), "repository:a/b:metadata_read,pull"),
            ("repository:b:pull", ScopeSet::pull("a/b"), "repository:b:pull"),
            ("repository:x/a/b:pull", ScopeSet::pull("a/b"), "repository:x/a/b:pull"),
            ("repository:c:pull repository:xb:pull repository:a:pull", ScopeSet::pull("a/b"), ""),
            ("registry:catalog:* repository:*:*", ScopeSet::push("a/b"), ""),
            ("repository:a/b:*", ScopeSet::delete("a/b"), ""),
            (
                "repository:s:pull,push repository:a/b:push",
                ScopeSet::mount("a/b", "s"),
                "repository:s:pull repository:a/b:push",
            ),
        ] {
            let limited = ScopeSet::parse_challenge(challenged).limited_to(&needed);
            assert_eq!(limited.to_string(), expected, "{challenged} where {needed} is needed");
        }
    }

    #[test]
    fn names_may_hold_a_port() {
        assert_eq!(ScopeSet::parse_challenge("repository:h:5000/a:pull").to_string(), "repository:h:5000/a:pull");
    }
}
