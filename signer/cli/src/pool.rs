//! Work on all cores, results in the order of the jobs.

use std::collections::{BTreeMap, VecDeque};
use std::num::NonZero;
use std::ops::Range;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, mpsc};

/// How many threads work at once.
pub(crate) fn width() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

/// What a pipeline's judge gets.
pub(crate) enum Step<R, D> {
    /// The result of the next number: every number once, in order.
    Next(R),
    /// The result of a follow-up job, in any order.
    Done(D),
}

/// What a judge answers with: follow-up jobs, or that no further number is wanted.
pub(crate) enum Judged<J> {
    More(Vec<J>),
    Enough,
}

/// What is to do. Follow-up jobs go first, so that they never pile up.
struct Jobs<J> {
    follow_up: VecDeque<J>,
    numbers: Range<u64>,
    /// Numbers below this one may be begun: what waits for its turn is bounded.
    allowed: u64,
    ended: bool,
}

enum Job<J> {
    Number(u64),
    FollowUp(J),
}

enum Report<R, D> {
    Number(u64, R),
    Done(D),
    /// A worker panicked; its thread's join passes that on.
    Lost,
}

struct Shared<J> {
    jobs: Mutex<Jobs<J>>,
    changed: Condvar,
}

impl<J> Shared<J> {
    /// A worker's panic does not leave the queue half changed.
    fn jobs(&self) -> MutexGuard<'_, Jobs<J>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> Option<Job<J>> {
        let mut jobs = self.jobs();
        loop {
            if let Some(job) = jobs.follow_up.pop_front() {
                return Some(Job::FollowUp(job));
            }
            if jobs.ended {
                return None;
            }
            if jobs.numbers.start < jobs.allowed
                && let Some(number) = jobs.numbers.next()
            {
                return Some(Job::Number(number));
            }
            jobs = self.changed.wait(jobs).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Ends the workers however the judge ends.
struct EndsWorkers<'a, J>(&'a Shared<J>);

impl<J> Drop for EndsWorkers<'_, J> {
    fn drop(&mut self) {
        self.0.jobs().ended = true;
        self.0.changed.notify_all();
    }
}

/// Tells the judge of a worker that panicked, for whom it would wait for ever.
struct TellsOfPanic<R, D>(mpsc::Sender<Report<R, D>>);

impl<R, D> Drop for TellsOfPanic<R, D> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = self.0.send(Report::Lost);
        }
    }
}

/// Does `begin` for every number on `threads` threads, judges the results in order on this one, and does the follow-up
/// jobs that the judge answers with, too. At most `threads` + 2 numbers are ahead of the judge.
///
/// # Errors
/// What the judge reports; the rest is then left undone.
pub(crate) fn pipeline<R: Send, J: Send, D: Send, E>(
    numbers: Range<u64>,
    threads: usize,
    begin: impl Fn(u64) -> R + Sync,
    follow_up: impl Fn(J) -> D + Sync,
    mut judge: impl FnMut(Step<R, D>) -> Result<Judged<J>, E>,
) -> Result<(), E> {
    let window = threads as u64 + 2;
    let mut next = numbers.start;
    let mut end = numbers.end;
    let shared = Shared {
        jobs: Mutex::new(Jobs {
            follow_up: VecDeque::new(),
            allowed: next.saturating_add(window),
            numbers,
            ended: false,
        }),
        changed: Condvar::new(),
    };
    let (sender, reports) = mpsc::channel();
    std::thread::scope(|scope| {
        let _ends = EndsWorkers(&shared);
        for _ in 0..threads {
            let tells = TellsOfPanic(sender.clone());
            let (shared, begin, follow_up) = (&shared, &begin, &follow_up);
            scope.spawn(move || {
                while let Some(job) = shared.next() {
                    let report = match job {
                        Job::Number(number) => Report::Number(number, begin(number)),
                        Job::FollowUp(job) => Report::Done(follow_up(job)),
                    };
                    if tells.0.send(report).is_err() {
                        return;
                    }
                }
            });
        }
        let mut waiting = BTreeMap::new();
        let mut pending = 0_usize;
        while next < end || pending > 0 {
            let Ok(report) = reports.recv() else { return Ok(()) };
            let judged = match report {
                Report::Lost => return Ok(()),
                Report::Done(done) => {
                    pending -= 1;
                    judge(Step::Done(done))?
                }
                Report::Number(number, result) => {
                    waiting.insert(number, result);
                    Judged::More(Vec::new())
                }
            };
            let mut ready = vec![judged];
            while next < end
                && let Some(result) = waiting.remove(&next)
            {
                next += 1;
                ready.push(judge(Step::Next(result))?);
                if matches!(ready.last(), Some(Judged::Enough)) {
                    end = next;
                }
            }
            let mut jobs = shared.jobs();
            for one in ready {
                if let Judged::More(more) = one {
                    pending += more.len();
                    jobs.follow_up.extend(more);
                }
            }
            jobs.allowed = next.saturating_add(window);
            jobs.numbers.end = jobs.numbers.end.min(end.max(jobs.numbers.start));
            drop(jobs);
            shared.changed.notify_all();
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_keep_their_order_and_follow_ups_are_all_done() {
        let (mut seen, mut sum) = (Vec::new(), 0);
        let judge = |step| {
            Ok::<_, ()>(match step {
                Step::Next(square) => {
                    seen.push(square);
                    Judged::More(vec![square, 1])
                }
                Step::Done(n) => {
                    sum += n;
                    Judged::More(Vec::new())
                }
            })
        };
        pipeline(0..1000, 3, |n| n * n, |j: u64| j, judge).unwrap();
        assert_eq!(seen, (0..1000_u64).map(|n| n * n).collect::<Vec<_>>());
        assert_eq!(sum, seen.iter().sum::<u64>() + 1000);
    }

    #[test]
    fn enough_is_enough_and_an_error_ends_it() {
        let mut seen = 0;
        let judge = |step: Step<u64, ()>| {
            if let Step::Next(n) = step {
                seen += 1;
                if n == 7 {
                    return Ok::<_, ()>(Judged::Enough);
                }
            }
            Ok(Judged::More(Vec::<()>::new()))
        };
        pipeline(0..1000, 2, |n| n, |()| (), judge).unwrap();
        assert_eq!(seen, 8);
        let refuse = |_: Step<u64, ()>| Err::<Judged<()>, _>("no");
        assert_eq!(pipeline(0..10, 2, |n| n, |()| (), refuse), Err("no"));
    }

    #[test]
    #[should_panic(expected = "a scoped thread panicked")]
    fn a_workers_panic_is_passed_on() {
        let judge = |_: Step<u64, ()>| Ok::<_, ()>(Judged::More(Vec::<()>::new()));
        let _ = pipeline(0..10, 2, |n| if n == 3 { panic!("bad job") } else { n }, |()| (), judge);
    }
}
