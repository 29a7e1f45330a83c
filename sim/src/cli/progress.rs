//! How far it is, on standard error: a bar on a terminal, else a line now and then.

use std::io::IsTerminal;
use std::sync::Mutex;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::stopwatch::Stopwatch;

/// Between two lines where there is no terminal.
const LINE_EVERY_US: u64 = 5_000_000;

/// Progress over a number of runs. Shared by workers.
#[derive(Debug)]
pub struct Progress {
    bar: Option<ProgressBar>,
    clock: Stopwatch,
    state: Mutex<State>,
    total: usize,
}

#[derive(Debug, Default)]
struct State {
    done: usize,
    bad: usize,
    last_line_us: u64,
}

impl Progress {
    /// Begins. A single run shows nothing.
    pub fn start(total: usize) -> Progress {
        let bar = (total > 1 && std::io::stderr().is_terminal()).then(|| {
            let bar = ProgressBar::with_draw_target(Some(total as u64), ProgressDrawTarget::stderr());
            let template = "{bar:30} {pos}/{len} runs  {msg}  {elapsed} (eta {eta})";
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            bar
        });
        let progress = Progress { bar, clock: Stopwatch::start(), state: Mutex::default(), total };
        if progress.bar.is_none() && total > 1 {
            eprintln!("kafkasim: 0/{total} runs");
        }
        progress
    }

    /// One more run is done.
    pub fn done(&self, is_as_expected: bool) {
        let mut state = self.state.lock().expect("nobody panics while holding it");
        state.done += 1;
        state.bad += usize::from(!is_as_expected);
        let words = format!("{} not as expected", state.bad);
        match &self.bar {
            Some(bar) => {
                bar.set_position(state.done as u64);
                bar.set_message(words);
            }
            None => {
                let now = self.clock.wall_us();
                let is_due = now.saturating_sub(state.last_line_us) >= LINE_EVERY_US;
                if self.total > 1 && (is_due || state.done == self.total) {
                    state.last_line_us = now;
                    eprintln!("kafkasim: {}/{} runs, {words}", state.done, self.total);
                }
            }
        }
    }

    /// The end: the bar goes away.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
