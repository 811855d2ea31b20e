//! Requests about jobs.

use ringrift_job::JobId;

use super::{Client, ClientError};
use crate::{
    JobCancelled, JobLimited, JobList, JobShown, JobSubmitted, JobWhy, LimitsRequest, NodeJobs, SubmitRequest,
    WorkStatus,
};

impl Client {
    /// `GET /api/jobs`; `query` begins with `?` or is empty.
    pub async fn jobs(&self, query: &str) -> Result<JobList, ClientError> {
        self.get_json(&format!("/api/jobs{query}")).await
    }

    /// `POST /api/jobs/submit`.
    pub async fn submit_job(&self, request: &SubmitRequest) -> Result<JobSubmitted, ClientError> {
        self.post_json("/api/jobs/submit", request).await
    }

    /// `GET /api/jobs/{id}`.
    pub async fn job(&self, id: &JobId) -> Result<JobShown, ClientError> {
        self.get_json(&format!("/api/jobs/{id}")).await
    }

    /// `GET /api/jobs/{id}/why`.
    pub async fn job_why(&self, id: &JobId) -> Result<JobWhy, ClientError> {
        self.get_json(&format!("/api/jobs/{id}/why")).await
    }

    /// `POST /api/jobs/{id}/cancel`.
    pub async fn cancel_job(&self, id: &JobId) -> Result<JobCancelled, ClientError> {
        self.post_json(&format!("/api/jobs/{id}/cancel"), &serde_json::json!({})).await
    }

    /// `POST /api/jobs/{id}/limits`.
    pub async fn limit_job(&self, id: &JobId, request: &LimitsRequest) -> Result<JobLimited, ClientError> {
        self.post_json(&format!("/api/jobs/{id}/limits"), request).await
    }

    /// `GET /api/jobs/here`: what the asked node runs.
    pub async fn jobs_here(&self) -> Result<NodeJobs, ClientError> {
        self.get_json("/api/jobs/here").await
    }

    /// `GET /work/status`.
    pub async fn work_status(&self) -> Result<WorkStatus, ClientError> {
        self.get_json("/work/status").await
    }
}
