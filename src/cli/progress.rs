//! Signs of life of a command that takes its time: on a terminal, on the standard error output, after two seconds.

use std::time::Duration;

use futures::future::LocalBoxFuture;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::preauth::{Progress, Step};

/// What takes no longer than this needs no sign of life.
const PATIENCE: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// What an admin's command waits for.
pub(super) const MINING: &str = "waiting until the transaction is mined";
/// Where nobody knows how much there is.
const SPINNER: &str = "{spinner} {msg} ({elapsed})";
const COUNTER: &str = "{spinner} {msg}: {human_pos} ({elapsed})";
const BAR: &str = "{spinner} {msg} [{bar:30}] {human_pos} of {human_len} ({elapsed}, {eta} left)";

/// Waits for work that says how far it is.
pub(super) async fn shown<T>(progress: &Progress, mut work: LocalBoxFuture<'_, T>) -> T {
    if let Ok(done) = tokio::time::timeout(PATIENCE, &mut work).await {
        return done;
    }
    // Draws nothing where the standard error output is no terminal.
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()).with_elapsed(PATIENCE);
    loop {
        draw(&bar, progress.now());
        if let Ok(done) = tokio::time::timeout(LOOK_EVERY, &mut work).await {
            bar.finish_and_clear();
            return done;
        }
    }
}

/// Waits for work that is done when it is done.
pub(super) async fn waiting<T>(what: &'static str, work: LocalBoxFuture<'_, T>) -> T {
    let progress = Progress::default();
    progress.at(what, 0, 0);
    shown(&progress, work).await
}

fn draw(bar: &ProgressBar, Step { what, done, of }: Step) {
    let template = match (done, of) {
        (0, 0) => SPINNER,
        (_, 0) => COUNTER,
        _ => BAR,
    };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner());
    bar.set_style(style);
    match of {
        0 => bar.unset_length(),
        of => bar.set_length(of),
    }
    bar.set_message(what);
    bar.set_position(done);
    bar.tick();
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn every_form_is_one_that_can_be_drawn() {
        for template in [SPINNER, COUNTER, BAR] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn work_comes_to_its_end_whether_it_is_long_or_short() {
        for seconds in [0, 1, 60] {
            let work = async {
                tokio::time::sleep(Duration::from_secs(seconds)).await;
                seconds
            };
            assert_eq!(waiting("working", work.boxed_local()).await, seconds);
        }
    }
}
