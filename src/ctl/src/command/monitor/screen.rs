use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Color, Modifier, Style},
    text::{Line, Span},
    widgets::{Block, Cell, Clear, Paragraph, Row as TableRow, Table, Wrap},
};
use ringrift_api::Status;
use tokio::time::Instant;

use super::{
    columns::{Column, GAP, fitting},
    model::{Model, Sort},
};
use crate::{
    age,
    command::status::{quorum, rows, state},
    paint::Tone,
};

/// Draws the model at `now`. `colour` is off where `NO_COLOR` is set: weight and words then say it all.
pub(super) fn draw(frame: &mut Frame<'_>, model: &mut Model, now: Instant, colour: bool) {
    let area = frame.area();
    let banner = u16::from(model.error.is_some());
    let [head, warning, table, foot] = Layout::vertical([
        Constraint::Length(3),
        Constraint::Length(banner),
        Constraint::Min(0),
        Constraint::Length(1),
    ])
    .areas(area);
    if let Some(error) = &model.error {
        let text = match &model.status {
            Some((_, at)) => format!(" {error}; what follows is {} old", age::span(since(*at, now))),
            None => format!(" {error}"),
        };
        frame.render_widget(
            Paragraph::new(text).style(style(Tone::Bad, colour).add_modifier(Modifier::REVERSED)),
            warning,
        );
    }
    if let Some((status, at)) = model.status.take() {
        frame.render_widget(Paragraph::new(summary(&status, colour)), head);
        nodes(frame, table, model, &status, colour);
        frame.render_widget(footer(model, status.nodes.len(), since(at, now), area.width), foot);
        model.status = Some((status, at));
    } else {
        frame.render_widget(Paragraph::new(format!("Asking {} …", model.url)), head);
        frame.render_widget(Paragraph::new(" q quit"), foot);
    }
    if model.help {
        help(frame, area);
    }
}

fn since(at: Instant, now: Instant) -> f64 {
    now.saturating_duration_since(at).as_secs_f64()
}

/// Leader, quorum, counts: three lines.
fn summary(status: &Status, colour: bool) -> Vec<Line<'static>> {
    let strong = style(Tone::Strong, colour);
    let leader = match &status.leader_id {
        Some(leader) => Span::styled(leader.to_string(), strong),
        None => Span::styled("none", style(Tone::Bad, colour)),
    };
    let (tone, quorum) = quorum(status);
    vec![
        Line::from(vec![
            Span::raw("Leader: "),
            leader,
            Span::raw(format!("   Term: {}   Alive peers: {}", status.term, status.alive_peers)),
            Span::raw(format!("   Total nodes: {}", status.nodes.len())),
        ]),
        Line::from(vec![Span::raw("Quorum: "), Span::styled(quorum, style(tone, colour))]),
        Line::from(format!(
            "Jobs: {} ({} self-play, {} training)   Queue: {}   State: {}",
            status.active_jobs,
            status.selfplay_jobs,
            status.training_jobs,
            status.work_queue_size,
            state(status)
        )),
    ]
}

fn nodes(frame: &mut Frame<'_>, area: Rect, model: &mut Model, status: &Status, colour: bool) {
    let rows = model.sort(rows(status));
    // The first line is the titles.
    model.fit(rows.len(), usize::from(area.height.saturating_sub(1)));
    let columns = fitting(&rows, area.width);
    let line = |text: String, column: Column, tone: Tone| {
        let line = Line::from(Span::styled(text, style(tone, colour)));
        Cell::from(if column.is_right() { line.right_aligned() } else { line })
    };
    let shown = rows.iter().skip(model.top).take(model.page).map(|row| {
        TableRow::new(columns.iter().map(|(column, _)| {
            let (text, tone) = column.cell(row);
            line(text, *column, tone)
        }))
    });
    let titles =
        TableRow::new(columns.iter().map(|(column, _)| line(column.title().to_owned(), *column, Tone::Strong)))
            .style(Style::new().add_modifier(Modifier::REVERSED));
    let table = Table::new(shown, columns.iter().map(|(_, width)| Constraint::Length(*width)))
        .header(titles)
        .column_spacing(GAP);
    frame.render_widget(table, area);
}

/// What is shown, how it is sorted, how old it is; as much of it as there is room for.
fn footer(model: &Model, count: usize, age: f64, width: u16) -> Paragraph<'static> {
    let last = (model.top + model.page).min(count);
    let first = (model.top + 1).min(last);
    let direction = if model.reversed { ", reversed" } else { "" };
    let parts = [
        "q quit  ? keys".to_owned(),
        format!("{first}-{last} of {count}"),
        format!("by {}{direction}", model.sort.as_str()),
        format!("{} ago, every {} s", age::span(age), model.interval.as_secs_f64()),
    ];
    let mut text = String::new();
    for part in parts {
        let separator = if text.is_empty() { " " } else { "   " };
        if text.chars().count() + separator.len() + part.chars().count() <= usize::from(width) {
            text.push_str(separator);
            text.push_str(&part);
        }
    }
    Paragraph::new(text).style(Style::new().add_modifier(Modifier::DIM))
}

fn help(frame: &mut Frame<'_>, area: Rect) {
    let mut lines = vec![
        "q, Esc         quit".to_owned(),
        "Up, Down       scroll by one".to_owned(),
        "PgUp, PgDn     scroll by a page".to_owned(),
        "Home, End      first, last".to_owned(),
        "Space, F5      look now".to_owned(),
        "r              reverse the order".to_owned(),
    ];
    lines.extend(Sort::ALL.map(|sort| format!("{}              sort by {}", sort.key(), sort.as_str())));
    let (width, height) = (38.min(area.width), (lines.len() as u16 + 2).min(area.height));
    let popup = Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2, width, height };
    frame.render_widget(Clear, popup);
    let text: Vec<Line<'_>> = lines.into_iter().map(|l| Line::from(format!(" {l}"))).collect();
    frame
        .render_widget(Paragraph::new(text).wrap(Wrap { trim: false }).block(Block::bordered().title(" Keys ")), popup);
}

fn style(tone: Tone, colour: bool) -> Style {
    let weight = match tone {
        Tone::Plain => Style::new(),
        Tone::Strong | Tone::Good | Tone::Warn | Tone::Bad => Style::new().add_modifier(Modifier::BOLD),
        Tone::Faint => Style::new().add_modifier(Modifier::DIM),
    };
    match tone {
        Tone::Good if colour => Style::new().fg(Color::Green),
        Tone::Warn if colour => weight.fg(Color::Yellow),
        Tone::Bad if colour => weight.fg(Color::Red),
        Tone::Good => Style::new(),
        Tone::Plain | Tone::Strong | Tone::Faint | Tone::Warn | Tone::Bad => weight,
    }
}
