//! Which times can be shorter: all of them halved together while it fails still, then the halves of
//! them, and so on down to each alone.
//!
//! Like `reduce`, it knows only numbers and a question that is dear. There is no fine search: whoever
//! reads the result wants to know whether eight seconds are needed or one.

/// How often each of so many can be halved with which it fails still; nobody more often than `most`
/// says. It fails with all as they are.
///
/// # Errors
/// The first error of `fails`.
pub fn shorten<E>(
    most: &[u32],
    mut fails: impl FnMut(&[u32]) -> Result<bool, E>,
) -> Result<Vec<u32>, E> {
    let mut halved = vec![0; most.len()];
    let mut size = most.len();
    while size > 0 {
        for start in (0..most.len()).step_by(size) {
            loop {
                let mut candidate = halved.clone();
                for at in start..(start + size).min(most.len()) {
                    candidate[at] = most[at].min(halved[at] + 1);
                }
                if candidate == halved || !fails(&candidate)? {
                    break;
                }
                halved = candidate;
            }
        }
        size = if size > 1 { size.div_ceil(2) } else { 0 };
    }
    Ok(halved)
}
