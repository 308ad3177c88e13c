//! Which of many are needed: delta debugging (Zeller and Hildebrandt's ddmin).
//!
//! It knows no steps and no runs, only numbers and a question that is dear. So only complements are
//! tried, never the pieces alone: a storm's first half is the complement of its second, and smaller
//! pieces by themselves hardly ever fail. Nothing is asked twice here that the answer's owner does
//! not remember.

/// The fewest of `all` with which it fails still, in their order: at the end nobody can be left out
/// without the failure going away. That holds if `fails` answers the same each time; all of them
/// must fail.
///
/// `close` leaves out of a candidate whoever cannot be without one who is gone.
///
/// # Errors
/// The first error of `fails`.
pub fn reduce<E>(
    all: Vec<usize>,
    close: impl Fn(&[usize]) -> Vec<usize>,
    mut fails: impl FnMut(&[usize]) -> Result<bool, E>,
) -> Result<Vec<usize>, E> {
    let mut kept = all;
    // What fails without any step was never the storm's doing; better to know it first.
    if kept.is_empty() || fails(&[])? {
        return Ok(Vec::new());
    }
    let mut size = kept.len().div_ceil(2);
    loop {
        let mut changed = false;
        // From the end: who refers to somebody stands behind them.
        let mut end = kept.len();
        while end > 0 {
            let start = end.saturating_sub(size);
            let rest = [&kept[..start], &kept[end..]].concat();
            let candidate = close(&rest);
            if !candidate.is_empty() && fails(&candidate)? {
                kept = candidate;
                changed = true;
            }
            // Whoever was left out beyond them stood behind them.
            end = start;
        }
        if size > 1 {
            size = size.min(kept.len()).div_ceil(2);
        } else if !changed {
            return Ok(kept);
        }
    }
}
