//! A judged run for a person or a machine: HTML, JUnit, Markdown and the schema of `verdict.json`.
//!
//! It decides nothing. Every number, sentence and standing comes from the judgement; what is done
//! here is ordering, wording of labels, and drawing. It reads no file, clock or evidence, so the
//! same judgement gives the same bytes.

mod accounting;
mod contract;
mod curves;
mod failover;
mod findings;
mod head;
mod junit;
mod markdown;
mod page;
mod proof;
mod svg;
mod tables;
mod text;
mod timeline;
mod watermark;

use checkers::Judgement;

/// Why a report could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The XML writer refused.
    #[error("could not write junit.xml for run {run}: {source}; report this as a bug")]
    Junit {
        /// Which run.
        run: String,
        /// What the writer said.
        source: quick_junit::SerializeError,
    },
}

/// The whole report as one HTML page that fetches nothing and runs no script.
///
/// It is meant to lie in the run's directory as `report.html`: quoted evidence links to the files
/// beside it.
pub fn html(judgement: &Judgement) -> String {
    page::page(judgement).into_string()
}

/// `junit.xml`: one suite, one case per guarantee and topic, and one case for the run itself, so
/// that a run without any guarantee is not an empty success.
pub fn junit(judgement: &Judgement) -> Result<String, ReportError> {
    junit::report(judgement)
        .to_string()
        .map_err(|source| ReportError::Junit {
            run: judgement.run.clone(),
            source,
        })
}

/// `summary.md`: verdict, contract, accounting and findings in a few lines each.
pub fn markdown(judgement: &Judgement) -> String {
    markdown::summary(judgement)
}

/// The JSON schema of `verdict.json`, as published in `docs/verdict.schema.json`.
pub fn verdict_schema() -> serde_json::Value {
    schemars::schema_for!(Judgement).to_value()
}
