use std::{
    cell::Cell,
    io::IsTerminal as _,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::{
    age,
    bytes::{bytes, rate},
    context::Context,
};

/// How far something long is, on standard error: a bar on a terminal, lines elsewhere, nothing with `--json`.
#[derive(Debug)]
pub(crate) struct Progress {
    label: String,
    of: u64,
    /// Whether bytes are counted, and not something else.
    bytes: bool,
    shown: Shown,
}

#[derive(Debug)]
enum Shown {
    Bar(ProgressBar),
    Lines { began: Instant, last: Cell<Instant> },
    Nothing,
}

/// Between two lines, so that a log stays readable.
const BETWEEN_LINES: Duration = Duration::from_secs(10);

impl Progress {
    /// `of` bytes, of which none is done yet.
    pub(crate) fn of_bytes(context: &Context, label: impl Into<String>, of: u64) -> Self {
        Self::new(
            context,
            label.into(),
            of,
            true,
            "{msg}  {wide_bar}  {decimal_bytes}/{decimal_total_bytes}  {decimal_bytes_per_sec}  {eta} left",
        )
    }

    /// `of` things, of which none is done yet.
    pub(crate) fn of_things(context: &Context, label: impl Into<String>, of: u64) -> Self {
        Self::new(context, label.into(), of, false, "{msg}  {wide_bar}  {pos}/{len}  {eta} left")
    }

    /// Something whose end nobody can foresee: what is said of it is all that is shown.
    pub(crate) fn of_waiting(context: &Context, label: impl Into<String>) -> Self {
        let progress = Self::new(context, label.into(), 1, false, "{spinner} {msg}");
        if let Shown::Bar(bar) = &progress.shown {
            bar.enable_steady_tick(Duration::from_millis(120));
        }
        progress
    }

    fn new(context: &Context, label: String, of: u64, bytes: bool, template: &str) -> Self {
        let shown = if context.json {
            Shown::Nothing
        } else if std::io::stderr().is_terminal() {
            let bar = ProgressBar::with_draw_target(Some(of), ProgressDrawTarget::stderr());
            bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.set_message(label.clone());
            Shown::Bar(bar)
        } else {
            Shown::Lines { began: Instant::now(), last: Cell::new(Instant::now()) }
        };
        Self { label, of, bytes, shown }
    }

    /// `done` of them are done.
    pub(crate) fn at(&self, done: u64) {
        match &self.shown {
            Shown::Bar(bar) => bar.set_position(done),
            Shown::Lines { began, last } if last.get().elapsed() >= BETWEEN_LINES => {
                last.set(Instant::now());
                let speed = done as f64 / began.elapsed().as_secs_f64();
                let left = age::span(self.of.saturating_sub(done) as f64 / speed.max(1.0));
                if self.bytes {
                    eprintln!("{}: {} of {}, {}, {left} left", self.label, bytes(done), bytes(self.of), rate(speed));
                } else if self.of == 0 {
                    eprintln!("{}: {done}", self.label);
                } else {
                    eprintln!("{}: {done} of {}, {left} left", self.label, self.of);
                }
            }
            Shown::Lines { .. } | Shown::Nothing => {}
        }
    }

    /// What it is about now.
    pub(crate) fn says(&mut self, label: &str) {
        label.clone_into(&mut self.label);
        match &self.shown {
            Shown::Bar(bar) => bar.set_message(label.to_owned()),
            Shown::Lines { .. } => eprintln!("{label}"),
            Shown::Nothing => {}
        }
    }

    /// There are `of` of them now.
    pub(crate) fn of(&mut self, of: u64) {
        self.of = of;
        if let Shown::Bar(bar) = &self.shown {
            bar.set_length(of);
        }
    }
}

/// A remark beside what is shown, if anything is.
pub(crate) fn remark(context: &Context, beside: Option<&Progress>, text: &str) {
    match beside.map(|progress| &progress.shown) {
        Some(Shown::Bar(bar)) => bar.println(format!("note: {text}")),
        _ if context.json => eprintln!("{}", serde_json::json!({ "note": text })),
        _ => eprintln!("note: {text}"),
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Shown::Bar(bar) = &self.shown {
            bar.finish_and_clear();
        }
    }
}
