//! Puts an event's fields into its message as well.
//!
//! `tracing-journald` sends fields beside the message, where `journalctl` shows them only with `-o verbose`: "link lost"
//! without saying which. Here `info!(peer = %id, "link lost")` becomes `MESSAGE=link lost peer=gpu-3`, with
//! `RINGRIFT_PEER=gpu-3` beside it as before.

use std::fmt::{Debug, Write as _};

use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Value, Visit},
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

const MESSAGE: &str = "message";

/// Wraps the layer that writes.
#[derive(Debug)]
pub(super) struct FieldsInMessage<L> {
    inner: L,
}

impl<L> FieldsInMessage<L> {
    pub(super) fn new(inner: L) -> Self {
        Self { inner }
    }
}

impl<S, L> Layer<S> for FieldsInMessage<L>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    L: Layer<S>,
{
    fn enabled(&self, metadata: &Metadata<'_>, ctx: Context<'_, S>) -> bool {
        self.inner.enabled(metadata, ctx)
    }

    fn on_new_span(&self, attrs: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        self.inner.on_new_span(attrs, id, ctx);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, ctx: Context<'_, S>) {
        self.inner.on_record(id, values, ctx);
    }

    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        let fields = event.metadata().fields();
        let mut texts = Texts(vec![None; fields.len()]);
        event.record(&mut texts);
        let Some(message) = fields.field(MESSAGE) else {
            return self.inner.on_event(event, ctx);
        };
        texts.append_to(&message, fields.iter());
        let values: Vec<Option<&dyn Value>> =
            texts.0.iter().map(|text| text.as_ref().map(|text| text as &dyn Value)).collect();
        self.inner.on_event(&Event::new(event.metadata(), &fields.value_set_all(&values)), ctx);
    }
}

/// The values of an event as text, by the index of their field.
struct Texts(Vec<Option<String>>);

impl Texts {
    fn append_to(&mut self, message: &Field, fields: impl Iterator<Item = Field>) {
        let mut line = self.0[message.index()].take().unwrap_or_default();
        for field in fields.filter(|field| field.name() != MESSAGE) {
            let Some(text) = &self.0[field.index()] else { continue };
            // Writing to a String cannot fail.
            let _ = if text.is_empty() || text.contains(|c: char| c.is_whitespace() || c == '"') {
                write!(line, " {}={text:?}", field.name())
            } else {
                write!(line, " {}={text}", field.name())
            };
        }
        self.0[message.index()] = Some(line);
    }
}

impl Visit for Texts {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0[field.index()] = Some(value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0[field.index()] = Some(format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[derive(Clone, Default)]
    struct Seen(Arc<Mutex<Vec<Vec<Option<String>>>>>);

    impl<S: Subscriber> Layer<S> for Seen {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            let mut texts = Texts(vec![None; event.metadata().fields().len()]);
            event.record(&mut texts);
            self.0.lock().unwrap().push(texts.0);
        }
    }

    #[test]
    fn the_message_tells_the_fields_and_the_fields_stay() {
        let seen = Seen::default();
        let subscriber = tracing_subscriber::registry().with(FieldsInMessage::new(seen.clone()));
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(peer = "gpu-3", term = 7, reason = %"timed out", absent = None::<u8>, "link {}", "lost");
            tracing::warn!("alone");
        });
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            *seen.0.lock().unwrap(),
            [
                vec![
                    some("link lost peer=gpu-3 term=7 reason=\"timed out\""),
                    some("gpu-3"),
                    some("7"),
                    some("timed out"),
                    None
                ],
                vec![some("alone")],
            ]
        );
    }
}
