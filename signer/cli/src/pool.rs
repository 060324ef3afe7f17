//! Work on all cores, results in the order of the jobs.

use std::num::NonZero;
use std::sync::Mutex;

/// How many threads work at once.
pub(crate) fn width() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

/// Does every job; a panic in one is passed on.
pub(crate) fn map<J: Send, R: Send>(jobs: Vec<J>, work: impl Fn(J) -> R + Sync) -> Vec<R> {
    let queue = Mutex::new(jobs.into_iter().enumerate());
    let next = || queue.lock().ok().and_then(|mut queue| queue.next());
    let mut done: Vec<(usize, R)> = std::thread::scope(|scope| {
        let worker = || {
            let mut done = Vec::new();
            while let Some((number, job)) = next() {
                done.push((number, work(job)));
            }
            done
        };
        let threads: Vec<_> = (0..width()).map(|_| scope.spawn(worker)).collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    done.sort_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn results_keep_the_order_of_the_jobs() {
        let squares = super::map((0..1000_u64).collect(), |n| n * n);
        assert_eq!(squares, (0..1000_u64).map(|n| n * n).collect::<Vec<_>>());
    }
}
