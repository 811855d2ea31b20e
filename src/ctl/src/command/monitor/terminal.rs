use std::{pin::Pin, time::Duration};

use crossterm::event::{Event, EventStream, KeyEventKind};
use futures::StreamExt as _;
use ratatui::DefaultTerminal;
use ringrift_api::{Client, ClientError, Status};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::{
    model::{Action, Model},
    screen,
};
use crate::{command::status, exit::Exit, failure::Failure, paint::Paint};

/// Ages on the screen grow by themselves this often.
const REDRAW: Duration = Duration::from_secs(1);

/// A request under way.
type Look<'a> = Pin<Box<dyn Future<Output = Result<Status, ClientError>> + 'a>>;

/// Fills the terminal until somebody quits. The terminal is given back as it was, also after a panic.
pub(super) async fn watch(client: &Client, every: Duration, paint: Paint) -> Result<Exit, Failure> {
    let mut terminal = ratatui::try_init().map_err(|e| Failure::local("cannot use the terminal", &e))?;
    let outcome = run(&mut terminal, client, every, paint).await;
    ratatui::restore();
    outcome
}

async fn run(terminal: &mut DefaultTerminal, client: &Client, every: Duration, paint: Paint) -> Result<Exit, Failure> {
    let broken = |error: &std::io::Error| Failure::local("the terminal is gone", error);
    let mut model = Model::new(client.url(""), every);
    let mut keys = EventStream::new();
    let mut redraw = interval(REDRAW);
    redraw.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut next_look = Instant::now();
    let mut look: Option<Look<'_>> = None;
    loop {
        terminal
            .draw(|frame| screen::draw(frame, &mut model, Instant::now(), paint.is_on()))
            .map_err(|e| broken(&e))?;
        // One request at a time, however slow the daemon: a monitor must not add to its trouble.
        let action = tokio::select! {
            key = keys.next() => match key {
                Some(Ok(Event::Key(key))) if key.kind != KeyEventKind::Release => model.key(key),
                // A new size: the next drawing sees it.
                Some(Ok(_)) => Action::None,
                Some(Err(error)) => return Err(broken(&error)),
                None => Action::Quit,
            },
            outcome = async { match &mut look { Some(look) => look.await, None => std::future::pending().await } } => {
                look = None;
                next_look = Instant::now() + every;
                model.looked(outcome, Instant::now());
                Action::None
            },
            () = tokio::time::sleep_until(next_look), if look.is_none() => Action::LookNow,
            _ = redraw.tick() => Action::None,
        };
        match action {
            Action::Quit => return Ok(Exit::Ok),
            Action::LookNow if look.is_none() => look = Some(Box::pin(client.get_json(status::PATH))),
            Action::LookNow | Action::None => {}
        }
    }
}
