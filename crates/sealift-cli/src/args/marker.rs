//! Which artifacts are lifecycle markers.

use sealift_policy::lifecycle::MarkerKind;

/// Which artifacts are lifecycle markers
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct MarkerArgs {
    /// Artifact type of markers, where it is not Microsoft's `application/vnd.microsoft.artifact.lifecycle`
    #[arg(long = "type", visible_alias = "artifact-type", value_name = "TYPE")]
    artifact_type: Option<String>,

    /// Annotation of markers that has the date, where it is not Microsoft's
    /// `vnd.microsoft.artifact.lifecycle.end-of-life.date`
    #[arg(long, value_name = "KEY")]
    date_annotation: Option<String>,
}

impl MarkerArgs {
    /// Returns the kind that the flags name, if they name one.
    pub(crate) fn kind(&self) -> Option<MarkerKind> {
        kind(self.artifact_type.as_deref(), self.date_annotation.as_deref())
    }
}

/// Returns the kind of markers of this type and with this annotation; what is not given is as Microsoft has it.
pub(crate) fn kind(artifact_type: Option<&str>, date: Option<&str>) -> Option<MarkerKind> {
    let MarkerKind { artifact_type: usual_type, date: usual_date, .. } = MarkerKind::microsoft();
    let is_own = artifact_type.is_some() || date.is_some();
    is_own.then(|| MarkerKind::new(artifact_type.unwrap_or(&usual_type), date.unwrap_or(&usual_date)))
}
