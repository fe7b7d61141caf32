//! Who signs: the identities that the sandbox's provider vouches for.

use serde_json::{Map, Value, json};

/// Someone or something that the sandbox's identity provider vouches for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Identity {
    /// A person, known by a verified address.
    Email {
        /// The address, as in `dev@example.com`.
        address: String,
        /// The provider the person signed in with; where there is one, the certificate names it as the issuer, as the
        /// public instance does for Google, GitHub and Microsoft.
        connector: Option<String>,
    },
    /// A machine, known by a SPIFFE identifier.
    Spiffe {
        /// The identifier, as in `spiffe://sandbox.example/build`.
        id: String,
    },
    /// A person, known by a name that is no address; the certificate has an OtherName.
    Username {
        /// The name, without the domain.
        name: String,
    },
    /// A run of a workflow, with claims like those of GitHub Actions.
    Workflow(Box<Workflow>),
}

impl Identity {
    /// Returns a person.
    pub fn email(address: &str) -> Self {
        Self::Email { address: address.to_owned(), connector: None }
    }

    /// Returns a run of a workflow in a repository, as in `acme/app`.
    pub fn workflow(repository: &str) -> Self {
        Self::Workflow(Box::new(Workflow::new(repository)))
    }

    /// Returns the name a certificate for this identity has, as verifiers compare it.
    pub fn subject(&self) -> String {
        match self {
            Self::Email { address, .. } => address.clone(),
            Self::Spiffe { id } => id.clone(),
            Self::Username { name } => format!("{name}!{USERNAME_DOMAIN}"),
            Self::Workflow(workflow) => workflow.subject(),
        }
    }

    /// Returns the path of the issuer that vouches for this kind of identity, below the provider's URL.
    pub(super) fn issuer_path(&self) -> &'static str {
        match self {
            Self::Email { .. } => "",
            Self::Spiffe { .. } => SPIFFE_PATH,
            Self::Username { .. } => USERNAME_PATH,
            Self::Workflow(_) => ACTIONS_PATH,
        }
    }

    /// Returns the claims about this identity.
    pub(super) fn claims(&self) -> Map<String, Value> {
        let claims = match self {
            Self::Email { address, connector } => {
                let connector_id = connector.as_deref().unwrap_or_default();
                let mut claims = json!({ "sub": address, "email": address, "email_verified": true });
                if !connector_id.is_empty() {
                    claims["federated_claims"] = json!({ "connector_id": connector_id, "user_id": address });
                }
                claims
            }
            Self::Spiffe { id } => json!({ "sub": id }),
            Self::Username { name } => json!({ "sub": name }),
            Self::Workflow(workflow) => workflow.claims(),
        };
        match claims {
            Value::Object(claims) => claims,
            _ => Map::new(),
        }
    }
}

/// A run of a workflow. Fields are named like GitHub's claims.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Workflow {
    /// Owner and name, as in `acme/app`.
    pub repository: String,
    /// Path of the workflow file in the repository.
    pub path: String,
    /// Name of the workflow.
    pub workflow: String,
    /// Git reference the workflow runs on.
    pub git_ref: String,
    /// Commit the workflow runs on, in hexadecimal.
    pub sha: String,
    /// What started the run.
    pub event_name: String,
    /// `github-hosted` or `self-hosted`.
    pub runner_environment: String,
    /// `public`, `private` or `internal`.
    pub repository_visibility: String,
    /// Number of the run.
    pub run_id: u64,
    /// Number of the attempt.
    pub run_attempt: u32,
    /// Reusable workflow that the job runs, with its reference; the workflow itself where it runs none.
    pub job_workflow_ref: Option<String>,
}

impl Workflow {
    /// Returns a release run of a repository's main branch.
    pub fn new(repository: &str) -> Self {
        Self {
            repository: repository.to_owned(),
            path: ".github/workflows/release.yml".to_owned(),
            workflow: "release".to_owned(),
            git_ref: "refs/heads/main".to_owned(),
            sha: "4b825dc642cb6eb9a060e54bf8d69288fbee4904".to_owned(),
            event_name: "push".to_owned(),
            runner_environment: "github-hosted".to_owned(),
            repository_visibility: "public".to_owned(),
            run_id: 17,
            run_attempt: 1,
            job_workflow_ref: None,
        }
    }

    /// Returns the name a certificate for this run has, as in
    /// `https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main`.
    pub fn subject(&self) -> String {
        format!("{GITHUB}/{}", self.job())
    }

    fn own_ref(&self) -> String {
        format!("{}/{}@{}", self.repository, self.path, self.git_ref)
    }

    fn job(&self) -> String {
        self.job_workflow_ref.clone().unwrap_or_else(|| self.own_ref())
    }

    fn claims(&self) -> Value {
        let owner = self.repository.split('/').next().unwrap_or_default();
        json!({
            "sub": format!("repo:{}:ref:{}", self.repository, self.git_ref),
            "repository": self.repository,
            "repository_id": "1234",
            "repository_owner": owner,
            "repository_owner_id": "56",
            "repository_visibility": self.repository_visibility,
            "workflow": self.workflow,
            "workflow_ref": self.own_ref(),
            "workflow_sha": self.sha,
            "job_workflow_ref": self.job(),
            "job_workflow_sha": self.sha,
            "ref": self.git_ref,
            "ref_type": if self.git_ref.starts_with("refs/tags/") { "tag" } else { "branch" },
            "sha": self.sha,
            "event_name": self.event_name,
            "runner_environment": self.runner_environment,
            "run_id": self.run_id.to_string(),
            "run_number": "3",
            "run_attempt": self.run_attempt.to_string(),
            "actor": "octocat",
        })
    }
}

/// Path of the issuer for workflows.
pub(super) const ACTIONS_PATH: &str = "/actions";
/// Path of the issuer for SPIFFE identifiers.
pub(super) const SPIFFE_PATH: &str = "/spiffe";
/// Path of the issuer for names.
pub(super) const USERNAME_PATH: &str = "/username";
/// Domain of the names, which certificates append.
pub(super) const USERNAME_DOMAIN: &str = "sandbox.example";
/// Where workflows live, in certificates.
pub(super) const GITHUB: &str = "https://github.com";
