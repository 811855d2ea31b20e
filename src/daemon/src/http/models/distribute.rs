//! Another attempt to get what is current to every node, or to one.

use std::time::Duration;

use axum::{Json, extract::State};
use bytes::Bytes;
use http::Method;
use ringrift_api::{DistributeRequest, Distributed, DistributionStarted, VerifyReport, VerifyRequest};
use ringrift_blob::ModelName;
use ringrift_state::{Command, Outcome};

use super::{json, unknown};
use crate::{
    ask::ask,
    http::error::ApiError,
    node::Shared,
    view::{self, epoch_ms},
};

/// Time for a node to hash its models again: 1.1 GB on a slow disk.
const VERIFY_WITHIN: Duration = Duration::from_mins(2);

/// Sees to it once more that every node, or one, has what is current.
#[utoipa::path(post, path = "/api/models/distribute", tag = "models", request_body = DistributeRequest,
    responses((status = 200, body = Distributed), (status = 400), (status = 401), (status = 404), (status = 503)))]
pub(crate) async fn distribute(State(shared): State<Shared>, body: Bytes) -> Result<Json<Distributed>, ApiError> {
    let request: DistributeRequest = json(&body)?;
    if request.all == request.model.is_some() {
        return Err(ApiError::BadRequest("the body must have either \"model\" or \"all\": true".into()));
    }
    let names = |shared: &Shared| -> Vec<ModelName> {
        let agreed = shared.agreement.agreed();
        agreed
            .state
            .models
            .keys()
            .filter(|name| request.model.as_ref().is_none_or(|one| one == *name))
            .cloned()
            .collect()
    };
    if names(&shared).is_empty() {
        return Err(request
            .model
            .as_ref()
            .map_or_else(|| ApiError::NotFound("no model was promoted yet".into()), unknown));
    }
    let message = if let Some(host) = &request.host {
        if !shared.knows(host) {
            return Err(ApiError::NotFound(format!("no node is called {host}: `ringriftctl nodes list` shows them")));
        }
        let path = format!("/api/node/{host}/api/models/verify");
        let body = VerifyRequest { model: request.model.clone() };
        let report: VerifyReport = ask(&shared, Method::POST, &path, &body, VERIFY_WITHIN).await?;
        let wrong = report.files.iter().filter(|file| !file.ok).count();
        format!("{host} looked again: {} of {} models are right there", report.files.len() - wrong, report.files.len())
    } else {
        let command = Command::StartDistribution {
            name: request.model.clone(),
            by: request.by.clone().unwrap_or_default(),
            force: request.force,
            at_ms: epoch_ms(),
        };
        match shared.propose(command).await?.outcome {
            Outcome::Done => "the distribution begins".to_owned(),
            Outcome::Unchanged | Outcome::Duplicate => "a distribution is under way already".to_owned(),
            Outcome::Refused { reason } => return Err(ApiError::Refused(reason)),
        }
    };
    let agreed = shared.agreement.agreed();
    let models = names(&shared).into_iter().filter_map(|name| {
        let record = agreed.state.models.get(&name)?;
        Some(DistributionStarted {
            name,
            sha256: record.current.sha256,
            distribution_generation: record.distribution.generation,
            state: view::phase(&record.distribution.state),
        })
    });
    Ok(Json(Distributed { success: true, models: models.collect(), message }))
}
