//! The jars of a broker: resolved once by Maven, or taken from a release tarball, and kept.
//!
//! It works in the caller's network, on the controller, and never touches a host: `install` copies
//! from here. What is kept is believed only while its digests match.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use sha2::{Digest, Sha256, Sha512};

use crate::error::ClusterError;

/// What a broker of Kafka 3.0.0 needs.
pub const BROKER_POM: &str = include_str!("../../../kafka/3.0.0/pom.xml");
/// What Kafka's own client tools need; for benchmarks on the controller, never for hosts.
pub const TOOLS_POM: &str = include_str!("../../../kafka/tools/pom.xml");

/// The plugin that Maven runs, with its version, so that it does the same next year.
const COPY: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies";
/// Written last; without it a directory of the cache holds nothing.
const DIGESTS: &str = "SHA256SUMS";

/// A server that does not answer at all.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// A release is some 80 MB.
const FETCH_WITHIN: Duration = Duration::from_secs(600);

/// A resolved class path.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Artefacts {
    /// Kafka's version: `3.0.0`.
    pub version: String,
    /// In class path order (by name).
    pub jars: Vec<Jar>,
}

/// One jar on the controller.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Jar {
    /// `kafka_2.13-3.0.0.jar`.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// SHA-256 of its bytes, in hexadecimal: its name on hosts.
    pub sha256: String,
    /// Its size.
    pub bytes: u64,
}

/// `$XDG_CACHE_HOME/tidemark`, or `~/.cache/tidemark`.
///
/// # Errors
/// When neither `XDG_CACHE_HOME` nor `HOME` is set.
pub fn default_cache() -> Result<PathBuf, ClusterError> {
    let var = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let base = var("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| var("HOME").map(|home| Path::new(&home).join(".cache")))
        .ok_or_else(|| {
            ClusterError::Lab(
                "no place to keep Kafka's jars: set HOME or XDG_CACHE_HOME".to_owned(),
            )
        })?;
    Ok(base.join("tidemark"))
}

impl Artefacts {
    /// The jars of a broker of this version. Only 3.0.0 has a POM so far.
    ///
    /// # Errors
    /// As [`Artefacts::resolve`]; and for a version without a POM.
    pub fn broker(version: &str, cache: &Path) -> Result<Self, ClusterError> {
        if version != "3.0.0" {
            return Err(ClusterError::Lab(format!(
                "there is no list of artefacts for Kafka {version} (there is one for 3.0.0); \
                 give a release tarball instead"
            )));
        }
        Self::resolve(version, cache, BROKER_POM)
    }

    /// Resolves what `pom` names into the cache, by Maven; where that was done before, Maven is not
    /// started. Blocks: belongs into the process that the user started, before any runtime.
    ///
    /// # Errors
    /// When Maven is missing or fails (offline, for one), with the remedy; when the cache cannot be
    /// written.
    pub fn resolve(version: &str, cache: &Path, pom: &str) -> Result<Self, ClusterError> {
        let key = hex(&Sha256::digest(pom));
        let home = cache.join(format!("kafka-{version}-{}", &key[..12]));
        if let Some(kept) = kept(version, &home) {
            return Ok(kept);
        }
        let fresh = Fresh::create(cache)?;
        let pom_file = fresh.0.join("pom.xml");
        let jars = fresh.0.join("jars");
        fs::write(&pom_file, pom).map_err(|e| unwritable(&pom_file, &e))?;
        maven(version, &pom_file, &jars, &home)?;
        fresh.keep(version, &home)
    }

    /// The jars of a release tarball (`kafka_2.13-3.0.0.tgz`), given by path or by URL, if its
    /// SHA-512 is the one given (in hexadecimal; blanks are ignored, as Apache prints them).
    ///
    /// # Errors
    /// When it cannot be read or fetched, its digest differs, or it holds no `libs/`.
    pub async fn from_tarball(
        version: &str,
        at: &str,
        sha512: &str,
        cache: &Path,
    ) -> Result<Self, ClusterError> {
        let wanted: String = sha512.split_whitespace().collect::<String>().to_lowercase();
        let key = wanted.get(..12).filter(|_| wanted.len() == 128);
        let key = key.ok_or_else(|| {
            ClusterError::Lab(format!(
                "`{sha512}` is no SHA-512: 128 hexadecimal digits are wanted"
            ))
        })?;
        let home = cache.join(format!("kafka-{version}-{key}"));
        if let Some(kept) = kept(version, &home) {
            return Ok(kept);
        }
        let bytes = load(at).await?;
        let found = hex(&Sha512::digest(&bytes));
        if found != wanted {
            return Err(ClusterError::Lab(format!(
                "{at} is not what was asked for: its SHA-512 is {found}"
            )));
        }
        let fresh = Fresh::create(cache)?;
        unpack_libs(&bytes, &fresh.0.join("jars"))
            .map_err(|e| ClusterError::Lab(format!("{at} is no release of Kafka: {e}")))?;
        fresh.keep(version, &home)
    }

    /// The jars as a class path for a program on the controller.
    pub fn class_path(&self) -> String {
        let paths = self.jars.iter().map(|jar| jar.path.display().to_string());
        paths.collect::<Vec<_>>().join(":")
    }
}

/// What an earlier call left, if every file is there and unchanged.
fn kept(version: &str, home: &Path) -> Option<Artefacts> {
    let listed = fs::read_to_string(home.join(DIGESTS)).ok()?;
    let mut jars = Vec::new();
    for line in listed.lines() {
        let (sha256, name) = line.split_once("  ")?;
        let path = home.join("jars").join(name);
        let bytes = fs::metadata(&path).ok()?.len();
        if digest(&path).ok()? != sha256 {
            return None;
        }
        jars.push(Jar {
            name: name.to_owned(),
            path,
            sha256: sha256.to_owned(),
            bytes,
        });
    }
    (!jars.is_empty()).then(|| Artefacts {
        version: version.to_owned(),
        jars,
    })
}

/// A directory of the cache that is being filled; removed unless it is kept.
struct Fresh(PathBuf);

impl Fresh {
    fn create(cache: &Path) -> Result<Self, ClusterError> {
        let dir = cache.join(format!(".filling-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(dir.join("jars")).map_err(|e| unwritable(&dir, &e))?;
        Ok(Self(dir))
    }

    /// Notes the digests and moves the directory to its place.
    fn keep(self, version: &str, home: &Path) -> Result<Artefacts, ClusterError> {
        let mut names: Vec<String> = fs::read_dir(self.0.join("jars"))
            .and_then(|entries| {
                entries
                    .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
                    .collect()
            })
            .map_err(|e| unwritable(&self.0, &e))?;
        names.retain(|name| name.ends_with(".jar"));
        names.sort_unstable();
        let mut listed = String::new();
        for name in &names {
            let path = self.0.join("jars").join(name);
            let sha256 = digest(&path).map_err(|e| unwritable(&path, &e))?;
            listed += &format!("{sha256}  {name}\n");
        }
        fs::write(self.0.join(DIGESTS), listed).map_err(|e| unwritable(&self.0, &e))?;
        // What stands there, if anything, was not believed: damaged, or half of it is missing. When
        // another process was faster, its result is as good as ours.
        if kept(version, home).is_none() {
            let _ = fs::remove_dir_all(home);
            let moved = fs::rename(&self.0, home);
            if let (Err(e), None) = (&moved, kept(version, home)) {
                return Err(unwritable(home, e));
            }
        }
        kept(version, home).ok_or_else(|| {
            ClusterError::Lab(format!(
                "no jar was found for Kafka {version}; remove {} and try again",
                home.display()
            ))
        })
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn maven(version: &str, pom: &Path, into: &Path, home: &Path) -> Result<(), ClusterError> {
    let mut command = Command::new("mvn");
    command.args(["-q", "-B", "-f"]).arg(pom).arg(COPY);
    command.args(["-DincludeScope=runtime", "-Dstyle.color=never"]);
    command.arg(format!("-DoutputDirectory={}", into.display()));
    let output = command.output().map_err(|e| {
        ClusterError::Lab(format!(
            "mvn, which fetches Kafka's jars, did not start ({e}): install Maven \
             (apt-get install maven, or yum install maven), copy {} from a machine that has it, or \
             give a release tarball",
            home.display()
        ))
    })?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(ClusterError::Lab(format!(
        "mvn could not fetch the jars of Kafka {version}: {}; it needs Java and a network, once: the \
         jars are kept in {}, which may be copied from another machine; or give a release tarball",
        first_error(&String::from_utf8_lossy(&said)),
        home.display()
    )))
}

/// Maven repeats itself; its first line with a reason is enough. Where it did not start, all lines.
fn first_error(said: &str) -> String {
    // Colours are switched off, and yet some versions end every line with one.
    let said = said.replace("\u{1b}[0m", "").replace("\u{1b}[m", "");
    let lines = said.lines().map(str::trim);
    let mut errors = lines
        .clone()
        .filter_map(|line| line.strip_prefix("[ERROR] "));
    let error = errors.next().map_or_else(
        // What mvn says before it has begun is broken into lines anywhere.
        || {
            lines
                .filter(|l| !l.is_empty())
                .collect::<Vec<_>>()
                .join(" ")
        },
        |line| line.trim().to_owned(),
    );
    match error.as_str() {
        "" => "it said nothing".to_owned(),
        error => error
            .trim_end_matches(['.', ','])
            .chars()
            .take(300)
            .collect(),
    }
}

async fn load(at: &str) -> Result<Vec<u8>, ClusterError> {
    let cannot = |why: String| {
        ClusterError::Lab(format!(
            "cannot read {at}: {why}; give a path or a URL of a release tarball that exists"
        ))
    };
    if !at.starts_with("http://") && !at.starts_with("https://") {
        return fs::read(at).map_err(|e| cannot(e.to_string()));
    }
    let client = reqwest::Client::builder()
        .connect_timeout(CONNECT_WITHIN)
        .timeout(FETCH_WITHIN)
        .build()
        .map_err(|e| cannot(e.to_string()))?;
    let answer = client.get(at).send().await;
    let answer = answer.and_then(|r| r.error_for_status());
    let answer = answer.map_err(|e| cannot(e.to_string()))?;
    let bytes = answer.bytes().await.map_err(|e| cannot(e.to_string()))?;
    Ok(bytes.to_vec())
}

/// Only `<anything>/libs/<name>.jar` is taken, under its own name.
fn unpack_libs(tarball: &[u8], into: &Path) -> std::io::Result<()> {
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(tarball));
    let mut found = 0;
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let within_libs = path.parent().is_some_and(|dir| dir.ends_with("libs"));
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned());
        if let Some(name) = name.filter(|name| within_libs && name.ends_with(".jar")) {
            std::io::copy(&mut entry, &mut fs::File::create(into.join(name))?)?;
            found += 1;
        }
    }
    if found == 0 {
        return Err(std::io::Error::other("it has no libs/*.jar"));
    }
    Ok(())
}

fn digest(path: &Path) -> std::io::Result<String> {
    let mut file = fs::File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 17];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex(&hasher.finalize())),
            n => hasher.update(&buffer[..n]),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unwritable(path: &Path, why: &std::io::Error) -> ClusterError {
    ClusterError::Lab(format!(
        "cannot keep Kafka's jars in {}: {why}; make room there, or set XDG_CACHE_HOME",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A release tarball with one jar, and its SHA-512.
    fn release(name: &str) -> (Vec<u8>, String) {
        let gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        let mut archive = tar::Builder::new(gzip);
        let mut header = tar::Header::new_gnu();
        header.set_size(3);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, &b"jar"[..]).unwrap();
        let bytes = archive.into_inner().unwrap().finish().unwrap();
        let digest = hex(&Sha512::digest(&bytes));
        (bytes, digest)
    }

    #[tokio::test]
    async fn a_tarball_is_unpacked_once_and_damage_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let (bytes, sha512) = release("kafka_2.13-3.0.0/libs/a.jar");
        let tarball = dir.path().join("kafka.tgz");
        fs::write(&tarball, bytes).unwrap();
        let at = tarball.to_str().unwrap();
        let first = Artefacts::from_tarball("3.0.0", at, &sha512, dir.path())
            .await
            .unwrap();
        assert_eq!(first.jars[0].name, "a.jar");
        assert_eq!(first.jars[0].bytes, 3);

        fs::remove_file(&tarball).unwrap();
        let again = Artefacts::from_tarball("3.0.0", at, &sha512, dir.path()).await;
        assert_eq!(again.unwrap(), first);

        fs::write(&first.jars[0].path, "jax").unwrap();
        let error = Artefacts::from_tarball("3.0.0", at, &sha512, dir.path()).await;
        assert!(error.unwrap_err().to_string().starts_with("cannot read"));
    }

    #[tokio::test]
    async fn a_tarball_comes_from_a_url_as_well() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let dir = tempfile::tempdir().unwrap();
        let (bytes, sha512) = release("kafka_2.13-3.0.0/libs/a.jar");
        let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = format!("http://{}/kafka.tgz", server.local_addr().unwrap());
        let serving = tokio::spawn(async move {
            for found in [true, false] {
                let (mut peer, _) = server.accept().await.unwrap();
                let mut asked = [0; 1024];
                let _ = peer.read(&mut asked).await.unwrap();
                let (status, body) = if found {
                    ("200 OK", &bytes[..])
                } else {
                    ("404 Not Found", &b""[..])
                };
                let length = body.len();
                let head = format!(
                    "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
                );
                peer.write_all(head.as_bytes()).await.unwrap();
                peer.write_all(body).await.unwrap();
            }
        });
        let got = Artefacts::from_tarball("3.0.0", &at, &sha512, dir.path()).await;
        assert_eq!(got.unwrap().jars[0].name, "a.jar");
        let other = tempfile::tempdir().unwrap();
        let error = Artefacts::from_tarball("3.0.0", &at, &sha512, other.path()).await;
        let error = error.unwrap_err().to_string();
        assert!(
            error.contains("404") && error.contains("give a path or a URL"),
            "{error}"
        );
        serving.await.unwrap();
    }

    #[tokio::test]
    async fn another_digest_and_another_archive_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let tarball = dir.path().join("x.tgz");
        let at = tarball.to_str().unwrap();
        let (bytes, sha512) = release("kafka/README");
        fs::write(&tarball, bytes).unwrap();
        let other = "0".repeat(128);
        let error = Artefacts::from_tarball("3.0.0", at, &other, dir.path()).await;
        assert!(
            error
                .unwrap_err()
                .to_string()
                .contains("is not what was asked for")
        );
        let error = Artefacts::from_tarball("3.0.0", at, &sha512, dir.path()).await;
        assert!(
            error
                .unwrap_err()
                .to_string()
                .ends_with("it has no libs/*.jar")
        );
        let left = fs::read_dir(dir.path()).unwrap().count();
        assert_eq!(left, 1, "nothing half-filled stays behind");
    }

    #[test]
    fn mavens_reason_is_one_line() {
        let said =
            "[WARNING] x\n[ERROR] Failed to execute goal y: offline mode\n[ERROR] \n[ERROR] z";
        assert_eq!(first_error(said), "Failed to execute goal y: offline mode");
        assert_eq!(first_error(""), "it said nothing");
        let coloured = "\u{1b}[0m\u{1b}[0m[ERROR] no place -> [Help 1]\n\u{1b}[0m";
        assert_eq!(first_error(coloured), "no place -> [Help 1]");
        let unbegun = "The JAVA_HOME environment variable is not defined correctly,\n\
                       this environment variable is needed to run this program.\n";
        let whole = "The JAVA_HOME environment variable is not defined correctly, this environment \
                     variable is needed to run this program";
        assert_eq!(first_error(unbegun), whole);
    }
}
