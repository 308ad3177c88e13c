//! Any text as each of the checkpoint files; what parses must hold no more than was there.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let lines = text.lines().count();
    let offsets = evidence::checkpoint::offsets(text).value;
    assert!(offsets.len() <= lines);
    let epochs = evidence::checkpoint::epochs(text).value;
    assert!(epochs.len() <= lines);
    let _ = evidence::checkpoint::topic_id(text);
});
