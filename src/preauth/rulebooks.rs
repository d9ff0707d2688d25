//! The tenants' rules, read: a creation asks them, and reading an expression takes longer than asking it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::model::{Rulebook, Rules, Tenant, TenantId};

/// The rules of each tenant that created something, as they were read last. A tenant comes with his rules from the database, so
/// rules that were changed are seen to be others, and read again.
#[derive(Default)]
pub(super) struct Rulebooks {
    read: Mutex<HashMap<TenantId, Arc<Rulebook>>>,
}

impl Rulebooks {
    pub async fn of(&self, tenant: &Tenant) -> Arc<Rulebook> {
        if tenant.rules.expressions.is_empty() {
            return Arc::new(Rulebook::open(tenant.rules.clone()));
        }
        if let Some(read) = self.known(tenant.id, &tenant.rules) {
            return read;
        }
        let rules = tenant.rules.clone();
        let read = tokio::task::spawn_blocking(|| Arc::new(Rulebook::open(rules))).await;
        let read = read.unwrap_or_else(|_| Arc::new(Rulebook::unread(tenant.rules.clone())));
        match read.flaw() {
            None => drop(self.lock().insert(tenant.id, Arc::clone(&read))),
            // Not kept: what kept it from being read may pass.
            Some(flaw) => {
                tracing::error!(tenant = %tenant.id, %flaw, "rules cannot be read: they refuse everything")
            }
        }
        read
    }

    fn known(&self, tenant: TenantId, rules: &Rules) -> Option<Arc<Rulebook>> {
        self.lock().get(&tenant).filter(|read| read.rules() == rules).cloned()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<TenantId, Arc<Rulebook>>> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
