//! What a caller vouches for about the workload that a request is for.

use serde::{Deserialize, Serialize};

pub use crate::request::Context;

/// One field of the [`Context`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContextField {
    /// [`Context::cluster`]
    Cluster,
    /// [`Context::object_uid`]
    ObjectUid,
    /// [`Context::requester`]
    Requester,
    /// [`Context::groups`]
    Groups,
    /// [`Context::namespace`]
    Namespace,
    /// [`Context::pod`]
    Pod,
    /// [`Context::pod_uid`]
    PodUid,
    /// [`Context::service_account`]
    ServiceAccount,
    /// [`Context::service_account_uid`]
    ServiceAccountUid,
    /// [`Context::node`]
    Node,
    /// [`Context::node_uid`]
    NodeUid,
}

impl ContextField {
    /// Every field.
    pub const ALL: [Self; 11] = [
        Self::Cluster,
        Self::ObjectUid,
        Self::Requester,
        Self::Groups,
        Self::Namespace,
        Self::Pod,
        Self::PodUid,
        Self::ServiceAccount,
        Self::ServiceAccountUid,
        Self::Node,
        Self::NodeUid,
    ];

    /// Its name in profiles and templates, e.g. `service_account`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cluster => "cluster",
            Self::ObjectUid => "object_uid",
            Self::Requester => "requester",
            Self::Groups => "groups",
            Self::Namespace => "namespace",
            Self::Pod => "pod",
            Self::PodUid => "pod_uid",
            Self::ServiceAccount => "service_account",
            Self::ServiceAccountUid => "service_account_uid",
            Self::Node => "node",
            Self::NodeUid => "node_uid",
        }
    }

    /// The field with this name, unless it is `groups`, which has many values and so fills no template.
    #[must_use]
    pub fn for_template(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|f| f.name() == name && *f != Self::Groups)
    }
}

impl Context {
    /// The single value of a field; `None` for one that is absent and for `groups`.
    #[must_use]
    pub fn get(&self, field: ContextField) -> Option<&str> {
        match field {
            ContextField::Cluster => self.cluster.as_deref(),
            ContextField::ObjectUid => self.object_uid.as_deref(),
            ContextField::Requester => self.requester.as_deref(),
            ContextField::Groups => None,
            ContextField::Namespace => self.namespace.as_deref(),
            ContextField::Pod => self.pod.as_deref(),
            ContextField::PodUid => self.pod_uid.as_deref(),
            ContextField::ServiceAccount => self.service_account.as_deref(),
            ContextField::ServiceAccountUid => self.service_account_uid.as_deref(),
            ContextField::Node => self.node.as_deref(),
            ContextField::NodeUid => self.node_uid.as_deref(),
        }
    }

    /// The fields that are present.
    pub fn present(&self) -> impl Iterator<Item = ContextField> {
        ContextField::ALL.into_iter().filter(|field| match field {
            ContextField::Groups => !self.groups.is_empty(),
            other => self.get(*other).is_some(),
        })
    }
}
