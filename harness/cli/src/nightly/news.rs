//! Who is told of a night, as its suite has it: files beside the night's, a webhook, a mail.
//!
//! Nothing here changes a verdict or an exit code. What cannot be sent lies on the disk.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{anyhow, bail};
use campaign::Night;
use campaign::telling::{Message, Patience, Sent, send};
use plan::suite::{Form, Tell};

use crate::exit::sentence;
use crate::home::say_error;

/// A mail's sender; `sendmail` adds the machine.
const FROM: &str = "tidemark";
/// Where `sendmail` is, if not in the path.
const SBIN: [&str; 2] = ["/usr/sbin", "/usr/lib"];

/// That everybody who is to be told can be found. A night is not spent on words that go nowhere.
///
/// # Errors
/// When the webhook's variable is not set, or holds no address.
pub fn check(tell: &Tell) -> anyhow::Result<()> {
    if let Some(name) = &tell.webhook {
        url(name)?;
    }
    if tell.mail.is_some() && sendmail().is_none() {
        say_error("tidemark: the suite wants a mail, and there is no sendmail here: none is sent");
    }
    Ok(())
}

fn url(name: &str) -> anyhow::Result<String> {
    let url = std::env::var(name).unwrap_or_default();
    if url.is_empty() {
        bail!(
            "the suite's webhook_env names {name}, which is not set: export it with the webhook's \
             URL, or take the line out of the suite"
        );
    }
    // What it holds is a secret.
    match url.starts_with("https://") || url.starts_with("http://") {
        true => Ok(url),
        false => Err(anyhow!("{name} does not hold an http:// or https:// URL")),
    }
}

/// A night and those who are told of it.
pub struct News<'a> {
    night: &'a Night,
    message: Message<'a>,
    tell: &'a Tell,
    nights: PathBuf,
}

impl<'a> News<'a> {
    /// Of a night, with changes of figures that were called.
    pub fn of(night: &'a Night, changes: &'a [String], tell: &'a Tell, results: &Path) -> Self {
        Self {
            night,
            message: Message::of(night, changes, tell.page.as_deref()),
            tell,
            nights: results.join("nights"),
        }
    }

    /// Writes summary and JUnit beside the night's file, and answers with the summary.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn summary(&self, page: &Path) -> anyhow::Result<String> {
        let name = self.night.name();
        let summary = self.message.summary();
        let file = |ending: &str| self.nights.join(format!("{name}.{ending}"));
        history::rundir::write_atomically(&file("summary.md"), summary.as_bytes())?;
        history::rundir::write_atomically(&file("junit.xml"), self.message.junit()?.as_bytes())?;
        Ok(format!("{}\npage: {}", summary.trim_end(), page.display()))
    }

    /// Posts and mails, unless all is well and nobody wants to hear that.
    pub async fn tell(&self) {
        if !self.message.worth_telling(self.tell.quiet) {
            return;
        }
        if let Some(name) = &self.tell.webhook {
            match url(name) {
                Ok(url) => self.post(&url).await,
                Err(error) => say_error(&format!("tidemark: {}", sentence(&error))),
            }
        }
        if let (Some(to), Some(sendmail)) = (&self.tell.mail, sendmail()) {
            match self.mail(&sendmail, to) {
                Ok(()) => say_error(&format!("a mail to {to} was handed over")),
                Err(error) => say_error(&format!("tidemark: no mail: {}", sentence(&error))),
            }
        }
    }

    async fn post(&self, url: &str) {
        let body = match self.tell.form {
            Form::Text => self.message.chat(),
            Form::Card => self.message.card(),
            Form::Facts => self.message.generic(),
        };
        let undelivered = self.nights.join("undelivered");
        let name = self.night.name();
        match send(url, &body, Patience::default(), &undelivered, &name).await {
            Sent::Delivered { tries: 1 } => say_error("the webhook was told"),
            Sent::Delivered { tries } => {
                say_error(&format!("the webhook was told, at the {tries}. try"));
            }
            Sent::Undelivered { kept, why } => {
                let kept = kept.map(|path| format!("; it lies in {}", path.display()));
                say_error(&format!(
                    "tidemark: the webhook did not take the message: {why}{}",
                    kept.unwrap_or_default()
                ));
            }
        }
    }

    fn mail(&self, sendmail: &Path, to: &str) -> anyhow::Result<()> {
        let mail = self.message.mail(FROM, &[to.to_owned()]);
        let mut child = Command::new(sendmail)
            .arg("-t")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()?;
        if let Some(mut input) = child.stdin.take() {
            input.write_all(mail.as_bytes())?;
        }
        let status = child.wait()?;
        match status.success() {
            true => Ok(()),
            false => Err(anyhow!("sendmail ended with {status}")),
        }
    }
}

fn sendmail() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs = std::env::split_paths(&path).chain(SBIN.map(PathBuf::from));
    dirs.map(|dir| dir.join("sendmail"))
        .find(|file| file.is_file())
}
