use clap::Args;
use ringrift_cleanup::Trash;
use serde_json::json;

use super::ground::{Place, failure};
use crate::{
    bytes::bytes,
    context::Context,
    failure::Failure,
    report::Report,
    table::{Table, left, right},
};

/// Which.
#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// What was moved to the trash at this moment; without it, what is in the trash is shown
    #[arg(value_name = "MOMENT")]
    moment: Option<String>,

    #[command(flatten)]
    place: Place,
}

pub(super) fn run(context: &Context, args: &RestoreArgs) -> Result<Report, Failure> {
    let trash = Trash::of(&args.place.ground(context)?.roots);
    if let Some(moment) = &args.moment {
        let count = trash.restore(moment).map_err(|error| failure(&error))?;
        let text = format!("Put {count} files back to where they were.\n");
        return Ok(Report::ok(text, json!({ "success": true, "moment": moment, "files": count })));
    }
    let batches = trash.batches().map_err(|error| failure(&error))?;
    let mut table = Table::new(&[left("MOMENT"), left("FILE"), right("SIZE")]);
    let mut list = Vec::new();
    for batch in &batches {
        for moved in &batch.files {
            let path = batch.root.join(&moved.name);
            table.row(vec![
                batch.moment.as_str().into(),
                path.display().to_string().into(),
                bytes(moved.size_bytes).into(),
            ]);
            list.push(json!({ "moment": batch.moment, "path": path, "size_bytes": moved.size_bytes }));
        }
    }
    let text = if list.is_empty() { "The trash is empty.\n".to_owned() } else { table.render(context.paint) };
    Ok(Report::ok(text, json!({ "success": true, "files": list })))
}
