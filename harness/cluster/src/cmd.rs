//! Commands for hosts: an argument vector, turned into POSIX sh by one quoting function.
//!
//! Nothing here runs anything, and nothing elsewhere pastes a value into shell text: values travel
//! as arguments (`$1`, `$2`) and are quoted here.

use std::fmt;

/// A command line is one argument of the remote login shell, and Linux ends an argument at 128 KiB
/// (MAX_ARG_STRLEN); what is longer has to go through standard input.
pub const LONGEST_COMMAND: usize = 120 * 1024;

/// A command for a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cmd {
    argv: Vec<String>,
    env: Vec<(String, String)>,
    sudo: bool,
    stdin: Option<Vec<u8>>,
}

impl Cmd {
    /// The program `program`, found on the host's PATH.
    pub fn new(program: impl Into<String>) -> Self {
        Self {
            argv: vec![program.into()],
            env: Vec::new(),
            sudo: false,
            stdin: None,
        }
    }

    /// A POSIX sh script; `args` are its `$1`, `$2`, ...
    pub fn script<A: Into<String>>(text: &str, args: impl IntoIterator<Item = A>) -> Self {
        let mut cmd = Self::new("sh").arg("-c").arg(text).arg("sh");
        cmd.argv.extend(args.into_iter().map(Into::into));
        cmd
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, arg: impl ToString) -> Self {
        self.argv.push(arg.to_string());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: ToString>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.argv.extend(args.into_iter().map(|a| a.to_string()));
        self
    }

    /// Asks for root: run as [`crate::root`] says where the lab's login is not root itself, as it is
    /// otherwise.
    #[must_use]
    pub fn sudo(mut self) -> Self {
        self.sudo = true;
        self
    }

    /// Sets an environment variable of the command.
    #[must_use]
    pub fn env(mut self, key: impl Into<String>, value: impl ToString) -> Self {
        self.env.push((key.into(), value.to_string()));
        self
    }

    /// What the command reads from its standard input; `/dev/null` when never called.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(bytes.into());
        self
    }

    /// Whether it asks for root.
    pub fn wants_root(&self) -> bool {
        self.sudo
    }

    pub(crate) fn input(&self) -> Option<&[u8]> {
        self.stdin.as_deref()
    }

    /// The whole vector: `root` where root is asked for, `env K=V`, program, arguments.
    pub(crate) fn words(&self, root: &str) -> Vec<String> {
        let mut words = Vec::with_capacity(self.argv.len() + self.env.len() + 4);
        if self.sudo {
            words.extend(root.split_whitespace().map(str::to_owned));
        }
        if !self.env.is_empty() {
            words.push("env".to_owned());
            words.extend(self.env.iter().map(|(k, v)| format!("{k}={v}")));
        }
        words.extend(self.argv.iter().cloned());
        words
    }
}

/// What a person needs to recognise a command: scripts and long arguments are shortened.
impl fmt::Display for Cmd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.sudo {
            f.write_str("sudo ")?;
        }
        for (i, word) in self.argv.iter().enumerate() {
            if i > 0 {
                f.write_str(" ")?;
            }
            f.write_str(&shortened(&quote(word)))?;
        }
        Ok(())
    }
}

fn shortened(word: &str) -> String {
    const SHOWN: usize = 72;
    let line = word.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= SHOWN {
        return line;
    }
    let mut cut: String = line.chars().take(SHOWN - 1).collect();
    cut.push('…');
    if word.starts_with('\'') {
        cut.push('\'');
    }
    cut
}

/// One word of POSIX sh that means exactly `word`.
pub fn quote(word: &str) -> String {
    let plain = |c: char| {
        c.is_ascii_alphanumeric()
            || matches!(c, '_' | '-' | '.' | '/' | ':' | ',' | '+' | '@' | '%')
    };
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Words as one line of POSIX sh.
pub fn quoted<W: AsRef<str>>(words: impl IntoIterator<Item = W>) -> String {
    let words: Vec<String> = words.into_iter().map(|w| quote(w.as_ref())).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_back_what_was_quoted() {
        let words = [
            "", "plain", "it's", "a b", "$HOME", "`id`", "x\ny", "\\", "*", "~", "é", "a=b", "-n",
        ];
        let line = format!("printf '%s\\0' {}", quoted(words));
        let out = std::process::Command::new("sh")
            .arg("-c")
            .arg(line)
            .output()
            .expect("sh");
        let back: Vec<&[u8]> = out.stdout.split(|b| *b == 0).collect();
        assert_eq!(back.len(), words.len() + 1);
        for (word, read) in words.iter().zip(back) {
            assert_eq!(word.as_bytes(), read);
        }
    }

    #[test]
    fn root_is_asked_for_before_the_environment() {
        let cmd = Cmd::new("iptables").arg("-w").env("LC_ALL", "C").sudo();
        assert_eq!(
            quoted(cmd.words("sudo -n")),
            "sudo -n env 'LC_ALL=C' iptables -w"
        );
        assert_eq!(quoted(cmd.words("")), "env 'LC_ALL=C' iptables -w");
    }

    #[test]
    fn it_prints_readable() {
        assert_eq!(
            Cmd::new("kill").arg("-9").arg(17).sudo().to_string(),
            "sudo kill -9 17"
        );
        let long = Cmd::script(&"echo this is long; ".repeat(20), ["n 0"]).to_string();
        assert!(long.starts_with("sh -c 'echo this is long;"), "{long}");
        assert!(long.ends_with("…' sh 'n 0'"), "{long}");
        assert!(long.chars().count() < 120, "{long}");
    }
}
