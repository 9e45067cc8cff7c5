//! A twin as the store keeps it.

use std::sync::Arc;

use fleetstorm_protocol::twin::DeviceTwin;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Hidden, Metadata, SharedViews, Twin, render};

/// Rendered where the twin is.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::hub) struct KeptTwin {
    created: Timestamp,
    view: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hidden: Option<KeptHidden>,
}

#[derive(Debug, Serialize, Deserialize)]
struct KeptHidden {
    tags: Map<String, Value>,
    metadata: Option<String>,
    changes: u64,
    service_changes: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    model_id: Option<Box<str>>,
}

impl Twin {
    /// For the store.
    pub(in crate::hub) fn kept(&self) -> KeptTwin {
        let text = |json: &[u8]| String::from_utf8_lossy(json).into_owned();
        KeptTwin {
            created: self.created,
            view: text(&self.view),
            hidden: self.hidden.as_deref().map(|hidden| KeptHidden {
                tags: hidden.tags.clone(),
                metadata: hidden.metadata.as_deref().map(text),
                changes: hidden.changes,
                service_changes: hidden.service_changes,
                model_id: hidden.model_id.clone(),
            }),
        }
    }

    /// From the store.
    ///
    /// # Errors
    /// It is no twin.
    pub(in crate::hub) fn from_kept(kept: KeptTwin, views: &SharedViews) -> Result<Self, String> {
        let view: DeviceTwin =
            serde_json::from_str(&kept.view).map_err(|e| format!("twin: {e}"))?;
        let hidden = kept.hidden.map(|hidden| {
            let metadata = hidden.metadata.map(|text| {
                let metadata: Metadata = serde_json::from_str(&text)?;
                Ok(render(&metadata))
            });
            Ok(Box::new(Hidden {
                tags: hidden.tags,
                metadata: metadata.transpose()?,
                changes: hidden.changes,
                service_changes: hidden.service_changes,
                model_id: hidden.model_id,
            }))
        });
        let hidden = hidden.transpose();
        let hidden = hidden.map_err(|e: serde_json::Error| format!("metadata: {e}"))?;
        let view = render(&view);
        // Only twins that nobody has changed are alike.
        let changed = hidden.as_ref().is_some_and(|hidden| hidden.changes > 0);
        let view = if changed {
            Arc::from(view)
        } else {
            views.share(view)
        };
        Ok(Self {
            created: kept.created,
            view,
            hidden,
        })
    }
}
