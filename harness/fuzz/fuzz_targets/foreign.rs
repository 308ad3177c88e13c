//! Any bytes as a foreign history, EDN or JSON Lines, and what the client-layer rules say of it.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = exchange::foreign::read(bytes);
});
