use clap::Args;
use ringrift_api::{Client, Event, EventPage, Followed};
use serde_json::json;

use crate::{
    age,
    context::Context,
    exit::Exit,
    failure::Failure,
    paint::{Paint, Tone},
    report::{Reader, Report, print_on, reader_gone},
};

/// Which events.
#[derive(Debug, Args)]
pub(crate) struct EventsArgs {
    /// Go on showing events as they happen, until Ctrl-C; with --json one object per line
    #[arg(long, short)]
    follow: bool,

    /// Only events after this number
    #[arg(long, value_name = "N", conflicts_with = "last")]
    since: Option<u64>,

    /// How many of the newest events
    #[arg(long, value_name = "N", default_value_t = 20)]
    last: usize,

    /// Only events of this type, for example `NODE_DEAD`
    #[arg(long = "type", value_name = "TYPE", value_parser = event_type)]
    kind: Option<String>,
}

pub(crate) async fn run(context: &Context, args: EventsArgs) -> Result<Exit, Failure> {
    let client = context.client(None)?;
    let page = read(&client, &args).await?;
    if !args.follow {
        let text = if page.events.is_empty() {
            "No events.\n".to_owned()
        } else {
            page.events.iter().map(|e| line(e, context.paint)).collect()
        };
        Report::ok(text, json!(page)).print(context.json)?;
        return Ok(Exit::Ok);
    }
    tokio::select! {
        ended = follow(context, &client, &args, page) => ended,
        () = reader_gone() => Ok(Exit::Ok),
    }
}

/// Everything that the arguments ask for. A daemon may answer in pieces.
async fn read(client: &Client, args: &EventsArgs) -> Result<EventPage, Failure> {
    let kind = args.kind.as_ref().map(|k| format!("&type={k}")).unwrap_or_default();
    let mut since = match args.since {
        Some(since) => since,
        // Of all types the newest have the last numbers; of one type they may be anywhere.
        None if args.kind.is_none() => {
            let newest: EventPage = client.get_json("/api/events?since=0&limit=1").await?;
            newest.last_seq.saturating_sub(args.last as u64)
        }
        None => 0,
    };
    let mut events = Vec::new();
    let mut page: EventPage;
    loop {
        page = client.get_json(&format!("/api/events?since={since}{kind}")).await?;
        let Some(newest) = page.events.last().map(|e| e.seq) else { break };
        events.append(&mut page.events);
        // A number that does not grow would keep us here for ever.
        if newest <= since || newest >= page.last_seq {
            break;
        }
        since = newest;
    }
    if args.since.is_none() {
        events.drain(..events.len().saturating_sub(args.last));
    }
    Ok(EventPage { events, ..page })
}

async fn follow(context: &Context, client: &Client, args: &EventsArgs, page: EventPage) -> Result<Exit, Failure> {
    let shown = |event: &Event| {
        if context.json { format!("{}\n", json!(event)) } else { line(event, context.paint) }
    };
    if print_on(&page.events.iter().map(shown).collect::<String>())? == Reader::Gone {
        return Ok(Exit::Ok);
    }
    let since = page.last_seq.max(args.since.unwrap_or(0));
    let mut stream = client.stream_events(since, args.kind.as_deref()).await?;
    loop {
        match stream.next().await? {
            Followed::Event(event) => {
                if print_on(&shown(&event))? == Reader::Gone {
                    return Ok(Exit::Ok);
                }
            }
            Followed::Missed { from, to } => note(context, &format!("events {from} to {to} are not kept any more")),
            Followed::Lost { error, retry_in } => {
                note(context, &format!("{error}; trying again in {:.1} s", retry_in.as_secs_f64()));
            }
            Followed::Resumed => note(context, "connected again"),
        }
    }
}

/// A remark about the stream, kept out of the stream.
fn note(context: &Context, text: &str) {
    if context.json {
        eprintln!("{}", json!({ "note": text }));
    } else {
        eprintln!("note: {text}");
    }
}

/// An event on one line.
fn line(event: &Event, paint: Paint) -> String {
    let node = event.node_id.as_ref().map_or("-", |n| n.as_str());
    let kind = paint.text(Tone::Strong, &format!("{:<20}", event.kind));
    format!("{:>6}  {}  {kind}  {node:<20}  {}\n", event.seq, age::moment(event.timestamp), event.message)
}

/// Reads the name of a type of events, in any case.
fn event_type(text: &str) -> Result<String, String> {
    let name = text.to_ascii_uppercase();
    let valid = !name.is_empty() && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    if valid { Ok(name) } else { Err("a type is a name such as NODE_DEAD".to_owned()) }
}
