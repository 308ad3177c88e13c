//! Runs that ended before any load: sealed with the reason, and told of without a judgement.
//!
//! A verdict would rest on nothing here, so none is written.

use history::rundir::{Ended, RunDir};
use history::{HistoryError, Phase, Recorder};

/// Seals a run that never came as far as recording anything, so that its directory says why.
///
/// # Errors
/// When it cannot be written.
pub async fn seal(dir: &RunDir, ended: Ended) -> Result<(), HistoryError> {
    let (pen, recorder) = Recorder::create(&dir.history_file())?;
    drop(pen);
    let counts = recorder.close().await?;
    dir.seal(ended, counts).map(drop)
}

/// It failed, and why.
pub fn failed(why: String) -> Ended {
    Ended::Failed {
        why,
        phase: Some(Phase::Setup),
    }
}

/// Somebody stopped it, by this signal.
pub fn interrupted(signal: String) -> Ended {
    Ended::Interrupted {
        signal,
        phase: Some(Phase::Setup),
    }
}

/// Why there is nothing to judge in a run that ended before its load; none for any other run.
/// `setting.json` is written when the load begins.
///
/// # Errors
/// When the seal cannot be read, or says that `setting.json` should be there.
pub fn reason(dir: &RunDir) -> anyhow::Result<Option<String>> {
    let path = dir.setting_json();
    if path.exists() {
        return Ok(None);
    }
    let Some(seal) = dir.read_seal()? else {
        return Ok(Some(
            "the run was killed, or is still going on, before its load began".to_owned(),
        ));
    };
    if seal.digests.contains_key("setting.json") {
        anyhow::bail!(
            "{} was sealed and is gone: without it nothing can be judged; copy the run directory \
             again, whole",
            path.display()
        );
    }
    Ok(Some(match seal.ended {
        Ended::Failed { why, .. } => format!("the run failed before its load began: {why}"),
        ended => format!("the run ended before its load began: {ended}"),
    }))
}
