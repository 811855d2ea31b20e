//! `GET /api/openapi.json`: the API described from the types that it is made of.

use std::sync::OnceLock;

use axum::response::Response;
use bytes::Bytes;
use http::StatusCode;
use utoipa::{
    OpenApi,
    openapi::{
        ObjectBuilder,
        path::{ParameterBuilder, ParameterIn},
        schema::Type,
    },
};

use super::{error::ApiError, read};

#[derive(OpenApi)]
#[openapi(
    info(title = "ringrift-p2p", description = "The control plane of a self-play training cluster"),
    paths(
        read::status,
        read::cluster_status,
        read::health,
        read::ready,
        read::metrics,
        read::voters,
        super::components::components,
        super::events::events,
        super::models::list,
        super::models::manifest,
        super::models::progress,
        super::models::agree::promote,
        super::models::agree::commit,
        super::models::agree::rollback,
        super::models::agree::remove,
        super::models::agree::set_aside,
        super::models::distribute::distribute,
        super::models::here::verify,
        super::models::here::gc,
        super::models::here::link,
        super::jobs::list,
        super::jobs::submit,
        super::jobs::start_job,
        super::jobs::show,
        super::jobs::why,
        super::jobs::cancel,
        super::jobs::stop_job,
        super::jobs::limits,
        super::jobs::here,
        super::jobs::log,
        super::jobs::report,
        super::work::add,
        super::work::add_batch,
        super::work::claim_by_query,
        super::work::claim,
        super::work::start,
        super::work::complete,
        super::work::fail,
        super::work::cancel,
        super::work::status,
        super::work::history,
        super::work::of_node,
        super::nodes::list,
        super::nodes::set_eligibility,
        super::operations::transfer,
        super::operations::adopt_voters,
        super::operations::save_snapshot,
        super::operations::restore_snapshot,
        super::operations::reload,
        super::proxy::to_node,
        document,
    ),
    components(schemas(ringrift_api::ErrorBody, ringrift_api::ClusterComponents))
)]
struct Document;

/// The routes that can be asked for an answer which holds all that was acknowledged before.
const CONSISTENT: [&str; 9] = [
    "/api/nodes",
    "/api/events",
    "/api/models",
    "/api/models/manifest",
    "/api/jobs",
    "/api/jobs/{id}",
    "/work/status",
    "/work/history",
    "/work/node/{id}",
];

/// The description, with the second path of the metrics, which older scrapers ask for, and what the middleware of whole groups
/// of routes adds to them.
fn description() -> utoipa::openapi::OpenApi {
    let mut description = Document::openapi();
    let consistent = ParameterBuilder::new()
        .name("consistent")
        .parameter_in(ParameterIn::Query)
        .description(Some(
            "`true`: the leader answers, with all that was acknowledged before the request began; 503 without a leader",
        ))
        .schema(Some(ObjectBuilder::new().schema_type(Type::Boolean)))
        .build();
    for path in CONSISTENT {
        let get = description.paths.paths.get_mut(path).and_then(|item| item.get.as_mut());
        if let Some(get) = get {
            get.parameters.get_or_insert_default().push(consistent.clone().into());
        }
    }
    if let Some(metrics) = description.paths.paths.get("/metrics").cloned() {
        description.paths.paths.insert("/metrics/prometheus".to_owned(), metrics);
    }
    description
}

/// This description.
#[utoipa::path(get, path = "/api/openapi.json", tag = "cluster", responses((status = 200)))]
pub(crate) async fn document() -> Result<Response, ApiError> {
    static JSON: OnceLock<Option<Bytes>> = OnceLock::new();
    let json = JSON.get_or_init(|| description().to_json().ok().map(Bytes::from));
    let json = json.clone().ok_or_else(|| ApiError::Internal("cannot write the description".into()))?;
    Ok(read::body(StatusCode::OK, "application/json", json))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Every `.route("PATH", METHOD(…` of the router's source, with `{*path}` written as the description writes it.
    fn routes() -> BTreeSet<(String, String)> {
        routes_of(include_str!("mod.rs").split_once("pub(crate) fn health(").unwrap().0)
    }

    fn routes_of(source: &str) -> BTreeSet<(String, String)> {
        let routes = source.split(".route(").skip(1).map(|rest| {
            let (_, rest) = rest.split_once('"').unwrap();
            let (path, rest) = rest.split_once('"').unwrap();
            let method: String =
                rest.chars().skip_while(|c| !c.is_alphabetic()).take_while(|c| c.is_alphabetic()).collect();
            (path.replace("{*", "{"), method)
        });
        routes.collect()
    }

    #[test]
    fn every_route_is_described_and_nothing_else() {
        let description: serde_json::Value = serde_json::from_str(&description().to_json().unwrap()).unwrap();
        let mut described = BTreeSet::new();
        for (path, item) in description["paths"].as_object().unwrap() {
            let methods: Vec<&String> = item.as_object().unwrap().keys().collect();
            // What is passed on is passed on whatever its method.
            let any = ["any".to_owned()];
            let methods: Vec<&String> = if methods.len() > 2 { any.iter().collect() } else { methods };
            described.extend(methods.into_iter().map(|method| (path.clone(), method.clone())));
        }
        let routes = routes();
        assert!(routes.len() > 15, "the source is read: {routes:?}");
        assert_eq!(described, routes);
    }

    #[test]
    fn every_route_that_can_be_consistent_says_so() {
        let (_, group) = include_str!("mod.rs").split_once("let agreed = Router::new()").unwrap();
        let (group, _) = group.split_once(".layer(").unwrap();
        let group: BTreeSet<String> = routes_of(group).into_iter().map(|(path, _)| path).collect();
        let described = description().paths.paths.into_iter().filter(|(_, item)| {
            let parameters = item.get.iter().flat_map(|get| get.parameters.iter().flatten());
            parameters
                .into_iter()
                .any(|parameter| matches!(parameter, utoipa::openapi::RefOr::T(p) if p.name == "consistent"))
        });
        assert_eq!(described.map(|(path, _)| path).collect::<BTreeSet<_>>(), group);
    }
}
