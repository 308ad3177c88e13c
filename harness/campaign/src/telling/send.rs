//! Sending a body to a webhook: a few tries, then the disk. It never fails: not being heard is no
//! reason for a night to end otherwise.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

/// How long somebody is asked to listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// So many tries.
    pub tries: u32,
    /// The pause after the first one; each is four times as long as the one before.
    pub pause: Duration,
    /// Each try may take so long.
    pub each: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            tries: 3,
            pause: Duration::from_secs(2),
            each: Duration::from_secs(5),
        }
    }
}

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    /// Somebody took it.
    Delivered {
        /// At which try.
        tries: u32,
    },
    /// Nobody did.
    Undelivered {
        /// Where it lies now; absent if it could not be written either.
        kept: Option<PathBuf>,
        /// What the last try, or the disk, said. It never holds the address, which is a secret.
        why: String,
    },
}

/// Posts a body as JSON. If nobody takes it, it is written to `undelivered/NAME.json`, with why.
pub async fn send(
    url: &str,
    body: &Value,
    patience: Patience,
    undelivered: &Path,
    name: &str,
) -> Sent {
    let why = match deliver(url, body, patience).await {
        Ok(tries) => return Sent::Delivered { tries },
        Err(why) => why,
    };
    match keep(body, &why, undelivered, name) {
        Ok(path) => Sent::Undelivered {
            kept: Some(path),
            why,
        },
        Err(disk) => Sent::Undelivered {
            kept: None,
            why: format!("{why}; and it could not be written to the disk: {disk}"),
        },
    }
}

async fn deliver(url: &str, body: &Value, patience: Patience) -> Result<u32, String> {
    let client = reqwest::Client::builder()
        .timeout(patience.each)
        .user_agent(concat!("tidemark/", env!("CARGO_PKG_VERSION")));
    // What listens on this machine is reached without the proxy that the rest of the world needs.
    let client = if is_here(url) {
        client.no_proxy()
    } else {
        client
    };
    let client = client.build().map_err(said)?;
    let mut pause = patience.pause;
    let mut why = "it was to be tried no times".to_owned();
    for nth in 1..=patience.tries {
        match client.post(url).json(body).send().await {
            Ok(answer) if answer.status().is_success() => return Ok(nth),
            Ok(answer) => why = format!("it was answered with {}", answer.status()),
            Err(error) => why = said(error),
        }
        if nth < patience.tries {
            tokio::time::sleep(pause).await;
            pause *= 4;
        }
    }
    Err(format!("{why}, at the last of {} tries", patience.tries))
}

fn is_here(url: &str) -> bool {
    let url = reqwest::Url::parse(url).ok();
    let host = url.as_ref().and_then(|url| url.host_str());
    host.is_some_and(|host| host == "localhost" || host.starts_with("127.") || host == "[::1]")
}

/// An error with its causes, without the address.
fn said(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut said = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        let words = error.to_string();
        if !said.contains(&words) {
            said = format!("{said}: {words}");
        }
        cause = error.source();
    }
    said
}

fn keep(body: &Value, why: &str, dir: &Path, name: &str) -> Result<PathBuf, String> {
    std::fs::create_dir_all(dir).map_err(|why| why.to_string())?;
    let path = dir.join(format!("{name}.json"));
    let text = json!({ "why": why, "body": body }).to_string();
    history::rundir::write_atomically(&path, text.as_bytes()).map_err(|why| why.to_string())?;
    Ok(path)
}
