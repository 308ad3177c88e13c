//! Several hosts at once, on one thread: futures that are polled together until all are done.
//!
//! Nothing is spawned, so nothing outlives the caller; and nothing is cancelled when one fails.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use crate::error::ClusterError;

/// A future, and its result once it has one.
type Running<F> = (Pin<Box<F>>, Option<<F as Future>::Output>);

/// Waits for all of them; results in the order of the futures.
pub(crate) async fn all<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut running: Vec<Running<F>> = futures.into_iter().map(|f| (Box::pin(f), None)).collect();
    poll_fn(|cx| {
        let mut pending = false;
        for (future, result) in running.iter_mut().filter(|(_, result)| result.is_none()) {
            match future.as_mut().poll(cx) {
                Poll::Ready(value) => *result = Some(value),
                Poll::Pending => pending = true,
            }
        }
        if pending {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    })
    .await;
    let results = running.into_iter().map(|(_, result)| result);
    results
        .map(|result| result.expect("all are done"))
        .collect()
}

/// As [`all`], for futures that may fail: all results, or the first error in their order, once all
/// have ended.
pub(crate) async fn all_ok<T, F>(
    futures: impl IntoIterator<Item = F>,
) -> Result<Vec<T>, ClusterError>
where
    F: Future<Output = Result<T, ClusterError>>,
{
    all(futures).await.into_iter().collect()
}

/// As [`all`], for futures that may fail: the results that came, or the first error when none did.
pub(crate) async fn some_ok<T, F>(
    futures: impl IntoIterator<Item = F>,
) -> Result<Vec<T>, ClusterError>
where
    F: Future<Output = Result<T, ClusterError>>,
{
    let (mut came, mut refusal) = (Vec::new(), None);
    for result in all(futures).await {
        match result {
            Ok(value) => came.push(value),
            Err(error) => refusal = refusal.or(Some(error)),
        }
    }
    match refusal {
        Some(error) if came.is_empty() => Err(error),
        Some(_) | None => Ok(came),
    }
}

/// The first that succeeds; the others are dropped. When all fail, the error of the last one, or
/// `None` when there was nothing to wait for.
pub(crate) async fn first_ok<T, E, F>(futures: impl IntoIterator<Item = F>) -> Result<T, Option<E>>
where
    F: Future<Output = Result<T, E>>,
{
    let mut running: Vec<Pin<Box<F>>> = futures.into_iter().map(Box::pin).collect();
    let mut refusal = None;
    poll_fn(|cx| {
        let mut i = 0;
        while i < running.len() {
            match running[i].as_mut().poll(cx) {
                Poll::Ready(Ok(value)) => return Poll::Ready(Ok(value)),
                Poll::Ready(Err(error)) => {
                    refusal = Some(error);
                    drop(running.remove(i));
                }
                Poll::Pending => i += 1,
            }
        }
        if running.is_empty() {
            Poll::Ready(Err(refusal.take()))
        } else {
            Poll::Pending
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn they_run_together_and_keep_their_order() {
        let before = tokio::time::Instant::now();
        let waits = [30, 10, 20].map(|millis| async move {
            tokio::time::sleep(Duration::from_millis(millis)).await;
            millis
        });
        assert_eq!(all(waits).await, [30, 10, 20]);
        assert_eq!(before.elapsed(), Duration::from_millis(30));
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_success_wins_and_failures_wait_for_it() {
        let after = |millis, result: Result<u64, u64>| async move {
            tokio::time::sleep(Duration::from_millis(millis)).await;
            result
        };
        let tries = [after(10, Err(1)), after(30, Ok(2)), after(20, Ok(3))];
        assert_eq!(first_ok(tries).await, Ok(3));
        let tries = [after(10, Err(1)), after(5, Err(2))];
        assert_eq!(first_ok(tries).await, Err(Some(1)));
    }
}
