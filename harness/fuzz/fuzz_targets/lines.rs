//! Any bytes as a broker's log file; and as the message of a line whose time fits.
#![no_main]

use evidence::{Source, read_lines, says};
use history::{NodeId, Service};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let source = Source {
        node: NodeId(0),
        service: Service::Broker,
        file: "server.log",
    };
    let (mut lines, mut unreadable) = (Vec::new(), Vec::new());
    read_lines(source, bytes, &mut lines, &mut unreadable).expect("memory can be read");
    let there = bytes.split(|byte| *byte == b'\n').count();
    assert!(lines.len() + unreadable.len() <= there);
    if let Ok(text) = std::str::from_utf8(bytes) {
        for line in text.lines() {
            let _ = says(line);
        }
    }
});
