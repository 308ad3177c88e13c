//! Numbers nobody chose, and saying things to a terminal that may be gone.

use std::hash::{BuildHasher, RandomState};
use std::io::Write;
use std::path::Path;

/// A number nobody chose: for a run's id, and for a seed that was not given. Printed at once.
pub fn fresh_number() -> u64 {
    RandomState::new().hash_one(std::process::id())
}

/// Prints a line; a reader that went away (`| head`) is no error.
pub fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// The same on standard error.
pub fn say_error(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Prints text as it is.
pub fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// Gives what root made to the user who called sudo, so that `check` and `report` need no sudo
/// afterwards. Without sudo there is nobody to give it to; where it cannot be given, that is said.
pub fn give_to_caller(path: &Path) {
    if let Err(error) = give_to_sudo_user(path) {
        let path = path.display();
        say_error(&format!("tidemark: {path} stays root's: {error}"));
    }
}

fn give_to_sudo_user(dir: &Path) -> std::io::Result<()> {
    let id = |name| {
        std::env::var(name)
            .ok()
            .and_then(|id| id.parse::<u32>().ok())
    };
    match (id("SUDO_UID"), id("SUDO_GID")) {
        (Some(user), Some(group)) if nix::unistd::Uid::effective().is_root() => {
            if let Some(runs) = dir.parent() {
                std::os::unix::fs::lchown(runs, Some(user), Some(group))?;
            }
            give(dir, user, group)
        }
        _ => Ok(()),
    }
}

fn give(path: &Path, user: u32, group: u32) -> std::io::Result<()> {
    std::os::unix::fs::lchown(path, Some(user), Some(group))?;
    if path.symlink_metadata()?.is_dir() {
        for entry in std::fs::read_dir(path)? {
            give(&entry?.path(), user, group)?;
        }
    }
    Ok(())
}
