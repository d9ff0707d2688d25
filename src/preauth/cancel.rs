use super::{Ending, Fault, Preauths, Wait};
use crate::model::{InvoiceId, Tenant};

impl Preauths {
    pub async fn cancel(&self, tenant: &Tenant, invoice: &InvoiceId, wait: Wait) -> Result<Ending, Fault> {
        let _ = (tenant, invoice, wait);
        todo!()
    }
}
