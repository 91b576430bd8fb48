//! Who calls: the verified principal, never anything a client merely says.

use std::sync::Arc;

use crate::config::{Class, Role};

/// A verified caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Unique name; the partition of everything cached, stored or streamed.
    pub name: Arc<str>,
    /// Tenant for fairness and limits.
    pub tenant: Arc<str>,
    /// Priority class.
    pub class: Class,
    /// What it may see besides MCP.
    pub role: Role,
}

impl Principal {
    /// The principal of stdio and of `--no-auth`.
    pub fn local() -> Self {
        Self { name: "local".into(), tenant: "local".into(), class: Class::Normal, role: Role::Operator }
    }
}
