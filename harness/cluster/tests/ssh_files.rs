//! Files to and from a host over a real sshd on loopback: whole, or not at all.

mod loopback;

use std::io::Write;
use std::time::Duration;

use cluster::{Cmd, End, Lane};
use loopback::sshd;

const SOON: Duration = Duration::from_secs(20);

#[tokio::test]
async fn files_travel_whole() {
    let Some(sshd) = sshd().await else { return };
    let host = sshd.host().await;
    let bytes: Vec<u8> = (0..3_000_001_u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    let there = sshd.remote("new/dir/it's here");
    host.put_bytes(Lane::Bulk, bytes.clone(), &there, 0o640)
        .await
        .expect("put");
    assert_eq!(std::fs::read(&there).expect("there"), bytes);
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(&there).expect("there").permissions(),
    );
    assert_eq!(mode & 0o777, 0o640);
    let back = sshd.path("back");
    assert_eq!(
        host.get_file(Lane::Bulk, &there, &back).await.expect("got"),
        bytes.len() as u64
    );
    assert_eq!(std::fs::read(&back).expect("back"), bytes);
    let twice = sshd.remote("twice");
    host.put_file(Lane::Control, &back, &twice, 0o600)
        .await
        .expect("put");
    assert_eq!(std::fs::read(&twice).expect("twice"), bytes);
    for empty in [0, 1] {
        let name = sshd.remote("tiny");
        host.put_bytes(Lane::Control, vec![b'\n'; empty], &name, 0o644)
            .await
            .expect("put");
        assert_eq!(
            host.get_file(Lane::Control, &name, &back)
                .await
                .expect("got"),
            empty as u64
        );
        assert_eq!(std::fs::read(&back).expect("back").len(), empty);
    }
}

#[tokio::test]
async fn a_failed_copy_leaves_nothing() {
    let Some(sshd) = sshd().await else { return };
    let host = sshd.host().await;
    let why = host
        .get_file(Lane::Bulk, &sshd.remote("nowhere"), &sshd.path("back"))
        .await
        .expect_err("missing")
        .to_string();
    assert!(why.contains("nowhere is not there"), "{why}");
    assert!(!sshd.path("back").exists() && !sshd.path("back.part").exists());
    let why = host
        .put_bytes(Lane::Bulk, vec![1; 10_000_000], "/dev/null/x", 0o600)
        .await
        .expect_err("no directory")
        .to_string();
    assert!(
        why.starts_with("n1: writing /dev/null/x ended with exit status 1: "),
        "{why}"
    );
    if std::path::Path::new("/dev/full").exists() {
        std::os::unix::fs::symlink("/dev/full", sshd.path("full.part")).expect("link");
        let why = host
            .put_bytes(Lane::Bulk, vec![1; 10_000_000], &sshd.remote("full"), 0o600)
            .await
            .expect_err("full")
            .to_string();
        assert!(why.contains("No space left on device"), "{why}");
        assert!(!sshd.path("full").exists());
    }
}

#[tokio::test]
async fn a_stream_reaches_its_sink_and_a_refusing_sink_stops_it() {
    let Some(sshd) = sshd().await else { return };
    let host = sshd.host().await;
    let file = sshd.path("sunk");
    let sink = Box::new(std::fs::File::create(&file).expect("file"));
    let cmd = Cmd::script("head -c 30000000 /dev/zero; echo note >&2", [""; 0]);
    let (ran, bytes) = host
        .stream(Lane::Bulk, &cmd, SOON, sink)
        .await
        .expect("streamed");
    assert_eq!(
        (ran.end, bytes, ran.stderr.as_slice()),
        (End::Exit(0), 30_000_000, &b"note\n"[..])
    );
    assert_eq!(std::fs::metadata(&file).expect("file").len(), 30_000_000);

    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("disk full"))
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let why = host
        .stream(Lane::Bulk, &Cmd::new("yes"), SOON, Box::new(Full))
        .await
        .expect_err("full")
        .to_string();
    assert!(
        why.ends_with("its output cannot be written here: disk full"),
        "{why}"
    );
}
