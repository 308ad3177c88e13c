//! A question to a host: asked, and what is found when no answer comes.
//!
//! What an answer means is its reader's business.

use std::time::Duration;

use super::{About, Finding, scripts};
use crate::cmd::Cmd;
use crate::host::{Host, Lane};

/// A script without arguments.
pub(super) const NONE: [&str; 0] = [];

/// Runs a script whose answer is text; `Err` says in words why there is none.
pub(super) async fn text<A: Into<String>>(
    host: &Host,
    lane: Lane,
    script: &str,
    args: impl IntoIterator<Item = A>,
    within: Duration,
) -> Result<String, String> {
    let cmd = Cmd::script(&format!("{}{script}", scripts::PATHS), args);
    host.ok(lane, &cmd, within)
        .await
        .map_err(|e| e.bare().to_owned())
}

/// What a reader makes of an answer; no answer is a finding of its own.
pub(super) fn answered(
    about: About,
    said: Result<String, String>,
    read: impl FnOnce(&str) -> Finding,
) -> Finding {
    match said {
        Ok(said) => read(&said),
        Err(why) => unanswered(about, &why),
    }
}

/// The finding for a question without an answer.
pub(super) fn unanswered(about: About, why: &str) -> Finding {
    // The script itself helps nobody; what became of it stands behind it.
    let why = match why.rsplit_once("` ") {
        Some((_, became)) => format!("the question {became}"),
        None => why.to_owned(),
    };
    let remedy = format!(
        "something there hangs or is broken: try its {} by hand",
        about.word()
    );
    Finding::missing(about, "no answer", why, remedy)
}
