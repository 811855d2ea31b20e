use ringrift_config::NodeId;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::ErrorCode;

/// The body of every answer that is not a success.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ErrorBody {
    /// A sentence for people. Exactly `unauthorized` where a token is missing or wrong, since old clients compare it.
    pub error: String,
    /// The kind, for programs.
    pub error_code: ErrorCode,
    /// Facts about this error; an empty object when there are none.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub details: Map<String, Value>,
    /// Sent, as `null`, with `NO_LEADER`: old clients read it there.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub leader_id: Option<Option<NodeId>>,
    /// Sent, as `false`, by routes whose successful answers say `success`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success: Option<bool>,
}

impl ErrorBody {
    /// An error without details.
    pub fn new(error_code: ErrorCode, error: impl Into<String>) -> Self {
        Self {
            error: error.into(),
            error_code,
            details: Map::new(),
            leader_id: (error_code == ErrorCode::NoLeader).then_some(None),
            success: None,
        }
    }

    /// The same with one more fact.
    #[must_use]
    pub fn with_detail(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.details.insert(key.to_owned(), value.into());
        self
    }

    /// The same for a route whose successful answers say `success`.
    #[must_use]
    pub fn with_success_false(mut self) -> Self {
        self.success = Some(false);
        self
    }
}

/// Tells a key that is `null` from one that is missing.
#[expect(clippy::option_option, reason = "missing, null and a name are three different answers")]
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<NodeId>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_error_has_the_shape_that_clients_know() {
        assert_eq!(
            serde_json::to_value(ErrorBody::new(ErrorCode::NoLeader, "no leader").with_success_false()).unwrap(),
            json!({"error": "no leader", "error_code": "NO_LEADER", "details": {}, "leader_id": null, "success": false})
        );
        assert_eq!(
            serde_json::to_value(ErrorBody::new(ErrorCode::TooLarge, "big").with_detail("limit_bytes", 5)).unwrap(),
            json!({"error": "big", "error_code": "TOO_LARGE", "details": {"limit_bytes": 5}})
        );
    }

    #[test]
    fn an_error_survives_the_wire() {
        for body in [
            ErrorBody::new(ErrorCode::NoLeader, "x"),
            ErrorBody::new(ErrorCode::Internal, "x").with_detail("a", "b").with_success_false(),
            ErrorBody { leader_id: Some(Some("alpha".parse().unwrap())), ..ErrorBody::new(ErrorCode::Timeout, "x") },
        ] {
            let text = serde_json::to_string(&body).unwrap();
            assert_eq!(serde_json::from_str::<ErrorBody>(&text).unwrap(), body, "{text}");
        }
    }
}
