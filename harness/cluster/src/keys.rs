//! Host keys: which are known, which the server should be asked for, what to say when one differs.
//!
//! Never trusts silently: an unknown key is accepted only where the lab file says so, and a key
//! that differs from the known one never is.

use std::io::Write;
use std::path::{Path, PathBuf};

use ssh2::{CheckResult, HashType, HostKeyType, KnownHostFileKind, MethodType, Session};

use crate::labfile::Login;

/// Key types as they stand in known_hosts, with the signature algorithms to ask for. A server has
/// one key per type; libssh2 would ask for ed25519 first, and a file that holds only the RSA key
/// would then look like a changed key.
const TYPES: [(&str, &str); 5] = [
    ("ssh-ed25519", "ssh-ed25519"),
    ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256"),
    ("ecdsa-sha2-nistp384", "ecdsa-sha2-nistp384"),
    ("ecdsa-sha2-nistp521", "ecdsa-sha2-nistp521"),
    ("ssh-rsa", "rsa-sha2-512,rsa-sha2-256,ssh-rsa"),
];

/// The file of known host keys that a login names, or the user's own.
pub(crate) fn known_hosts_file(login: &Login) -> Result<PathBuf, String> {
    if let Some(path) = &login.known_hosts {
        return Ok(path.clone());
    }
    std::env::home_dir()
        .map(|home| home.join(".ssh/known_hosts"))
        .ok_or_else(|| {
            "no home directory, so no known_hosts: set login.known_hosts in the lab file".to_owned()
        })
}

/// The text of the file; a file that does not exist knows nobody.
pub(crate) fn read_known(path: &Path) -> Result<String, String> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(text),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(e) => Err(format!(
            "cannot read known host keys from {}: {e}",
            path.display()
        )),
    }
}

/// Makes the session ask first for the key types that are known of this host.
pub(crate) fn prefer_known_types(
    session: &Session,
    known: &str,
    host: &str,
    port: u16,
) -> Result<(), ssh2::Error> {
    let mut wanted: Vec<&str> = Vec::new();
    for line in known.lines().filter(|l| !l.starts_with(['#', '@'])) {
        let mut fields = line.split_whitespace();
        let (Some(_hosts), Some(kind)) = (fields.next(), fields.next()) else {
            continue;
        };
        let Some((_, algorithms)) = TYPES.iter().find(|(name, _)| *name == kind) else {
            continue;
        };
        if !wanted.contains(algorithms) && line_is_about(session, line, host, port) {
            wanted.push(algorithms);
        }
    }
    if wanted.is_empty() {
        return Ok(());
    }
    // The others stay on offer, so that a host whose key type changed ends as "differs", in our words.
    let others = TYPES
        .iter()
        .map(|(_, a)| *a)
        .filter(|a| !wanted.contains(a))
        .collect::<Vec<_>>();
    wanted.extend(others);
    session.method_pref(MethodType::HostKey, &wanted.join(","))
}

/// Asks libssh2, which understands hashed names and `[host]:port`, by way of a key that nobody has.
fn line_is_about(session: &Session, line: &str, host: &str, port: u16) -> bool {
    let Ok(mut one) = session.known_hosts() else {
        return false;
    };
    one.read_str(line, KnownHostFileKind::OpenSSH).is_ok()
        && matches!(
            one.check_port(host, port, b"no such key"),
            CheckResult::Mismatch | CheckResult::Match
        )
}

/// Checks the key that the server showed. `Err` is a sentence with its remedy.
pub(crate) fn check(
    session: &Session,
    login: &Login,
    file: &Path,
    known: &str,
    host: &str,
    port: u16,
) -> Result<(), String> {
    let (key, kind) = session.host_key().ok_or("the server showed no host key")?;
    let mut list = session.known_hosts().map_err(|e| e.to_string())?;
    for line in known.lines().filter(|l| !l.starts_with(['#', '@'])) {
        // A line that libssh2 cannot read is a line about a key that it could not check either.
        let _unreadable = list.read_str(line, KnownHostFileKind::OpenSSH);
    }
    let print = fingerprint(session);
    let name = kind_name(kind);
    let place = bracketed(host, port);
    match list.check_port(host, port, key) {
        CheckResult::Match => Ok(()),
        CheckResult::Mismatch => Err(format!(
            "the host key of {host} port {port} is not the known one (it shows {name} {print}): somebody is in between, or the host was \
             installed again; if you know that it was, remove the old key with `ssh-keygen -R '{place}' -f {}`",
            file.display()
        )),
        CheckResult::NotFound if login.accept_new_host_keys => remember(file, &place, name, key),
        CheckResult::NotFound => Err(format!(
            "the host key of {host} port {port} is unknown ({name} {print}): compare it with the host's own and add it with \
             `ssh-keyscan -p {port} {host} >> {}`, or set login.accept_new_host_keys = true in the lab file",
            file.display()
        )),
        CheckResult::Failure => Err(format!(
            "the host key of {host} port {port} could not be compared with {}",
            file.display()
        )),
    }
}

fn remember(file: &Path, place: &str, kind: &str, key: &[u8]) -> Result<(), String> {
    let said = |e: std::io::Error| format!("cannot remember a host key in {}: {e}", file.display());
    if let Some(dir) = file.parent() {
        std::fs::create_dir_all(dir).map_err(said)?;
    }
    let mut open = std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(file)
        .map_err(said)?;
    // One write, so that hosts connecting at the same time do not mix their lines.
    open.write_all(format!("{place} {kind} {}\n", base64(key, true)).as_bytes())
        .map_err(said)
}

fn bracketed(host: &str, port: u16) -> String {
    if port == 22 {
        host.to_owned()
    } else {
        format!("[{host}]:{port}")
    }
}

fn kind_name(kind: HostKeyType) -> &'static str {
    match kind {
        HostKeyType::Ed25519 => "ssh-ed25519",
        HostKeyType::Ecdsa256 => "ecdsa-sha2-nistp256",
        HostKeyType::Ecdsa384 => "ecdsa-sha2-nistp384",
        HostKeyType::Ecdsa521 => "ecdsa-sha2-nistp521",
        HostKeyType::Rsa => "ssh-rsa",
        HostKeyType::Dss => "ssh-dss",
        HostKeyType::Unknown => "unknown",
    }
}

/// As `ssh-keygen -l` prints it.
fn fingerprint(session: &Session) -> String {
    session
        .host_key_hash(HashType::Sha256)
        .map_or_else(String::new, |hash| {
            format!("SHA256:{}", base64(hash, false))
        })
}

fn base64(bytes: &[u8], padded: bool) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let group =
            three.iter().fold(0_u32, |g, b| g << 8 | u32::from(*b)) << (8 * (3 - three.len()));
        for i in 0..4 {
            if i <= three.len() {
                text.push(ALPHABET[(group >> (18 - 6 * i) & 63) as usize] as char);
            } else if padded {
                text.push('=');
            }
        }
    }
    text
}

/// Whether a private key file's text says that it needs a passphrase. libssh2 itself says only
/// "unable to extract public key" (-16).
pub(crate) fn is_encrypted(text: &str) -> bool {
    // "openssh-key-v1\0", then the length and name of the cipher; this prefix continues with "none".
    const OPENSSH: &str = "b3BlbnNzaC1rZXktdjEA";
    const OPENSSH_PLAIN: &str = "b3BlbnNzaC1rZXktdjEAAAAABG5vbmU";
    let body: String = text.lines().filter(|l| !l.starts_with("-----")).collect();
    text.contains("ENCRYPTED") || (body.starts_with(OPENSSH) && !body.starts_with(OPENSSH_PLAIN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_as_the_rfc_has_it() {
        for (bytes, padded, bare) in [
            ("", "", ""),
            ("f", "Zg==", "Zg"),
            ("fo", "Zm8=", "Zm8"),
            ("foo", "Zm9v", "Zm9v"),
            ("foob", "Zm9vYg==", "Zm9vYg"),
        ] {
            assert_eq!(base64(bytes.as_bytes(), true), padded);
            assert_eq!(base64(bytes.as_bytes(), false), bare);
        }
    }

    #[test]
    fn hashed_names_and_ports_are_understood() {
        let session = Session::new().expect("session");
        let key = "AAAAC3NzaC1lZDI1NTE5AAAAIGDZNKHN3SUgpNk2xo9BGfZmBSTGhUqJmHGTQKpxbVOh";
        assert!(line_is_about(
            &session,
            &format!("[10.0.0.7]:2222 ssh-ed25519 {key}"),
            "10.0.0.7",
            2222
        ));
        assert!(!line_is_about(
            &session,
            &format!("[10.0.0.7]:2222 ssh-ed25519 {key}"),
            "10.0.0.7",
            2223
        ));
        assert!(line_is_about(
            &session,
            &format!("a,10.0.0.7 ssh-ed25519 {key}"),
            "10.0.0.7",
            22
        ));
        let hashed = format!("{} ssh-ed25519 {key}", HASHED);
        assert!(line_is_about(&session, &hashed, "10.0.0.7", 22));
        assert!(!line_is_about(&session, &hashed, "10.0.0.8", 22));
    }

    // What `ssh-keygen -H` makes of "10.0.0.7".
    const HASHED: &str = "|1|8oiveV10gOHbx4XSWgw10kkUJW8=|LnG25KYFTsvZ3wJoYUYeozKRsFY=";
}
