//! Requests about models.

use std::time::Duration;

use ringrift_blob::ModelName;

use super::{Client, ClientError};
use crate::{
    ClusterManifest, DistributeRequest, Distributed, GcReport, GcRequest, LinkReport, ModelChanged, ModelList,
    ModelRemoved, ModelsProgress, PromoteRequest, RemoveRequest, RollbackRequest, VerifyReport, VerifyRequest,
};

impl Client {
    /// The least time for a request that reads whole files: a model of 174 MB takes a slow disk this long.
    const READING: Duration = Duration::from_mins(2);

    /// `GET /api/models`.
    pub async fn models(&self) -> Result<ModelList, ClientError> {
        self.get_json("/api/models").await
    }

    /// `GET /api/models/manifest`.
    pub async fn models_manifest(&self) -> Result<ClusterManifest, ClientError> {
        self.get_json("/api/models/manifest").await
    }

    /// `GET /api/models/progress`, of one model or of all.
    pub async fn models_progress(&self, model: Option<&ModelName>) -> Result<ModelsProgress, ClientError> {
        // A name has no character that a query would have to escape.
        let query = model.map(|name| format!("?model={name}")).unwrap_or_default();
        self.get_json(&format!("/api/models/progress{query}")).await
    }

    /// `POST /api/models/promote`.
    pub async fn promote_model(&self, request: &PromoteRequest) -> Result<ModelChanged, ClientError> {
        self.reading().post_json("/api/models/promote", request).await
    }

    /// `POST /api/models/rollback`.
    pub async fn roll_back_model(&self, request: &RollbackRequest) -> Result<ModelChanged, ClientError> {
        self.post_json("/api/models/rollback", request).await
    }

    /// `POST /api/models/remove`.
    pub async fn remove_model(&self, request: &RemoveRequest) -> Result<ModelRemoved, ClientError> {
        self.post_json("/api/models/remove", request).await
    }

    /// `POST /api/models/distribute`.
    pub async fn distribute_models(&self, request: &DistributeRequest) -> Result<Distributed, ClientError> {
        self.post_json("/api/models/distribute", request).await
    }

    /// `POST /api/models/verify`: a fresh hash on the asked node.
    pub async fn verify_models(&self, request: &VerifyRequest) -> Result<VerifyReport, ClientError> {
        self.reading().post_json("/api/models/verify", request).await
    }

    /// `POST /api/models/gc`.
    pub async fn collect_models(&self, request: &GcRequest) -> Result<GcReport, ClientError> {
        self.post_json("/api/models/gc", request).await
    }

    /// `POST /api/models/link`.
    pub async fn link_models(&self) -> Result<LinkReport, ClientError> {
        self.post_json("/api/models/link", &serde_json::json!({})).await
    }

    fn reading(&self) -> Self {
        self.clone().with_timeout(self.timeout.max(Self::READING))
    }
}
