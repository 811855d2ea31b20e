/// An event as clients read it.
pub(crate) fn event(event: &ringrift_state::Event) -> ringrift_api::Event {
    let inner = &event.event;
    ringrift_api::Event {
        seq: event.seq,
        kind: inner.kind.clone(),
        node_id: inner.node.clone(),
        message: inner.message.clone(),
        timestamp: inner.at_ms as f64 / 1000.0,
        details: inner.details.iter().map(|(k, v)| (k.clone(), v.clone())).collect(),
    }
}
